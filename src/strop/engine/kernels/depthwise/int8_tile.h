#pragma once

#include <cstdint>
#include <cstring>

#include "strop/engine/kernels/depthwise/args.h"

// The one shape of the vector kernels of bytes, over a vector type V of the ISA file. Taps of kGroup rows of
// the kernel's column are interleaved, so that one instruction sums their products: of bytes in fours (VNNI),
// or of 16 bits in pairs, which 32 bits always hold. What is outside of the image is read as its zero point,
// and zero · (the sum of the weights) is taken off at the start.
//
// V has kChannels channels in kGroup vectors Reg of 32-bit sums; In is one tap's bytes of them. Load(p,
// count), Fill(byte), Flip (128 added to each byte), None (zeros), Interleave(taps, out), Dot(sum, x,
// weights), and to finish: LoadSums, StoreSums, Float, LoadFloats, SetFloat, ToFloat, Mul, AddFloats, Max,
// Min, Round and StoreBytes(p, count, sums, finish), which packs by saturation. As float_tile.h, every
// function has V.
namespace strop::engine {

// What a block of channels needs, in the order of the interleaved sums (depthwise.h).
template <class V>
struct Int8Block {
  static constexpr int64_t kVectors = V::kGroup, kLane = 4 * kVectors, kWidth = V::kChannels / kVectors;
  alignas(64) int32_t start[V::kChannels] = {};
  alignas(64) float scale[V::kChannels] = {};
  alignas(64) float offset[V::kChannels] = {};
  alignas(64) uint8_t pad[V::kChannels];
  const uint8_t* in;  // at the first channel
  const int8_t* weights;
  char* out;
  int64_t count, groups;
  int16_t low, high, zero;  // of bytes of the output
  bool is_signed, is_bytes;

  static int64_t Place(int64_t channel) noexcept {
    return channel % kLane / 4 * kWidth + channel / kLane * 4 + channel % 4;
  }

  Int8Block(const Int8DepthwiseArgs& g, int64_t c, int64_t n) noexcept : count(n) {
    const int32_t zero_in = g.in_zero + (g.is_signed ? 128 : 0);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t at = Place(i);
      const uint32_t correction = g.correction == nullptr ? 0 : static_cast<uint32_t>(g.correction[c + i]);
      start[at] = static_cast<int32_t>(correction -
                                       static_cast<uint32_t>(zero_in) * static_cast<uint32_t>(g.sums[c + i]));
      if (g.scale != nullptr) scale[at] = g.scale[c + i];
      if (g.offset != nullptr) offset[at] = g.offset[c + i];
    }
    std::memset(pad, g.in_zero, sizeof pad);
    groups = (g.window.kernel_h + V::kGroup - 1) / V::kGroup;
    in = g.in + c;
    weights = g.weights + c * g.window.kernel_w * groups * 4;
    is_bytes = g.output == Int8Output::kU8 || g.output == Int8Output::kS8;
    is_signed = g.output == Int8Output::kS8;
    out = static_cast<char*>(g.out) + c * (is_bytes ? 1 : 4);
    const int32_t least = is_signed ? -128 : 0;
    zero = static_cast<int16_t>(g.zero);
    low = Bound(g.low, g.zero, least);
    high = Bound(g.high, g.zero, least);
  }

  // Rounding is monotonic, so that a clamped float rounds as the float does between the clamped bytes.
  static int16_t Bound(float y, int32_t zero, int32_t least) noexcept {
    const auto low = static_cast<float>(least - zero), high = static_cast<float>(least + 255 - zero);
    const float clamped = y < low ? low : y > high ? high : y;
    return static_cast<int16_t>(static_cast<int32_t>(__builtin_rintf(clamped)) + zero);
  }
};

// The sums of a pixel, finished.
template <class V>
inline void Int8Pixel(const Int8DepthwiseArgs& g, const Int8Block<V>& block,
                      const typename V::Reg (&sums)[V::kGroup], int64_t pixel) noexcept {
  constexpr int kVectors = V::kGroup;
  constexpr int64_t kWidth = Int8Block<V>::kWidth;
  const auto scaled = [&](int q) {
    return V::AddFloats(V::Mul(V::ToFloat(sums[q]), V::LoadFloats(block.scale + q * kWidth)),
                        V::LoadFloats(block.offset + q * kWidth));
  };
  if (block.is_bytes) {
    // Bounded, so that rounding does not overflow; what is too low or NaN rounds to the lowest integer.
    typename V::Reg rounded[kVectors];
#pragma GCC unroll 4
    for (int q = 0; q < kVectors; ++q) rounded[q] = V::Round(V::Min(V::SetFloat(65536.0f), scaled(q)));
    V::StoreBytes(reinterpret_cast<uint8_t*>(block.out) + pixel * g.out_pixel, block.count, rounded,
                  block.zero, block.low, block.high, block.is_signed);
    return;
  }
  alignas(64) char part[V::kChannels * 4];
#pragma GCC unroll 4
  for (int q = 0; q < kVectors; ++q) {
    if (g.output == Int8Output::kF32) {
      const auto clamped = V::Min(V::SetFloat(g.high), V::Max(V::SetFloat(g.low), scaled(q)));
      V::StoreFloats(reinterpret_cast<float*>(part) + q * kWidth, clamped);
    } else {
      V::StoreSums(reinterpret_cast<int32_t*>(part) + q * kWidth, sums[q]);
    }
  }
  char* out = block.out + pixel * g.out_pixel * 4;
  for (int64_t c = 0; c < block.count; c += 4) {
    const int64_t bytes = 4 * (block.count - c < 4 ? block.count - c : 4);
    std::memcpy(out + c * 4, part + Int8Block<V>::Place(c) * 4, static_cast<size_t>(bytes));
  }
}

template <class V, bool kSigned>
inline typename V::In LoadTap(const uint8_t* p, int64_t count) noexcept {
  if constexpr (kSigned) return V::Flip(V::Load(p, count));
  return V::Load(p, count);
}

// P pixels of any kernel.
template <class V, bool kSigned, int P>
inline void Int8AnyPixels(const Int8DepthwiseArgs& g, const Int8Block<V>& block, int64_t oy,
                          int64_t ox) noexcept {
  using Reg = typename V::Reg;
  constexpr int kVectors = V::kGroup;
  const Window& w = g.window;
  Reg sum[P][kVectors];
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int q = 0; q < kVectors; ++q) sum[p][q] = V::LoadSums(block.start + q * Int8Block<V>::kWidth);
  }
  const int64_t iy = oy * w.stride_h - w.pad_top, ix = ox * w.stride_w - w.pad_left;
  const int8_t* weights = block.weights;
  for (int64_t x = 0; x < w.kernel_w; ++x) {
    for (int64_t group = 0; group < block.groups; ++group, weights += V::kChannels * 4) {
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) {
        const int64_t column = ix + p * w.stride_w + x * w.dilation_w;
        const bool inside = column >= 0 && column < w.width;
        typename V::In taps[V::kGroup];
#pragma GCC unroll 4
        for (int i = 0; i < V::kGroup; ++i) {
          const int64_t y = group * V::kGroup + i, row = iy + y * w.dilation_h;
          if (y >= w.kernel_h) {
            taps[i] = V::None();
            continue;
          }
          const bool tap = inside && row >= 0 && row < w.height;
          const uint8_t* from = tap ? block.in + (row * w.width + column) * g.in_pixel : block.pad;
          taps[i] = LoadTap<V, kSigned>(from, block.count);
        }
        Reg x4[kVectors];
        V::Interleave(taps, x4);
#pragma GCC unroll 4
        for (int q = 0; q < kVectors; ++q)
          sum[p][q] = V::Dot(sum[p][q], x4[q], weights + q * static_cast<int64_t>(sizeof(Reg)));
      }
    }
  }
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p) Int8Pixel<V>(g, block, sum[p], oy * w.out_w + ox + p);
}

// P pixels from `ox` on of a K × K kernel, of stride S and dilation 1 along the row: each column is
// interleaved once. rows: of the taps, nullptr in the padding. kEdge: taps may be in the padding.
template <class V, bool kSigned, int K, int S, int P, bool kEdge>
inline void Int8SquarePixels(const Int8DepthwiseArgs& g, const Int8Block<V>& block,
                             const uint8_t* const (&rows)[K], int64_t oy, int64_t ox) noexcept {
  using Reg = typename V::Reg;
  constexpr int kVectors = V::kGroup, kGroups = (K + V::kGroup - 1) / V::kGroup;
  const int64_t ix = ox * S - g.window.pad_left;
  Reg sum[P][kVectors];
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int q = 0; q < kVectors; ++q) sum[p][q] = V::LoadSums(block.start + q * Int8Block<V>::kWidth);
  }
#pragma GCC unroll 16
  for (int column = 0; column < (P - 1) * S + K; ++column) {
    const bool inside = !kEdge || (ix + column >= 0 && ix + column < g.window.width);
#pragma GCC unroll 4
    for (int group = 0; group < kGroups; ++group) {
      typename V::In taps[V::kGroup];
#pragma GCC unroll 4
      for (int i = 0; i < V::kGroup; ++i) {
        const int y = group * V::kGroup + i;
        if (y >= K) {
          taps[i] = V::None();
          continue;
        }
        const uint8_t* row = rows[y < K ? y : 0];
        const uint8_t* tap =
            kEdge && (!inside || row == nullptr) ? block.pad : row + (ix + column) * g.in_pixel;
        taps[i] = LoadTap<V, kSigned>(tap, block.count);
      }
      Reg x[kVectors];
      V::Interleave(taps, x);
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) {
        if (column < p * S || column >= p * S + K) continue;
        const int8_t* weights =
            block.weights + ((column - p * S) * kGroups + group) * V::kChannels * int64_t{4};
#pragma GCC unroll 4
        for (int q = 0; q < kVectors; ++q)
          sum[p][q] = V::Dot(sum[p][q], x[q], weights + q * static_cast<int64_t>(sizeof(Reg)));
      }
    }
  }
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p) Int8Pixel<V>(g, block, sum[p], oy * g.window.out_w + ox + p);
}

template <class V, bool kSigned, int K, int S>
inline void Int8SquareRows(const Int8DepthwiseArgs& g, const Int8Block<V>& block) noexcept {
  constexpr int kPixels = 4;
  const Window& w = g.window;
  const WindowSpan<V> whole = WholeOutputs<V>(w.out_w, S, w.pad_left, K, 1, w.width);
  for (int64_t oy = g.row0; oy < g.row1; ++oy) {
    const uint8_t* rows[K];
    bool all = true;
#pragma GCC unroll 4
    for (int y = 0; y < K; ++y) {
      const int64_t iy = oy * w.stride_h - w.pad_top + y * w.dilation_h;
      const bool inside = iy >= 0 && iy < w.height;
      rows[y] = inside ? block.in + iy * w.width * g.in_pixel : nullptr;
      all = all && inside;
    }
    int64_t ox = 0;
    for (; ox + kPixels <= w.out_w; ox += kPixels) {
      if (all && ox >= whole.begin && ox + kPixels <= whole.end) {
        Int8SquarePixels<V, kSigned, K, S, kPixels, false>(g, block, rows, oy, ox);
      } else {
        Int8SquarePixels<V, kSigned, K, S, kPixels, true>(g, block, rows, oy, ox);
      }
    }
    // The last ones go over pixels that are done.
    if (w.out_w - ox > 1 && w.out_w >= kPixels) {
      Int8SquarePixels<V, kSigned, K, S, kPixels, true>(g, block, rows, oy, w.out_w - kPixels);
    } else {
      for (; ox < w.out_w; ++ox) Int8SquarePixels<V, kSigned, K, S, 1, true>(g, block, rows, oy, ox);
    }
  }
}

template <class V, bool kSigned>
inline void Int8AnyRows(const Int8DepthwiseArgs& g, const Int8Block<V>& block) noexcept {
  constexpr int kPixels = 4;
  const Window& w = g.window;
  for (int64_t oy = g.row0; oy < g.row1; ++oy) {
    int64_t ox = 0;
    for (; ox + kPixels <= w.out_w; ox += kPixels) Int8AnyPixels<V, kSigned, kPixels>(g, block, oy, ox);
    for (; ox < w.out_w; ++ox) Int8AnyPixels<V, kSigned, 1>(g, block, oy, ox);
  }
}

template <class V, bool kSigned>
inline void Int8Channels(const Int8DepthwiseArgs& g, int64_t c, int64_t count) noexcept {
  const Int8Block<V> block(g, c, count);
  const Window& w = g.window;
  if (w.kernel_h == w.kernel_w && w.dilation_w == 1) {
    if (w.kernel_w == 3 && w.stride_w == 1) return Int8SquareRows<V, kSigned, 3, 1>(g, block);
    if (w.kernel_w == 3 && w.stride_w == 2) return Int8SquareRows<V, kSigned, 3, 2>(g, block);
    if (w.kernel_w == 5 && w.stride_w == 1) return Int8SquareRows<V, kSigned, 5, 1>(g, block);
    if (w.kernel_w == 5 && w.stride_w == 2) return Int8SquareRows<V, kSigned, 5, 2>(g, block);
  }
  Int8AnyRows<V, kSigned>(g, block);
}

// V, and types of half its channels for what is left of them, as PackInt8Depthwise halves its blocks.
template <bool kSigned, class V, class... Halves>
inline void Int8Blocks(const Int8DepthwiseArgs& g, int64_t c) noexcept {
  while (c < g.channels) {
    const int64_t left = g.channels - c;
    if constexpr (sizeof...(Halves) > 0) {
      if (left <= V::kChannels / 2) return Int8Blocks<kSigned, Halves...>(g, c);
    }
    Int8Channels<V, kSigned>(g, c, left < V::kChannels ? left : V::kChannels);
    c += V::kChannels;
  }
}

template <class V, class... Halves>
inline void Int8Depthwise(const Int8DepthwiseArgs& g) noexcept {
  Int8DepthwiseArgs slab = g;
  EachSlab<V>(g.window, g.row0, g.row1, g.window.width * g.in_pixel, [&](int64_t row0, int64_t row1) {
    slab.row0 = row0;
    slab.row1 = row1;
    if (g.is_signed) return Int8Blocks<true, V, Halves...>(slab, 0);
    Int8Blocks<false, V, Halves...>(slab, 0);
  });
}

}  // namespace strop::engine
