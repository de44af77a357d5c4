#pragma once

#include <cstdint>

#include "strop/engine/kernels/depthwise/args.h"

// The one shape of every float kernel, over a vector type V of the ISA file: Reg, kWidth, Set1, Load,
// LoadPart, Store, StorePart, Fma, and Max and Min, which answer the second operand where one is NaN. V lies
// in the ISA file's unnamed namespace and is a parameter of every function, so that each file keeps its own
// instances.
//
// All channels of a few pixels before the next pixels: memory is read in order, whatever the channels.
namespace strop::engine {

// kDepthwisePad of depthwise.h.
template <class V>
inline constexpr int64_t kPadOf = 16;

// P output pixels of one row; their taps ys × xs are inside, the first tap is at in[at] or would be there. K
// > 0: K columns, all inside, with dilation 1 and stride S, so that the pixels share what they load.
template <class V, int K, int S, int P, bool kPart>
inline void DepthwiseVector(const DepthwiseArgs& g, const float* in, int64_t at, const WindowSpan<V>& ys,
                            const WindowSpan<V>& xs, const float* weights, int64_t padded, const float* bias,
                            int64_t count, float* out) noexcept {
  using Reg = typename V::Reg;
  const Window& w = g.window;
  const auto load = [&](const float* p) -> Reg {
    if constexpr (kPart) return V::LoadPart(p, count);
    return V::Load(p);
  };
  Reg sum[P];
  const Reg first = bias != nullptr ? load(bias) : V::Set1(0);
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) sum[p] = first;
  for (int64_t y = ys.begin; y < ys.end; ++y) {
    const int64_t row = at + y * w.dilation_h * w.width * g.in_pixel;
    const float* taps = weights + y * w.kernel_w * padded;
    if constexpr (K > 0) {
      Reg weight[K];
#pragma GCC unroll 8
      for (int x = 0; x < K; ++x) weight[x] = V::Load(taps + x * padded);
#pragma GCC unroll 16
      for (int column = 0; column < (P - 1) * S + K; ++column) {
        const Reg value = load(in + row + column * g.in_pixel);
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p)
          if (column >= p * S && column < p * S + K) sum[p] = V::Fma(value, weight[column - p * S], sum[p]);
      }
    } else {
      for (int64_t x = xs.begin; x < xs.end; ++x) {
        const Reg weight = V::Load(taps + x * padded);
        const float* tap = in + (row + x * w.dilation_w * g.in_pixel);
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) sum[p] = V::Fma(load(tap + p * w.stride_w * g.in_pixel), weight, sum[p]);
      }
    }
  }
  const Reg low = V::Set1(g.low), high = V::Set1(g.high);
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    const Reg y = V::Min(high, V::Max(low, sum[p]));
    if constexpr (kPart) {
      V::StorePart(out + p * g.out_pixel, count, y);
    } else {
      V::Store(out + p * g.out_pixel, y);
    }
  }
}

template <class V, int K, int S, int P>
inline void DepthwisePixels(const DepthwiseArgs& g, int64_t oy, int64_t ox, const WindowSpan<V>& ys,
                            const WindowSpan<V>& xs) noexcept {
  const Window& w = g.window;
  const int64_t padded = (g.channels + kPadOf<V> - 1) / kPadOf<V> * kPadOf<V>;
  const int64_t iy = oy * w.stride_h - w.pad_top, ix = ox * w.stride_w - w.pad_left;
  const int64_t at = (iy * w.width + ix) * g.in_pixel;
  float* out = g.out + (oy * w.out_w + ox) * g.out_pixel;
  int64_t c = 0;
  for (; c + V::kWidth <= g.channels; c += V::kWidth)
    DepthwiseVector<V, K, S, P, false>(g, g.in + c, at, ys, xs, g.weights + c, padded,
                                       g.bias == nullptr ? nullptr : g.bias + c, V::kWidth, out + c);
  if (c < g.channels)
    DepthwiseVector<V, K, S, P, true>(g, g.in + c, at, ys, xs, g.weights + c, padded,
                                      g.bias == nullptr ? nullptr : g.bias + c, g.channels - c, out + c);
}

template <class V, int K, int S>
inline void DepthwiseRows(const DepthwiseArgs& g) noexcept {
  constexpr int kPixels = 4;
  const Window& w = g.window;
  const WindowSpan<V> whole =
      WholeOutputs<V>(w.out_w, w.stride_w, w.pad_left, w.kernel_w, w.dilation_w, w.width);
  const WindowSpan<V> all{0, w.kernel_w};
  for (int64_t oy = g.row0; oy < g.row1; ++oy) {
    const WindowSpan<V> ys = TapsInside<V>(oy * w.stride_h - w.pad_top, w.kernel_h, w.dilation_h, w.height);
    const auto edge = [&](int64_t from, int64_t to) {
      for (int64_t ox = from; ox < to; ++ox)
        DepthwisePixels<V, 0, 0, 1>(
            g, oy, ox, ys, TapsInside<V>(ox * w.stride_w - w.pad_left, w.kernel_w, w.dilation_w, w.width));
    };
    edge(0, whole.begin);
    if (whole.end - whole.begin < kPixels) {
      edge(whole.begin, whole.end);
    } else {
      int64_t ox = whole.begin;
      for (; ox + kPixels <= whole.end; ox += kPixels) DepthwisePixels<V, K, S, kPixels>(g, oy, ox, ys, all);
      // The last ones go over pixels that are done.
      if (ox < whole.end) DepthwisePixels<V, K, S, kPixels>(g, oy, whole.end - kPixels, ys, all);
    }
    edge(whole.end, w.out_w);
  }
}

template <class V>
inline void Depthwise(const DepthwiseArgs& g) noexcept {
  const Window& w = g.window;
  if (w.kernel_w == 3 && w.dilation_w == 1 && w.stride_w == 1) return DepthwiseRows<V, 3, 1>(g);
  if (w.kernel_w == 3 && w.dilation_w == 1 && w.stride_w == 2) return DepthwiseRows<V, 3, 2>(g);
  if (w.kernel_w == 5 && w.dilation_w == 1 && w.stride_w == 1) return DepthwiseRows<V, 5, 1>(g);
  if (w.kernel_w == 5 && w.dilation_w == 1 && w.stride_w == 2) return DepthwiseRows<V, 5, 2>(g);
  DepthwiseRows<V, 0, 0>(g);
}

}  // namespace strop::engine
