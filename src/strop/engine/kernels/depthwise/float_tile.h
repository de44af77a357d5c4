#pragma once

#include <cstdint>

#include "strop/engine/kernels/depthwise/args.h"

// The shapes of every float kernel, over a vector type V of the ISA file: Reg, kWidth, Set1, Load, LoadPart,
// Store, StorePart, Fma, and Max and Min, which answer the second operand where one is NaN. V lies in the ISA
// file's unnamed namespace and is a parameter of every function, so that each file keeps its own instances.
//
// Small square kernels go over the image a vector of channels at a time, whose weights stay in registers, and
// four pixels share what they load. Any other kernel takes all channels of a few pixels before the next.
namespace strop::engine {

// kDepthwisePad of depthwise.h.
template <class V>
inline constexpr int64_t kPadOf = 16;

// Where a vector of channels begins, and of how many it is.
template <class V, bool kPart>
struct DepthwiseLanes {
  int64_t channel, count;

  typename V::Reg Load(const float* p) const noexcept {
    if constexpr (kPart) return V::LoadPart(p, count);
    return V::Load(p);
  }
  void Store(float* p, typename V::Reg x) const noexcept {
    if constexpr (kPart) {
      V::StorePart(p, count, x);
    } else {
      V::Store(p, x);
    }
  }
};

// Calls each(lanes) over all channels.
template <class V, class Each>
inline void EachVector(int64_t channels, Each each) noexcept {
  int64_t c = 0;
  for (; c + V::kWidth <= channels; c += V::kWidth) each(DepthwiseLanes<V, false>{c, V::kWidth});
  if (c < channels) each(DepthwiseLanes<V, true>{c, channels - c});
}

template <class V>
inline int64_t PaddedChannels(const DepthwiseArgs& g) noexcept {
  return (g.channels + kPadOf<V> - 1) / kPadOf<V> * kPadOf<V>;
}

// P output pixels of one row, whose taps ys × xs are inside; the first tap is in[at], or would be.
template <class V, int P, bool kPart>
inline void AnyVector(const DepthwiseArgs& g, const DepthwiseLanes<V, kPart>& lanes, int64_t at,
                      const WindowSpan<V>& ys, const WindowSpan<V>& xs, float* out) noexcept {
  using Reg = typename V::Reg;
  const Window& w = g.window;
  const int64_t padded = PaddedChannels<V>(g);
  Reg sum[P];
  const Reg first = g.bias != nullptr ? lanes.Load(g.bias + lanes.channel) : V::Set1(0);
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p) sum[p] = first;
  for (int64_t y = ys.begin; y < ys.end; ++y) {
    const int64_t row = at + y * w.dilation_h * w.width * g.in_pixel + lanes.channel;
    for (int64_t x = xs.begin; x < xs.end; ++x) {
      const Reg weight = V::Load(g.weights + (y * w.kernel_w + x) * padded + lanes.channel);
      const float* tap = g.in + (row + x * w.dilation_w * g.in_pixel);
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p)
        sum[p] = V::Fma(lanes.Load(tap + p * w.stride_w * g.in_pixel), weight, sum[p]);
    }
  }
  const Reg low = V::Set1(g.low), high = V::Set1(g.high);
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p)
    lanes.Store(out + p * g.out_pixel + lanes.channel, V::Min(high, V::Max(low, sum[p])));
}

template <class V, int P>
inline void AnyPixels(const DepthwiseArgs& g, int64_t oy, int64_t ox, const WindowSpan<V>& ys,
                      const WindowSpan<V>& xs) noexcept {
  const Window& w = g.window;
  const int64_t iy = oy * w.stride_h - w.pad_top, ix = ox * w.stride_w - w.pad_left;
  const int64_t at = (iy * w.width + ix) * g.in_pixel;
  float* out = g.out + (oy * w.out_w + ox) * g.out_pixel;
  EachVector<V>(g.channels, [&](const auto& lanes) { AnyVector<V, P>(g, lanes, at, ys, xs, out); });
}

template <class V>
inline void AnyRows(const DepthwiseArgs& g) noexcept {
  constexpr int kPixels = 4;
  const Window& w = g.window;
  const WindowSpan<V> whole =
      WholeOutputs<V>(w.out_w, w.stride_w, w.pad_left, w.kernel_w, w.dilation_w, w.width);
  for (int64_t oy = g.row0; oy < g.row1; ++oy) {
    const WindowSpan<V> ys = TapsInside<V>(oy * w.stride_h - w.pad_top, w.kernel_h, w.dilation_h, w.height);
    for (int64_t ox = 0; ox < w.out_w;) {
      if (ox >= whole.begin && ox + kPixels <= whole.end) {
        AnyPixels<V, kPixels>(g, oy, ox, ys, WindowSpan<V>{0, w.kernel_w});
        ox += kPixels;
      } else {
        const int64_t ix = ox * w.stride_w - w.pad_left;
        AnyPixels<V, 1>(g, oy, ox, ys, TapsInside<V>(ix, w.kernel_w, w.dilation_w, w.width));
        ++ox;
      }
    }
  }
}

// What a vector of channels of a K × K kernel keeps, and the rows that its taps are in; nullptr: in the
// padding.
template <class V, int K>
struct SquareKernel {
  typename V::Reg weight[K * K], bias, low, high;
  const float* row[K];
  const float* padding;  // a vector of zeros
};

// P output pixels from `ox` on, of stride S and dilation 1 along the row. kEdge: taps may be in the padding.
template <class V, int K, int S, int P, bool kEdge, bool kPart>
inline void SquarePixels(const DepthwiseArgs& g, const SquareKernel<V, K>& kernel,
                         const DepthwiseLanes<V, kPart>& lanes, int64_t ox, float* out) noexcept {
  using Reg = typename V::Reg;
  const int64_t ix = ox * S - g.window.pad_left;
  Reg sum[P];
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p) sum[p] = kernel.bias;
#pragma GCC unroll 5
  for (int y = 0; y < K; ++y) {
    const float* row = kEdge ? kernel.row[y] : kernel.row[y] + ix * g.in_pixel;
#pragma GCC unroll 16
    for (int column = 0; column < (P - 1) * S + K; ++column) {
      const float* tap;
      if constexpr (kEdge) {
        const bool inside = row != nullptr && ix + column >= 0 && ix + column < g.window.width;
        tap = inside ? row + (ix + column) * g.in_pixel : kernel.padding;
      } else {
        tap = row + column * g.in_pixel;
      }
      const Reg value = lanes.Load(tap);
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p)
        if (column >= p * S && column < p * S + K)
          sum[p] = V::Fma(value, kernel.weight[y * K + column - p * S], sum[p]);
    }
  }
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p)
    lanes.Store(out + (ox + p) * g.out_pixel, V::Min(kernel.high, V::Max(kernel.low, sum[p])));
}

template <class V, int K, int S, bool kPart>
inline void SquareVector(const DepthwiseArgs& g, const DepthwiseLanes<V, kPart>& lanes) noexcept {
  constexpr int kPixels = 4;
  alignas(64) static constexpr float kZeros[16] = {};
  const Window& w = g.window;
  const WindowSpan<V> whole = WholeOutputs<V>(w.out_w, S, w.pad_left, K, 1, w.width);
  SquareKernel<V, K> kernel;
#pragma GCC unroll 32
  for (int tap = 0; tap < K * K; ++tap)
    kernel.weight[tap] = V::Load(g.weights + tap * PaddedChannels<V>(g) + lanes.channel);
  kernel.bias = g.bias != nullptr ? lanes.Load(g.bias + lanes.channel) : V::Set1(0);
  kernel.low = V::Set1(g.low);
  kernel.high = V::Set1(g.high);
  kernel.padding = kZeros;
  for (int64_t oy = g.row0; oy < g.row1; ++oy) {
    bool rows = true;
#pragma GCC unroll 5
    for (int y = 0; y < K; ++y) {
      const int64_t iy = oy * w.stride_h - w.pad_top + y * w.dilation_h;
      const bool inside = iy >= 0 && iy < w.height;
      kernel.row[y] = inside ? g.in + iy * w.width * g.in_pixel + lanes.channel : nullptr;
      rows = rows && inside;
    }
    float* out = g.out + oy * w.out_w * g.out_pixel + lanes.channel;
    int64_t ox = 0;
    for (; ox + kPixels <= w.out_w; ox += kPixels) {
      if (rows && ox >= whole.begin && ox + kPixels <= whole.end) {
        SquarePixels<V, K, S, kPixels, false>(g, kernel, lanes, ox, out);
      } else {
        SquarePixels<V, K, S, kPixels, true>(g, kernel, lanes, ox, out);
      }
    }
    // The last ones go over pixels that are done.
    if (w.out_w - ox > 1 && w.out_w >= kPixels) {
      SquarePixels<V, K, S, kPixels, true>(g, kernel, lanes, w.out_w - kPixels, out);
    } else {
      for (; ox < w.out_w; ++ox) SquarePixels<V, K, S, 1, true>(g, kernel, lanes, ox, out);
    }
  }
}

template <class V, int K, int S>
inline void Square(const DepthwiseArgs& g) noexcept {
  const Window& w = g.window;
  DepthwiseArgs slab = g;
  EachSlab<V>(w, g.row0, g.row1, w.width * g.in_pixel * int64_t{sizeof(float)},
              [&](int64_t row0, int64_t row1) {
                slab.row0 = row0;
                slab.row1 = row1;
                EachVector<V>(g.channels, [&](const auto& lanes) { SquareVector<V, K, S>(slab, lanes); });
              });
}

template <class V>
inline void Depthwise(const DepthwiseArgs& g) noexcept {
  const Window& w = g.window;
  if (w.kernel_h == w.kernel_w && w.dilation_w == 1) {
    if (w.kernel_w == 3 && w.stride_w == 1) return Square<V, 3, 1>(g);
    if (w.kernel_w == 3 && w.stride_w == 2) return Square<V, 3, 2>(g);
    if (w.kernel_w == 5 && w.stride_w == 1) return Square<V, 5, 1>(g);
    if (w.kernel_w == 5 && w.stride_w == 2) return Square<V, 5, 2>(g);
  }
  AnyRows<V>(g);
}

}  // namespace strop::engine
