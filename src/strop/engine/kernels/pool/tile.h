#pragma once

#include <cstdint>

#include "strop/engine/kernels/pool/args.h"

// The one shape of every kernel, over types V of the ISA file's unnamed namespace, which are parameters of
// every function, so that each file keeps its own instances. All have Element, Reg, kWidth, Load, LoadPart,
// Store and StorePart. To take the greatest: Least and Max, whose second operand is the answer where one is
// NaN. Of floats: Set1, Add, Div. Of bytes for their sum, kWidth of them in Reg of 32 bits (Load widens):
// Zero, Set, Add, and Float, SetFloat, ToFloat, Mul, AddFloats, MaxFloat, MinFloat, Round, StoreWords,
// StoreFloats and StoreBytes.
namespace strop::engine {

// kVectors of channels, or the `count` first ones of one vector.
template <class V, int kVectors, bool kPart>
struct PoolLanes {
  static typename V::Reg Load(const typename V::Element* p, int64_t count) noexcept {
    if constexpr (kPart) return V::LoadPart(p, count);
    return V::Load(p);
  }
  static void Store(typename V::Element* p, int64_t count, typename V::Reg x) noexcept {
    if constexpr (kPart) {
      V::StorePart(p, count, x);
    } else {
      V::Store(p, x);
    }
  }
};

// Calls each(vectors, part, channel, count), of which the first two are types of constants, over all
// channels.
template <class V, class Each>
inline void EachChannels(int64_t channels, Each each) noexcept {
  int64_t c = 0;
  for (; c + 4 * V::kWidth <= channels; c += 4 * V::kWidth) each.template operator()<4, false>(c, V::kWidth);
  for (; c + V::kWidth <= channels; c += V::kWidth) each.template operator()<1, false>(c, V::kWidth);
  if (c < channels) each.template operator()<1, true>(c, channels - c);
}

// Calls each(pixel's number, its first tap's [y, x], the taps inside).
template <class V, class Each>
inline void EachPixel(const Window& w, int64_t row0, int64_t row1, Each each) noexcept {
  for (int64_t oy = row0; oy < row1; ++oy) {
    const int64_t y = oy * w.stride_h - w.pad_top;
    const WindowSpan<V> ys = TapsInside<V>(y, w.kernel_h, w.dilation_h, w.height);
    for (int64_t ox = 0; ox < w.out_w; ++ox) {
      const int64_t x = ox * w.stride_w - w.pad_left;
      each(oy * w.out_w + ox, y, x, ys, TapsInside<V>(x, w.kernel_w, w.dilation_w, w.width));
    }
  }
}

// Folds the taps inside of kVectors of channels: add(sums' register, tap's vector).
template <class V, int kVectors, bool kPart, class Add>
inline void FoldTaps(const Window& w, const typename V::Element* in, int64_t pixel, int64_t y, int64_t x,
                     const WindowSpan<V>& ys, const WindowSpan<V>& xs, int64_t count,
                     typename V::Reg (&sum)[kVectors], Add add) noexcept {
  for (int64_t ky = ys.begin; ky < ys.end; ++ky) {
    for (int64_t kx = xs.begin; kx < xs.end; ++kx) {
      const typename V::Element* tap =
          in + ((y + ky * w.dilation_h) * w.width + x + kx * w.dilation_w) * pixel;
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v)
        sum[v] = add(sum[v], PoolLanes<V, kVectors, kPart>::Load(tap + v * V::kWidth, count));
    }
  }
}

template <class V>
inline void MaxPool(const MaxPoolArgs& g) noexcept {
  using T = typename V::Element;
  EachPixel<V>(g.window, g.row0, g.row1,
               [&](int64_t pixel, int64_t y, int64_t x, const WindowSpan<V>& ys, const WindowSpan<V>& xs) {
                 EachChannels<V>(g.channels, [&]<int kVectors, bool kPart>(int64_t c, int64_t count) {
                   typename V::Reg best[kVectors];
#pragma GCC unroll 4
                   for (int v = 0; v < kVectors; ++v) best[v] = V::Least();
                   FoldTaps<V, kVectors, kPart>(
                       g.window, static_cast<const T*>(g.in) + c, g.in_pixel, y, x, ys, xs, count, best,
                       [](typename V::Reg a, typename V::Reg b) { return V::Max(b, a); });
                   T* out = static_cast<T*>(g.out) + pixel * g.out_pixel + c;
#pragma GCC unroll 4
                   for (int v = 0; v < kVectors; ++v)
                     PoolLanes<V, kVectors, kPart>::Store(out + v * V::kWidth, count, best[v]);
                 });
               });
}

template <class V>
inline void AveragePool(const AveragePoolArgs& g) noexcept {
  const Window& w = g.window;
  EachPixel<V>(
      w, g.row0, g.row1,
      [&](int64_t pixel, int64_t y, int64_t x, const WindowSpan<V>& ys, const WindowSpan<V>& xs) {
        int64_t taps = (ys.end - ys.begin) * (xs.end - xs.begin);
        if (g.count_padding) {
          const auto rows =
              TapsInside<V>(y + w.pad_top, w.kernel_h, w.dilation_h, w.height + w.pad_top + g.pad_bottom);
          const auto columns =
              TapsInside<V>(x + w.pad_left, w.kernel_w, w.dilation_w, w.width + w.pad_left + g.pad_right);
          taps = (rows.end - rows.begin) * (columns.end - columns.begin);
        }
        const auto divisor = V::Set1(static_cast<float>(taps > 0 ? taps : 1));
        EachChannels<V>(g.channels, [&]<int kVectors, bool kPart>(int64_t c, int64_t count) {
          typename V::Reg sum[kVectors];
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) sum[v] = V::Set1(0);
          FoldTaps<V, kVectors, kPart>(g.window, g.in + c, g.in_pixel, y, x, ys, xs, count, sum,
                                       [](typename V::Reg a, typename V::Reg b) { return V::Add(a, b); });
          float* out = g.out + pixel * g.out_pixel + c;
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v)
            PoolLanes<V, kVectors, kPart>::Store(out + v * V::kWidth, count, V::Div(sum[v], divisor));
        });
      });
}

template <class V>
inline void GlobalPoolFloats(const GlobalPoolArgs& g) noexcept {
  const auto divisor = V::Set1(static_cast<float>(g.pixels));
  EachChannels<V>(g.channels, [&]<int kVectors, bool kPart>(int64_t c, int64_t count) {
    typename V::Reg sum[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[v] = V::Set1(0);
    const float* in = static_cast<const float*>(g.in) + c;
    for (int64_t i = 0; i < g.pixels; ++i, in += g.in_pixel) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v)
        sum[v] = V::Add(sum[v], PoolLanes<V, kVectors, kPart>::Load(in + v * V::kWidth, count));
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v)
      PoolLanes<V, kVectors, kPart>::Store(static_cast<float*>(g.out) + c + v * V::kWidth, count,
                                           V::Div(sum[v], divisor));
  });
}

template <class V, bool kPart>
inline void FinishGlobal(const GlobalPoolArgs& g, typename V::Reg sum, int64_t c, int64_t count) noexcept {
  sum = V::Add(sum, V::Set(g.correction));
  if (g.output == Int8Output::kS32) {
    V::StoreWords(static_cast<int32_t*>(g.out) + c, kPart ? count : V::kWidth, sum);
    return;
  }
  const auto y = V::AddFloats(V::Mul(V::ToFloat(sum), V::SetFloat(g.scale)), V::SetFloat(g.offset));
  if (g.output == Int8Output::kF32) {
    V::StoreFloats(static_cast<float*>(g.out) + c, kPart ? count : V::kWidth, y);
    return;
  }
  const int32_t least = g.output == Int8Output::kS8 ? -128 : 0;
  const auto low = V::SetFloat(static_cast<float>(least - g.zero));
  const auto high = V::SetFloat(static_cast<float>(least + 255 - g.zero));
  V::StoreBytes(static_cast<uint8_t*>(g.out) + c, kPart ? count : V::kWidth,
                V::Add(V::Round(V::MinFloat(V::MaxFloat(y, low), high)), V::Set(g.zero)));
}

// V widens unsigned or signed bytes.
template <class V>
inline void GlobalPoolBytes(const GlobalPoolArgs& g) noexcept {
  EachChannels<V>(g.channels, [&]<int kVectors, bool kPart>(int64_t c, int64_t count) {
    typename V::Reg sum[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[v] = V::Set(0);
    const uint8_t* in = static_cast<const uint8_t*>(g.in) + c;
    for (int64_t i = 0; i < g.pixels; ++i, in += g.in_pixel) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v)
        sum[v] = V::Add(sum[v], PoolLanes<V, kVectors, kPart>::Load(in + v * V::kWidth, count));
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) FinishGlobal<V, kPart>(g, sum[v], c + v * V::kWidth, count);
  });
}

template <class Floats, class U8, class S8>
inline void MaxPoolOf(const MaxPoolArgs& g) noexcept {
  if (g.element == PoolElement::kF32) return MaxPool<Floats>(g);
  return g.element == PoolElement::kU8 ? MaxPool<U8>(g) : MaxPool<S8>(g);
}

template <class Floats, class U8, class S8>
inline void GlobalPoolOf(const GlobalPoolArgs& g) noexcept {
  if (g.element == PoolElement::kF32) return GlobalPoolFloats<Floats>(g);
  return g.element == PoolElement::kU8 ? GlobalPoolBytes<U8>(g) : GlobalPoolBytes<S8>(g);
}

}  // namespace strop::engine
