#include "strop/feed/transforms/resample.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

namespace strop::feed {
namespace {

// What each output position takes of the inputs: `taps` weights from `first` on.
struct Weights {
  int64_t in = 0, out = 0;
  Interpolation how = Interpolation::kBilinear;
  int64_t taps = 0;  // the most that one position has; shorter rows end in zeros
  int precision = 0;
  std::vector<int32_t> first, count;
  std::vector<float> real;
  std::vector<int16_t> fixed;  // real * 2^precision; each row sums to 2^precision exactly
};

constexpr int kFraction = 6;       // bits kept between the passes
constexpr int kMaxPrecision = 16;  // 255 * 2^(kFraction + 16) is within 31 bits

void FixRow(const std::vector<double>& row, int precision, int16_t* out) {
  int32_t rest = 1 << precision;
  size_t largest = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    out[i] = static_cast<int16_t>(std::lround(std::ldexp(row[i], precision)));
    rest -= out[i];
    if (row[i] > row[largest]) largest = i;
  }
  out[largest] = static_cast<int16_t>(out[largest] + rest);
}

std::shared_ptr<const Weights> MakeWeights(int64_t in, int64_t out, Interpolation how) {
  auto weights = std::make_shared<Weights>();
  weights->in = in;
  weights->out = out;
  weights->how = how;
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = how == Interpolation::kBilinearAntialias ? std::max(scale, 1.0) : 1.0;
  std::vector<std::vector<double>> rows;
  double heaviest = 0;
  for (int64_t x = 0; x < out; ++x) {
    const double centre = (static_cast<double>(x) + 0.5) * scale;
    const int64_t first = std::max(static_cast<int64_t>(std::floor(centre - support + 0.5)), int64_t{0});
    const int64_t end = std::min(static_cast<int64_t>(std::floor(centre + support + 0.5)), in);
    std::vector<double> row;
    double sum = 0;
    for (int64_t i = first; i < end; ++i) {
      const double distance = std::fabs(static_cast<double>(i) + 0.5 - centre) / support;
      row.push_back(std::max(1.0 - distance, 0.0));
      sum += row.back();
    }
    for (double& weight : row) heaviest = std::max(heaviest, weight /= sum);
    weights->first.push_back(static_cast<int32_t>(first));
    weights->count.push_back(static_cast<int32_t>(row.size()));
    weights->taps = std::max(weights->taps, end - first);
    rows.push_back(std::move(row));
  }
  while (weights->precision < kMaxPrecision && std::ldexp(heaviest, weights->precision + 1) < 32000) {
    ++weights->precision;
  }
  const auto taps = static_cast<size_t>(weights->taps);
  weights->real.assign(rows.size() * taps, 0);
  weights->fixed.assign(rows.size() * taps, 0);
  for (size_t x = 0; x < rows.size(); ++x) {
    std::copy(rows[x].begin(), rows[x].end(), weights->real.begin() + static_cast<int64_t>(x * taps));
    FixRow(rows[x], weights->precision, &weights->fixed[x * taps]);
  }
  return weights;
}

// Images of one column tend to a few sizes; the table of each is made once a thread.
std::shared_ptr<const Weights> GetWeights(int64_t in, int64_t out, Interpolation how) {
  thread_local std::array<std::shared_ptr<const Weights>, 16> cache;
  thread_local size_t next = 0;
  for (const auto& entry : cache) {
    if (entry && entry->in == in && entry->out == out && entry->how == how) return entry;
  }
  auto made = MakeWeights(in, out, how);
  cache[next++ % cache.size()] = made;
  return made;
}

// One row of the first pass: a weighted sum of `count` rows, `stride` apart.
void SumRows(const uint8_t* in, int64_t stride, const int16_t* weights, int64_t count, int precision,
             int64_t width, int32_t* __restrict sums, int16_t* __restrict out) {
  const int shift = precision - kFraction;
  const int32_t half = shift > 0 ? 1 << (shift - 1) : 0;
  for (int64_t x = 0; x < width; ++x) sums[x] = half;
  for (int64_t i = 0; i < count; ++i, in += stride) {
    const int16_t weight = weights[i];
    for (int64_t x = 0; x < width; ++x) sums[x] += weight * static_cast<int16_t>(in[x]);
  }
  for (int64_t x = 0; x < width; ++x) out[x] = static_cast<int16_t>(sums[x] >> shift);
}

void SumRows(const float* in, int64_t stride, const float* weights, int64_t count, int64_t width,
             float* __restrict out) {
  for (int64_t x = 0; x < width; ++x) out[x] = weights[0] * in[x];
  for (int64_t i = 1; i < count; ++i) {
    in += stride;
    for (int64_t x = 0; x < width; ++x) out[x] += weights[i] * in[x];
  }
}

// The second pass over one row, which goes on for as many values as there are taps. kTaps: how many that are,
// where the loop over them pays to be none; else 0.
template <int kTaps>
void SumTaps(const int16_t* in, const Weights& weights, uint8_t* __restrict out) {
  const int64_t taps = kTaps > 0 ? kTaps : weights.taps;
  const int shift = weights.precision + kFraction;
  const int16_t* row = weights.fixed.data();
  for (size_t x = 0; x < weights.first.size(); ++x, row += taps) {
    const int16_t* at = in + weights.first[x];
    int32_t sum = 1 << (shift - 1);
    for (int64_t i = 0; i < taps; ++i) sum += row[i] * at[i];
    out[x] = static_cast<uint8_t>(sum >> shift);
  }
}

void SumColumns(const int16_t* in, const Weights& weights, uint8_t* out) {
  switch (weights.taps) {
    case 1:
      return SumTaps<1>(in, weights, out);
    case 2:
      return SumTaps<2>(in, weights, out);
    case 3:
      return SumTaps<3>(in, weights, out);
    case 4:
      return SumTaps<4>(in, weights, out);
    default:
      return SumTaps<0>(in, weights, out);
  }
}

void SumColumns(const float* in, const Weights& weights, float* out) {
  const float* row = weights.real.data();
  for (size_t x = 0; x < weights.first.size(); ++x, row += weights.taps) {
    const float* at = in + weights.first[x];
    float sum = 0;
    for (int32_t i = 0; i < weights.count[x]; ++i) sum += row[i] * at[i];
    out[x] = sum;
  }
}

void ResampleBytes(const Image& image, const Weights& down, const Weights& across, uint8_t* out) {
  thread_local std::vector<int32_t> sums;
  thread_local std::vector<int16_t> between;
  sums.resize(std::max(sums.size(), static_cast<size_t>(image.width)));
  between.resize(std::max(between.size(), static_cast<size_t>(image.width + across.taps)));
  for (int64_t c = 0; c < image.channels; ++c) {
    for (size_t y = 0; y < down.first.size(); ++y, out += across.out) {
      SumRows(image.Row(c, down.first[y]), image.row_stride, &down.fixed[y * static_cast<size_t>(down.taps)],
              down.count[y], down.precision, image.width, sums.data(), between.data());
      SumColumns(between.data(), across, out);
    }
  }
}

void ResampleFloats(const Image& image, const Weights& down, const Weights& across, float* out) {
  thread_local std::vector<float> between;
  between.resize(std::max(between.size(), static_cast<size_t>(image.width)));
  for (int64_t c = 0; c < image.channels; ++c) {
    for (size_t y = 0; y < down.first.size(); ++y, out += across.out) {
      SumRows(reinterpret_cast<const float*>(image.Row(c, down.first[y])), image.row_stride,
              &down.real[y * static_cast<size_t>(down.taps)], down.count[y], image.width, between.data());
      SumColumns(between.data(), across, out);
    }
  }
}

int64_t Under(int64_t x, int64_t in, int64_t out) { return std::min((2 * x + 1) * in / (2 * out), in - 1); }

template <class T>
void Nearest(const Image& image, int64_t height, int64_t width, T* out) {
  for (int64_t c = 0; c < image.channels; ++c) {
    for (int64_t y = 0; y < height; ++y) {
      const T* row = reinterpret_cast<const T*>(image.Row(c, Under(y, image.height, height)));
      for (int64_t x = 0; x < width; ++x) *out++ = row[Under(x, image.width, width)];
    }
  }
}

void Copy(const Image& image, uint8_t* out) {
  const size_t bytes = static_cast<size_t>(image.width) * SizeOf(image.dtype);
  for (int64_t c = 0; c < image.channels; ++c) {
    for (int64_t y = 0; y < image.height; ++y, out += bytes) std::memcpy(out, image.Row(c, y), bytes);
  }
}

}  // namespace

void Resample(const Image& image, int64_t height, int64_t width, Interpolation how, uint8_t* out) {
  const bool bytes = image.dtype == DType::kU8;
  if (image.height == height && image.width == width) return Copy(image, out);
  if (how == Interpolation::kNearest) {
    return bytes ? Nearest(image, height, width, out)
                 : Nearest(image, height, width, reinterpret_cast<float*>(out));
  }
  const auto down = GetWeights(image.height, height, how);
  const auto across = GetWeights(image.width, width, how);
  if (bytes) return ResampleBytes(image, *down, *across, out);
  ResampleFloats(image, *down, *across, reinterpret_cast<float*>(out));
}

}  // namespace strop::feed
