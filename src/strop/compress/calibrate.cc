#include "strop/compress/calibrate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/compress/predict.h"
#include "strop/engine/session.h"

namespace strop::compress {
namespace {

constexpr int kClipSteps = 20;
constexpr float kSmallestShare = 0.2F;

}  // namespace

Histogram::Histogram(float low, float high)
    : low_(low), high_(high), bin_((high - low) / static_cast<float>(kBins)), counts_(kBins, 0) {
  if (!std::isfinite(low) || !std::isfinite(high) || high < low) {
    throw Error(Code::kInvalidArgument,
                fmt::format("a histogram from {} to {}: expected finite bounds in order", low, high));
  }
}

void Histogram::Add(const float* values, int64_t count) {
  const float scale = bin_ > 0 ? 1 / bin_ : 0;
  for (int64_t i = 0; i < count; ++i) {
    const float value = values[i];
    if (value == 0) continue;
    const auto at = static_cast<int64_t>((value - low_) * scale);
    ++counts_[static_cast<size_t>(std::clamp<int64_t>(at, 0, kBins - 1))];
  }
}

double Histogram::ErrorOf(const Points& points, float low, float high) {
  const double step = (static_cast<double>(high) - low) / 255;
  double error = 0;
  for (const auto& [value, count] : points) {
    const double stored =
        std::clamp(std::nearbyint(value / step) * step, static_cast<double>(low), static_cast<double>(high));
    error += count * (value - stored) * (value - stored);
  }
  return error;
}

Range Histogram::BestRange() const {
  const float low = std::min(low_, 0.F), high = std::max(high_, 0.F);
  Range best{low, high};
  if (low == high) return best;
  Points points;
  for (size_t i = 0; i < kBins; ++i) {
    if (counts_[i] > 0)
      points.emplace_back(low_ + (static_cast<double>(i) + 0.5) * bin_, static_cast<double>(counts_[i]));
  }
  double least = ErrorOf(points, low, high);
  const auto share = [](int step) {
    return 1 - (1 - kSmallestShare) * static_cast<float>(step) / kClipSteps;
  };
  const int low_steps = low < 0 ? kClipSteps : 0, high_steps = high > 0 ? kClipSteps : 0;
  for (int i = 0; i <= low_steps; ++i) {
    for (int j = 0; j <= high_steps; ++j) {
      const Range range{low * share(i), high * share(j)};
      const double error = ErrorOf(points, range.low, range.high);
      if (error < least) {
        least = error;
        best = range;
      }
    }
  }
  return best;
}

Tensor ChannelMeans(engine::Session& session, const TensorMap& rows, const std::string& value, int64_t axis) {
  const RowRunner runner(session.inputs(), rows);
  std::vector<double> sums;
  double count = 0;  // of values a channel
  for (int64_t index = 0; index < runner.slices(); ++index) {
    int64_t valid = 0;
    const TensorMap slice = runner.Slice(index, &valid);
    const Tensor part = session.Run(slice, {value}).at(value).Rows(0, valid);
    const Shape& shape = part.shape();
    const int64_t channels = shape[static_cast<size_t>(axis)];
    const int64_t inner = ElementCount({shape.begin() + axis + 1, shape.end()});
    sums.resize(static_cast<size_t>(channels), 0);
    const float* data = part.As<float>().data();
    for (int64_t i = 0; i < part.size(); ++i) sums[static_cast<size_t>(i / inner % channels)] += data[i];
    count += static_cast<double>(part.size()) / static_cast<double>(channels);
  }
  Tensor means = Tensor::New(DType::kF32, {static_cast<int64_t>(sums.size())});
  for (size_t i = 0; i < sums.size(); ++i) means.As<float>()[i] = static_cast<float>(sums[i] / count);
  return means;
}

std::map<std::string, Range> Calibrate(const model::Graph& graph, const std::vector<std::string>& values,
                                       const TensorMap& rows, int threads,
                                       const std::function<void(int64_t done, int64_t total)>& progress) {
  engine::SessionOptions options;
  options.threads = threads;
  std::vector<std::string> tapped;  // an input of the graph is read from the rows themselves
  for (const std::string& value : values) {
    if (graph.FindInput(value) == nullptr) tapped.push_back(value);
  }
  options.taps = tapped;
  const std::unique_ptr<engine::Session> session = engine::Session::Make(graph, options);
  const RowRunner runner(graph.inputs, rows);

  const auto each = [&](int pass, const auto& visit) {
    for (int64_t index = 0; index < runner.slices(); ++index) {
      int64_t valid = 0;
      TensorMap slice = runner.Slice(index, &valid);
      if (!tapped.empty()) slice.merge(session->Run(slice, tapped));
      for (const std::string& value : values) {
        const Tensor& tensor = slice.at(value);
        visit(value, tensor.As<float>().data(), tensor.size());
      }
      if (progress) progress(pass * runner.slices() + index + 1, 2 * runner.slices());
    }
  };

  std::map<std::string, Range> extremes;
  each(0, [&](const std::string& value, const float* data, int64_t count) {
    const auto [entry, added] = extremes.try_emplace(
        value, Range{std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()});
    Range& range = entry->second;
    for (int64_t i = 0; i < count; ++i) {
      if (!std::isfinite(data[i])) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("the value '{}' is {} for a calibration row: INT8 needs finite activations",
                                value, data[i]));
      }
      range.low = std::min(range.low, data[i]);
      range.high = std::max(range.high, data[i]);
    }
  });

  std::map<std::string, Histogram> histograms;
  for (const auto& [value, range] : extremes) histograms.try_emplace(value, range.low, range.high);
  each(1, [&](const std::string& value, const float* data, int64_t count) {
    histograms.at(value).Add(data, count);
  });

  std::map<std::string, Range> ranges;
  for (const auto& [value, histogram] : histograms) ranges[value] = histogram.BestRange();
  return ranges;
}

}  // namespace strop::compress
