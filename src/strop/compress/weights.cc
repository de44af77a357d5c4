#include "strop/compress/weights.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace strop::compress {
namespace {

constexpr int kScaleSteps = 16;
constexpr double kSmallestShare = 0.7;

// Elements of one channel, strided: outer blocks of `inner` contiguous elements.
struct Channels {
  int64_t count, outer, inner;

  Channels(const Shape& shape, int64_t axis) : count(shape[static_cast<size_t>(axis)]), outer(1), inner(1) {
    for (size_t i = 0; i < shape.size(); ++i) {
      if (static_cast<int64_t>(i) < axis) outer *= shape[i];
      if (static_cast<int64_t>(i) > axis) inner *= shape[i];
    }
  }
  template <class Visit>
  void Each(int64_t channel, Visit visit) const {
    for (int64_t block = 0; block < outer; ++block) {
      const int64_t begin = (block * count + channel) * inner;
      for (int64_t i = 0; i < inner; ++i) visit(static_cast<size_t>(begin + i));
    }
  }
};

float Stored(float value, float scale, int limit) {
  const auto bound = static_cast<float>(limit);
  return std::clamp(std::nearbyint(value / scale), -bound, bound);
}

void Store(const Channels& channels, int64_t channel, std::span<const float> real, float factor, float scale,
           int limit, std::span<int8_t> out) {
  channels.Each(channel,
                [&](size_t i) { out[i] = static_cast<int8_t>(Stored(real[i] * factor, scale, limit)); });
}

}  // namespace

Weights QuantizeWeights(const Tensor& weight, int64_t axis, int limit, float factor) {
  const Channels channels(weight.shape(), axis);
  Weights result{Tensor::New(DType::kI8, weight.shape()), Tensor::New(DType::kF32, {channels.count}), axis};
  const std::span<const float> real = weight.As<float>();
  for (int64_t channel = 0; channel < channels.count; ++channel) {
    float largest = 0;
    channels.Each(channel, [&](size_t i) { largest = std::max(largest, std::abs(real[i] * factor)); });
    float best = largest > 0 ? largest / static_cast<float>(limit) : 1.F;
    double least = -1;
    for (int step = 0; step < kScaleSteps && largest > 0; ++step) {
      const double share = 1 - (1 - kSmallestShare) * step / (kScaleSteps - 1);
      const auto scale = static_cast<float>(largest * share / limit);
      if (!(scale > 0)) break;
      double error = 0;
      channels.Each(channel, [&](size_t i) {
        const float value = real[i] * factor, left = value - scale * Stored(value, scale, limit);
        error += static_cast<double>(left) * left;
      });
      if (least < 0 || error < least) {
        least = error;
        best = scale;
      }
    }
    result.scales.As<float>()[static_cast<size_t>(channel)] = best;
    Store(channels, channel, real, factor, best, limit, result.values.As<int8_t>());
  }
  return result;
}

Tensor QuantizeBias(const Tensor& bias, float activation_scale, const Tensor& weight, int limit, float factor,
                    Weights* weights) {
  constexpr double kMost = 1 << 30;
  const Channels channels(weight.shape(), weights->axis);
  Tensor stored = Tensor::New(DType::kI32, {channels.count});
  for (int64_t channel = 0; channel < channels.count; ++channel) {
    const auto at = static_cast<size_t>(channel);
    const double value = bias.As<float>()[at];
    float& scale = weights->scales.As<float>()[at];
    if (std::abs(value) > kMost * activation_scale * scale) {
      scale = static_cast<float>(std::abs(value) / (kMost * activation_scale));
      Store(channels, channel, weight.As<float>(), factor, scale, limit, weights->values.As<int8_t>());
    }
    stored.As<int32_t>()[at] =
        static_cast<int32_t>(std::nearbyint(value / (static_cast<double>(activation_scale) * scale)));
  }
  return stored;
}

}  // namespace strop::compress
