#include "strop/tune/gp/kernel.h"

#include <cmath>

namespace strop::tune::gp {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

const double kSqrt5 = std::sqrt(5.0);

}  // namespace

VectorXd Hyper::ToVector() const {
  VectorXd v(log_lengthscale.size() + 2);
  v << log_lengthscale, log_signal, log_noise;
  return v;
}

Hyper Hyper::FromVector(const VectorXd& v) {
  return {v.head(v.size() - 2), v[v.size() - 2], v[v.size() - 1]};
}

Matern52::Matern52(std::vector<int> group, const Hyper& hyper) : signal_(std::exp(hyper.log_signal)) {
  inverse_square_.resize(static_cast<Eigen::Index>(group.size()));
  for (size_t d = 0; d < group.size(); ++d)
    inverse_square_[static_cast<Eigen::Index>(d)] = std::exp(-2 * hyper.log_lengthscale[group[d]]);
}

double Matern52::operator()(const VectorXd& a, const VectorXd& b) const {
  const double r2 = ((a - b).array().square() * inverse_square_.array()).sum();
  const double s = kSqrt5 * std::sqrt(r2);
  return signal_ * (1 + s + 5.0 / 3 * r2) * std::exp(-s);
}

MatrixXd Matern52::Cross(const MatrixXd& points, const MatrixXd& queries) const {
  MatrixXd k(points.rows(), queries.cols());
  Eigen::ArrayXd r2(points.rows()), value, unused;
  for (Eigen::Index q = 0; q < queries.cols(); ++q) {
    r2.setZero();
    for (Eigen::Index d = 0; d < points.cols(); ++d)
      r2 += (points.col(d).array() - queries(d, q)).square() * inverse_square_[d];
    Matern52FromSquares(r2, value, unused);
    k.col(q) = signal_ * value;
  }
  return k;
}

void Matern52::CrossWithGradient(const MatrixXd& points, const VectorXd& x, VectorXd& k,
                                 MatrixXd& gradient) const {
  Eigen::ArrayXd r2 = Eigen::ArrayXd::Zero(points.rows()), value, c;
  for (Eigen::Index d = 0; d < points.cols(); ++d)
    r2 += (points.col(d).array() - x[d]).square() * inverse_square_[d];
  Matern52FromSquares(r2, value, c);
  k = signal_ * value;
  gradient.resize(points.rows(), points.cols());
  for (Eigen::Index d = 0; d < points.cols(); ++d)
    gradient.col(d) = signal_ * c * (points.col(d).array() - x[d]) * inverse_square_[d];
}

MatrixXd PairDistances(const MatrixXd& points, const std::vector<int>& group, int groups) {
  const Eigen::Index n = points.rows();
  MatrixXd distances = MatrixXd::Zero(n * (n - 1) / 2, groups);
  for (Eigen::Index d = 0; d < points.cols(); ++d) {
    const auto x = points.col(d).array();
    auto column = distances.col(group[static_cast<size_t>(d)]).array();
    Eigen::Index at = 0;
    for (Eigen::Index i = 1; i < n; ++i) {
      column.segment(at, i) += (x.head(i) - x[i]).square();
      at += i;
    }
  }
  return distances;
}

void Matern52FromSquares(const Eigen::ArrayXd& r2, Eigen::ArrayXd& k, Eigen::ArrayXd& c) {
  const Eigen::ArrayXd s = (5 * r2).sqrt();
  c = 5.0 / 3 * (-s).exp();
  k = (1 + s + s.square() / 3) * (c * 0.6);
  c *= 1 + s;
}

}  // namespace strop::tune::gp
