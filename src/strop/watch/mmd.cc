#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <Eigen/Core>
#include <Eigen/Eigenvalues>

#include "strop/base/error.h"
#include "strop/watch/detector.h"
#include "strop/watch/null_tail.h"
#include "strop/watch/rff.h"

namespace strop::watch {
namespace {

// The threshold.
//
// In the space of D features the score is |m - mu|^2, the distance of the window's mean m from the
// reference's mean mu. Without drift both are means of w and n bounded, independent vectors of covariance S,
// so their difference is close to normal with covariance S (1/w + 1/n), and the score is distributed as (1/w
// + 1/n) * sum of lambda_i Z_i^2 over the eigenvalues of S: the null distribution of Gretton, Fukumizu,
// Harchaoui and Sriperumbudur ("A fast, consistent kernel two-sample test", NeurIPS 2009), whose spectrum is
// consistent when estimated from the sample. Its tail is computed (null_tail.h), not drawn: a rate of one
// window in 500 or in 50,000 costs the same, where windows drawn from n rows say nothing beyond their own
// number, share rows, and make the rate depend on the draw. The term 1/n stands for what the reference's mean
// does not know; it makes the rate right on average over references.
//
// The largest eigenvalues of a sample covariance are too large, the smallest too small, and the tail with
// them. The eigenvalues are therefore drawn to their mean (the linear shrinkage of Ledoit and Wolf, J.
// Multivariate Analysis 88, 2004) until the sum of their squares is tr(S_1 S_2) of the two halves of the
// reference, which estimates tr(S^2) without bias since the halves are independent.

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
constexpr int64_t kMinReference = 100;
constexpr int64_t kBlockRows = 256;
constexpr int kShifts = 3;

// [rows, inputs] of floats.
Tensor FloatRows(const Tensor& rows, const std::string& what) {
  const int64_t count = rows.shape().empty() ? 0 : rows.shape()[0];
  if (count == 0) return Tensor::New(DType::kF32, {0, 0});
  const int64_t inputs = rows.size() / count;
  Tensor floats = (rows.dtype() == DType::kF32 ? rows : rows.Cast(DType::kF32)).Reshaped({count, inputs});
  const auto values = floats.As<float>();
  if (rows.dtype() == DType::kU8) {
    for (float& value : values) value /= 255.0f;
  }
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (bad != values.end()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{}: row {} is not finite", what, (bad - values.begin()) / inputs));
  }
  return floats;
}

// Sums over rows of one half of the reference, in features.
struct Half {
  explicit Half(int64_t features)
      : sum(Eigen::VectorXd::Zero(features)), products(Eigen::MatrixXd::Zero(features, features)) {}
  void Add(const RowMajor& block) {
    const Eigen::MatrixXd rows = block.cast<double>();
    sum += rows.colwise().sum().transpose();
    products.selfadjointView<Eigen::Lower>().rankUpdate(rows.transpose());
    count += static_cast<double>(block.rows());
  }
  Eigen::MatrixXd Covariance() const {
    Eigen::MatrixXd full = products.selfadjointView<Eigen::Lower>();
    full -= sum * sum.transpose() / count;
    return full / (count - 1);
  }
  Eigen::VectorXd sum;
  Eigen::MatrixXd products;
  double count = 0;
};

class Mmd final : public Detector {
 public:
  Mmd(std::string name, const Tensor& reference, const MmdOptions& options)
      : name_(std::move(name)),
        options_(options),
        dtype_(reference.dtype()),
        row_shape_(RowShape(reference)) {
    const Tensor rows = FloatRows(reference, name_ + ": the reference");
    const int64_t count = rows.shape()[0], inputs = rows.shape()[1];
    if (count < std::max(kMinReference, options_.window)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{}: a reference of {} rows: expected at least {}, better ten windows", name_,
                              count, std::max(kMinReference, options_.window)));
    }
    bandwidth_ = MedianBandwidth(rows.As<float>().data(), count, inputs);
    if (!(bandwidth_ > 0)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{}: the rows of the reference are all the same", name_));
    }
    features_ = std::make_unique<RandomFourierFeatures>(inputs, options_.features, bandwidth_, options_.seed);
    Describe(rows);
    Calibrate(rows);
    window_sum_ = Eigen::VectorXd::Zero(options_.features);
    input_sum_ = Eigen::VectorXd::Zero(inputs);
    verdict_.threshold = threshold_;
  }

  const std::string& name() const noexcept override { return name_; }

  Verdict Update(const Tensor& rows) override {
    if (rows.dtype() != dtype_ || rows.shape().empty() || RowShape(rows) != row_shape_) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{}: rows of {} {}: expected {} [rows{}]", name_, DTypeName(rows.dtype()),
                              ShapeText(rows.shape()), DTypeName(dtype_), SizesText(row_shape_)));
    }
    const Tensor floats = FloatRows(rows, name_);
    const int64_t count = floats.shape()[0];
    bool judged = false;
    for (int64_t begin = 0; begin < count;) {
      const int64_t end = std::min({count, begin + options_.window - gathered_, begin + kBlockRows});
      Gather(floats.Rows(begin, end));
      begin = end;
      if (gathered_ < options_.window) continue;
      Verdict verdict = Judge();
      if (!judged || verdict.score > verdict_.score) verdict_ = std::move(verdict);
      judged = true;
    }
    return verdict_;
  }

 private:
  static Shape RowShape(const Tensor& rows) {
    return rows.shape().empty() ? Shape() : Shape(rows.shape().begin() + 1, rows.shape().end());
  }
  static std::string SizesText(const Shape& shape) {
    std::string text;
    for (const int64_t size : shape) text += fmt::format(",{}", size);
    return text;
  }

  RowMajor Features(const Tensor& rows) const {
    RowMajor block(rows.shape()[0], options_.features);
    features_->Map(rows.As<float>().data(), rows.shape()[0], block.data());
    return block;
  }

  // The mean and spread of each input, for the evidence.
  void Describe(const Tensor& rows) {
    const auto values = Eigen::Map<const RowMajor>(rows.As<float>().data(), rows.shape()[0], rows.shape()[1]);
    input_mean_ = Eigen::VectorXd::Zero(values.cols());
    Eigen::VectorXd squares = Eigen::VectorXd::Zero(values.cols());
    for (Eigen::Index i = 0; i < values.rows(); ++i) input_mean_ += values.row(i).cast<double>().transpose();
    input_mean_ /= static_cast<double>(values.rows());
    for (Eigen::Index i = 0; i < values.rows(); ++i) {
      squares += (values.row(i).cast<double>().transpose() - input_mean_).array().square().matrix();
    }
    squares /= static_cast<double>(values.rows());
    // A tenth of the usual spread at least: a column that hardly ever moves would outshine all others
    // otherwise.
    input_spread_ = (squares.array() + 0.01 * squares.mean()).sqrt();
  }

  void Calibrate(const Tensor& rows) {
    const int64_t count = rows.shape()[0];
    Half halves[2] = {Half(options_.features), Half(options_.features)};
    bool odd = false;
    // Blocks of few rows take turns, so that a reference in some order still has two alike halves.
    constexpr int64_t kTurn = 16;
    for (int64_t begin = 0; begin < count; begin += kTurn, odd = !odd) {
      halves[odd].Add(Features(rows.Rows(begin, std::min(count, begin + kTurn))));
    }
    const double trace_of_squares = (halves[0].Covariance().array() * halves[1].Covariance().array()).sum();
    halves[0].sum += halves[1].sum;
    halves[0].products += halves[1].products;
    halves[0].count += halves[1].count;
    const Half& whole = halves[0];
    mean_ = whole.sum / whole.count;

    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(whole.Covariance(), Eigen::EigenvaluesOnly);
    Eigen::VectorXd spectrum = solver.eigenvalues().cwiseMax(0.0);
    const double average = spectrum.mean();
    const double spread = (spectrum.array() - average).square().sum();
    const double wanted = trace_of_squares - average * spectrum.sum();
    const double shrink = spread > 0 ? std::sqrt(std::clamp(wanted / spread, 0.0, 1.0)) : 1.0;
    spectrum = average + shrink * (spectrum.array() - average);
    spectrum *= 1 / static_cast<double>(options_.window) + 1 / whole.count;
    spectrum_.assign(spectrum.begin(), spectrum.end());
    tail_ = static_cast<double>(options_.window) / static_cast<double>(options_.false_alarm_rows);
    threshold_ = QuadraticFormQuantile(spectrum_, tail_);
  }

  void Gather(const Tensor& rows) {
    const RowMajor block = Features(rows);
    window_sum_ += block.cast<double>().colwise().sum().transpose();
    const auto values = Eigen::Map<const RowMajor>(rows.As<float>().data(), rows.shape()[0], rows.shape()[1]);
    input_sum_ += values.cast<double>().colwise().sum().transpose();
    gathered_ += rows.shape()[0];
  }

  Verdict Judge() {
    const double rows = static_cast<double>(options_.window);
    Verdict verdict;
    verdict.score = (window_sum_ / rows - mean_).squaredNorm();
    verdict.threshold = threshold_;
    verdict.drift = verdict.score > verdict.threshold;
    ++windows_;
    auto& evidence = verdict.evidence;
    evidence["window"] = rows;
    evidence["windows"] = static_cast<double>(windows_);
    evidence["tail_probability"] = tail_;
    evidence["p_value"] = QuadraticFormTail(spectrum_, verdict.score);
    evidence["expected_score"] = std::accumulate(spectrum_.begin(), spectrum_.end(), 0.0);
    evidence["bandwidth"] = bandwidth_;
    const Eigen::VectorXd shift = input_sum_ / rows - input_mean_;
    evidence["mean_shift"] = shift.mean();
    const Eigen::VectorXd relative = shift.cwiseQuotient(input_spread_);
    std::vector<Eigen::Index> order(static_cast<size_t>(relative.size()));
    std::iota(order.begin(), order.end(), 0);
    const auto shown = std::min<size_t>(kShifts, order.size());
    std::partial_sort(order.begin(), order.begin() + static_cast<int64_t>(shown), order.end(),
                      [&](auto a, auto b) { return std::abs(relative[a]) > std::abs(relative[b]); });
    for (size_t i = 0; i < shown; ++i) {
      evidence[fmt::format("shift_{}_index", i + 1)] = static_cast<double>(order[i]);
      evidence[fmt::format("shift_{}", i + 1)] = relative[order[i]];
    }
    window_sum_.setZero();
    input_sum_.setZero();
    gathered_ = 0;
    return verdict;
  }

  std::string name_;
  MmdOptions options_;
  DType dtype_;
  Shape row_shape_;
  double bandwidth_ = 0;
  std::unique_ptr<RandomFourierFeatures> features_;
  Eigen::VectorXd input_mean_, input_spread_;
  Eigen::VectorXd mean_;          // of the reference's features
  std::vector<double> spectrum_;  // of the score without drift
  double tail_ = 0;
  double threshold_ = 0;

  Eigen::VectorXd window_sum_, input_sum_;
  int64_t gathered_ = 0;
  int64_t windows_ = 0;
  Verdict verdict_;
};

}  // namespace

std::unique_ptr<Detector> MakeMmd(std::string name, const Tensor& reference, const MmdOptions& options) {
  options.Validate();
  return std::make_unique<Mmd>(std::move(name), reference, options);
}

}  // namespace strop::watch
