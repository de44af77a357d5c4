#include "strop/tune/gp/gp.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <Eigen/Cholesky>

#include "strop/base/error.h"
#include "strop/tune/gp/lbfgs.h"

namespace strop::tune::gp {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// Keeps the covariance positive definite when points coincide and the noise is fitted away.
constexpr double kJitter = 1e-8;

// Of many samples, those that a fit looks at.
Samples Thin(const Samples& samples) {
  const Eigen::Index n = samples.outputs.size();
  if (n <= kFitSamples) return samples;
  std::vector<Eigen::Index> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return samples.outputs[a] < samples.outputs[b]; });
  const Eigen::Index best = kFitSamples / 4, rest = kFitSamples - best;
  Samples thin{MatrixXd(kFitSamples, samples.points.cols()), VectorXd(kFitSamples), samples.group,
               samples.groups};
  for (Eigen::Index i = 0; i < kFitSamples; ++i) {
    const Eigen::Index from = i < best ? i : best + (i - best) * (n - best) / rest;
    thin.points.row(i) = samples.points.row(order[static_cast<size_t>(from)]);
    thin.outputs[i] = samples.outputs[order[static_cast<size_t>(from)]];
  }
  return thin;
}

double Square(double x) { return x * x; }

constexpr Eigen::Index kBlock = 24;  // below which halving does not pay

// Replaces an upper triangular matrix by its inverse, by halves.
void InvertUpper(Eigen::Ref<MatrixXd> u) {
  const Eigen::Index n = u.rows(), h = n / 2;
  if (n <= kBlock) {
    u = u.triangularView<Eigen::Upper>().solve(MatrixXd::Identity(n, n)).eval();
    return;
  }
  InvertUpper(u.topLeftCorner(h, h));
  InvertUpper(u.bottomRightCorner(n - h, n - h));
  auto corner = u.topRightCorner(h, n - h);
  const MatrixXd left = u.topLeftCorner(h, h).triangularView<Eigen::Upper>() * corner;
  corner.noalias() = -left * u.bottomRightCorner(n - h, n - h).triangularView<Eigen::Upper>();
}

// The upper half of v vᵀ of an upper triangular matrix, by halves.
void SquareUpper(const Eigen::Ref<const MatrixXd>& v, Eigen::Ref<MatrixXd> square) {
  const Eigen::Index n = v.rows(), h = n / 2;
  if (n <= kBlock) {
    square.triangularView<Eigen::Upper>() =
        (MatrixXd(v.triangularView<Eigen::Upper>()) * v.triangularView<Eigen::Upper>().transpose()).eval();
    return;
  }
  SquareUpper(v.topLeftCorner(h, h), square.topLeftCorner(h, h));
  SquareUpper(v.bottomRightCorner(n - h, n - h), square.bottomRightCorner(n - h, n - h));
  const auto corner = v.topRightCorner(h, n - h);
  square.topLeftCorner(h, h).selfadjointView<Eigen::Upper>().rankUpdate(corner);
  square.topRightCorner(h, n - h).noalias() =
      corner * v.bottomRightCorner(n - h, n - h).triangularView<Eigen::Upper>().transpose();
}

}  // namespace

Prior::Prior(int groups) : lengthscale_mean(-1 + 0.5 * std::log(std::max(1, groups))) {}

Hyper Prior::Mode(int groups) const {
  return {VectorXd::Constant(groups, lengthscale_mean), signal_mean, noise_mean};
}

LogPosterior::LogPosterior(const Samples& samples, const Prior& prior)
    : distances_(PairDistances(samples.points, samples.group, samples.groups)),
      outputs_(samples.outputs),
      prior_(prior) {}

double LogPosterior::operator()(const VectorXd& vector, VectorXd& gradient) const {
  const Hyper hyper = Hyper::FromVector(vector);
  const Eigen::Index n = outputs_.size(), groups = hyper.log_lengthscale.size();
  const VectorXd weights = (-2 * hyper.log_lengthscale).array().exp();
  const double signal = std::exp(hyper.log_signal), noise = std::exp(hyper.log_noise);

  Eigen::ArrayXd k, c;
  Matern52FromSquares((distances_ * weights).array(), k, c);
  MatrixXd covariance(n, n);
  Eigen::Index at = 0;
  // Pairs are listed row by row; filling the upper triangle's columns keeps the copies contiguous.
  for (Eigen::Index i = 0; i < n; ++i) {
    covariance.col(i).head(i) = signal * k.segment(at, i);
    covariance(i, i) = signal + noise + kJitter;
    at += i;
  }
  const Eigen::LLT<MatrixXd, Eigen::Upper> llt(covariance);
  gradient.setZero(groups + 2);
  if (llt.info() != Eigen::Success) return std::numeric_limits<double>::quiet_NaN();
  const VectorXd alpha = llt.solve(outputs_);
  // Its upper half, for a third of what a general inverse takes.
  MatrixXd root = llt.matrixU(), inverse(n, n);
  InvertUpper(root);
  SquareUpper(root, inverse);

  double value = -0.5 * outputs_.dot(alpha) - llt.matrixLLT().diagonal().array().log().sum() -
                 0.5 * static_cast<double>(n) * std::log(2 * M_PI);
  // dL/dθ = ½ tr((ααᵀ - K⁻¹) dK/dθ); off the diagonal every pair counts twice, which cancels the half.
  Eigen::ArrayXd pull(k.size());
  at = 0;
  for (Eigen::Index i = 0; i < n; ++i) {
    pull.segment(at, i) = alpha.head(i).array() * alpha[i] - inverse.col(i).head(i).array();
    at += i;
  }
  const double diagonal = 0.5 * (alpha.squaredNorm() - inverse.trace());
  gradient.head(groups) = signal * (distances_.transpose() * (pull * c).matrix()).cwiseProduct(weights);
  gradient[groups] = signal * ((pull * k).sum() + diagonal);
  gradient[groups + 1] = noise * diagonal;

  auto prior = [&](Eigen::Index i, double mean, double deviation) {
    value -= 0.5 * Square((vector[i] - mean) / deviation);
    gradient[i] -= (vector[i] - mean) / Square(deviation);
  };
  for (Eigen::Index g = 0; g < groups; ++g) prior(g, prior_.lengthscale_mean, prior_.lengthscale_deviation);
  prior(groups, prior_.signal_mean, prior_.signal_deviation);
  prior(groups + 1, prior_.noise_mean, prior_.noise_deviation);
  return value;
}

Hyper FitHyper(const Samples& samples) {
  const Prior prior(samples.groups);
  const LogPosterior posterior(Thin(samples), prior);
  const Objective loss = [&](const VectorXd& x, VectorXd& gradient) {
    const double value = posterior(x, gradient);
    gradient = -gradient;
    return -value;
  };
  const Eigen::Index size = samples.groups + 2;
  VectorXd low = VectorXd::Constant(size, std::log(0.01)), high = VectorXd::Constant(size, std::log(1000.0));
  low.tail(2) << std::log(0.01), std::log(1e-6);
  high.tail(2) << std::log(100.0), std::log(1.0);
  Hyper smooth = prior.Mode(samples.groups);
  smooth.log_lengthscale.array() += 2;
  // From two starts a little, from where the better one led to the end.
  LbfgsOptions options;
  options.max_evaluations = 10;
  options.value_tolerance = 1e-5;
  const LbfgsResult a = MinimizeLbfgs(loss, prior.Mode(samples.groups).ToVector(), low, high, options);
  const LbfgsResult b = MinimizeLbfgs(loss, smooth.ToVector(), low, high, options);
  options.max_evaluations = 25;
  return Hyper::FromVector(MinimizeLbfgs(loss, b.value < a.value ? b.x : a.x, low, high, options).x);
}

Gp::Gp(Samples samples, const Hyper& hyper, Eigen::Index exact)
    : samples_(std::move(samples)), kernel_(samples_.group, hyper) {
  MatrixXd covariance = kernel_.Cross(samples_.points, samples_.points.transpose());
  const Eigen::Index noisy = samples_.points.rows() - exact;
  double jitter = kJitter;
  for (int attempt = 0;; ++attempt) {
    covariance.diagonal().setConstant(kernel_.signal() + jitter);
    covariance.diagonal().head(noisy).array() += std::exp(hyper.log_noise);
    const Eigen::LLT<MatrixXd> llt(covariance);
    if (llt.info() == Eigen::Success) {
      factor_ = llt.matrixL();
      alpha_ = llt.solve(samples_.outputs);
      return;
    }
    if (attempt == 8) throw Error(Code::kInternal, "the covariance of the trials is not positive definite");
    jitter *= 10;
  }
}

MatrixXd Gp::CrossAt(const MatrixXd& queries, VectorXd& deviation) const {
  MatrixXd cross = kernel_.Cross(samples_.points, queries);
  const MatrixXd half = factor_.triangularView<Eigen::Lower>().solve(cross);
  deviation = (kernel_.signal() - half.colwise().squaredNorm().transpose().array()).max(1e-12).sqrt();
  return cross;
}

void Gp::Predict(const MatrixXd& queries, VectorXd& mean, VectorXd& deviation) const {
  mean = CrossAt(queries, deviation).transpose() * alpha_;
}

void Gp::PredictTogether(const MatrixXd& queries, VectorXd& mean, MatrixXd& covariance) const {
  MatrixXd cross = kernel_.Cross(samples_.points, queries);
  mean = cross.transpose() * alpha_;
  factor_.triangularView<Eigen::Lower>().solveInPlace(cross);
  covariance = kernel_.Cross(queries.transpose(), queries) - cross.transpose() * cross;
}

MatrixXd Gp::Solve(const MatrixXd& outputs) const {
  const MatrixXd half = factor_.triangularView<Eigen::Lower>().solve(outputs);
  return factor_.triangularView<Eigen::Lower>().adjoint().solve(half);
}

Gp::Parts Gp::PartsAt(const VectorXd& x) const {
  Parts parts;
  kernel_.CrossWithGradient(samples_.points, x, parts.cross, parts.cross_gradient);
  VectorXd v = factor_.triangularView<Eigen::Lower>().solve(parts.cross);
  parts.deviation = std::sqrt(std::max(1e-12, kernel_.signal() - v.squaredNorm()));
  factor_.triangularView<Eigen::Lower>().adjoint().solveInPlace(v);
  parts.deviation_gradient = -(parts.cross_gradient.transpose() * v) / parts.deviation;
  return parts;
}

Gp::Point Gp::PredictWithGradient(const VectorXd& x) const {
  const Parts parts = PartsAt(x);
  return {parts.cross.dot(alpha_), parts.deviation, parts.cross_gradient.transpose() * alpha_,
          parts.deviation_gradient};
}

}  // namespace strop::tune::gp
