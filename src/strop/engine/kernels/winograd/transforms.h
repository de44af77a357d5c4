#pragma once

#include <cstdint>

#include "strop/engine/kernels/elementwise/each_vector.h"
#include "strop/engine/kernels/winograd/args.h"
#include "strop/engine/kernels/winograd/points.h"

// The transforms around the products, over a vector type V of vector_math.h: each lane is a channel. A rule F
// (WinogradOf2, WinogradOf4) has Bᵀ and Aᵀ of one dimension, which the loops apply down and then across.
// Everything is inlined, so that a tile's values stay in registers as far as they go.
namespace strop::engine {

// Floats from what is written to what is fetched for the next write, in each of (m+2)² matrices: more streams
// than the processor follows by itself. Matrices in L2 are written a fifth faster.
inline constexpr int64_t kWinogradAhead = 16;

// Points 0, 1, -1 and infinity.
template <class Vector>
struct WinogradOf2 {
  using V = Vector;
  using Reg = typename V::Reg;
  static constexpr int kOut = 2, kIn = 4;
  [[gnu::always_inline]] static void Input(const Reg (&x)[kIn], Reg (&y)[kIn]) noexcept {
    y[0] = V::Sub(x[2], x[0]);
    y[1] = V::Add(x[2], x[1]);
    y[2] = V::Sub(x[2], x[1]);
    y[3] = V::Sub(x[3], x[1]);
  }
  [[gnu::always_inline]] static void Output(const Reg (&m)[kIn], Reg (&y)[kOut]) noexcept {
    y[0] = V::Add(m[0], V::Add(m[1], m[2]));
    y[1] = V::Add(m[3], V::Sub(m[1], m[2]));
  }
};

// Points 0, ±a, ±b and infinity.
template <class Vector>
struct WinogradOf4 {
  using V = Vector;
  using Reg = typename V::Reg;
  static constexpr int kOut = 4, kIn = 6;
  static constexpr float kA = kWinogradA, kB = kWinogradB, kA2 = kA * kA, kB2 = kB * kB;
  [[gnu::always_inline]] static void Input(const Reg (&x)[kIn], Reg (&y)[kIn]) noexcept {
    const Reg a = V::Set1(kA), b = V::Set1(kB), a2 = V::Set1(kA2), b2 = V::Set1(kB2);
    const Reg product = V::Set1(kA2 * kB2), sum = V::Set1(kA2 + kB2);
    y[0] = V::Fma(product, x[0], V::Fnma(sum, x[2], x[4]));
    const Reg even_a = V::Fnma(b2, x[2], x[4]), odd_a = V::Fnma(b2, x[1], x[3]);
    y[1] = V::Fma(a, odd_a, even_a);
    y[2] = V::Fnma(a, odd_a, even_a);
    const Reg even_b = V::Fnma(a2, x[2], x[4]), odd_b = V::Fnma(a2, x[1], x[3]);
    y[3] = V::Fma(b, odd_b, even_b);
    y[4] = V::Fnma(b, odd_b, even_b);
    y[5] = V::Fma(product, x[1], V::Fnma(sum, x[3], x[5]));
  }
  [[gnu::always_inline]] static void Output(const Reg (&m)[kIn], Reg (&y)[kOut]) noexcept {
    const Reg even_a = V::Add(m[1], m[2]), odd_a = V::Sub(m[1], m[2]);
    const Reg even_b = V::Add(m[3], m[4]), odd_b = V::Sub(m[3], m[4]);
    y[0] = V::Add(m[0], V::Add(even_a, even_b));
    y[1] = V::Fma(V::Set1(kB), odd_b, V::Mul(V::Set1(kA), odd_a));
    y[2] = V::Fma(V::Set1(kB2), even_b, V::Mul(V::Set1(kA2), even_a));
    y[3] = V::Fma(V::Set1(kB2 * kB), odd_b, V::Fma(V::Set1(kA2 * kA), odd_a, m[5]));
  }
};

// The pixels of a tile that lie within the image, [top, bottom) × [left, right) of its own coordinates.
struct WinogradWindow {
  int64_t top, bottom, left, right;
};

template <class F, bool kInside, class Vector>
[[gnu::always_inline]] inline void WinogradInputTile(Vector vector, const float* corner, int64_t row,
                                                     int64_t column, const WinogradWindow& window, float* v,
                                                     int64_t plane) noexcept {
  using Reg = typename F::V::Reg;
  constexpr int kIn = F::kIn;
  Reg half[kIn][kIn];
#pragma GCC unroll 6
  for (int j = 0; j < kIn; ++j) {
    Reg x[kIn], y[kIn];
#pragma GCC unroll 6
    for (int i = 0; i < kIn; ++i) {
      const bool inside =
          kInside || (i >= window.top && i < window.bottom && j >= window.left && j < window.right);
      x[i] = inside ? vector.Load(corner + i * row + j * column) : F::V::Set1(0);
    }
    F::Input(x, y);
#pragma GCC unroll 6
    for (int i = 0; i < kIn; ++i) half[i][j] = y[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < kIn; ++i) {
    Reg y[kIn];
    F::Input(half[i], y);
#pragma GCC unroll 6
    for (int j = 0; j < kIn; ++j) {
      float* out = v + (i * kIn + j) * plane;
      vector.Store(out, y[j]);
      __builtin_prefetch(out + kWinogradAhead, 1);
    }
  }
}

template <class F, bool kInside>
inline void WinogradInputChannels(const float* corner, int64_t row, int64_t column,
                                  const WinogradWindow& window, int64_t channels, float* v,
                                  int64_t plane) noexcept {
  using V = typename F::V;
  int64_t c = 0;
  for (; c + V::kWidth <= channels; c += V::kWidth)
    WinogradInputTile<F, kInside>(WholeVector<V>{}, corner + c, row, column, window, v + c, plane);
  if (c < channels)
    WinogradInputTile<F, kInside>(PartOfVector<V>{channels - c}, corner + c, row, column, window, v + c,
                                  plane);
}

// Calls visit(image, row of tiles, column of tiles, number within the block) for each tile.
template <class F, class Visit>
[[gnu::always_inline]] inline void EachWinogradTile(const WinogradTiles& tiles, Visit visit) noexcept {
  int64_t across = tiles.first % tiles.across, down = tiles.first / tiles.across % tiles.down;
  int64_t image = tiles.first / tiles.across / tiles.down;
  for (int64_t t = 0; t < tiles.count; ++t) {
    visit(image, down, across, t);
    if (++across < tiles.across) continue;
    across = 0;
    if (++down < tiles.down) continue;
    down = 0;
    ++image;
  }
}

template <class F>
inline void WinogradInput(const WinogradInputArgs& args) noexcept {
  const int64_t row = args.width * args.ldx;
  EachWinogradTile<F>(args.tiles, [&](int64_t image, int64_t down, int64_t across, int64_t t) {
    const int64_t y = down * F::kOut - args.pad_top, x = across * F::kOut - args.pad_left;
    const auto within = [](int64_t at, int64_t size) {  // of 0 … kIn, the part before `size - at`
      const int64_t left = size - at;
      return left < 0 ? 0 : left < F::kIn ? left : F::kIn;
    };
    const WinogradWindow window{y < 0 ? -y : 0, within(y, args.height), x < 0 ? -x : 0,
                                within(x, args.width)};
    const float* corner = args.x + (image * args.height + y) * row + x * args.ldx;
    float* v = args.v + t * args.ldv;
    const bool inside =
        window.top == 0 && window.left == 0 && window.bottom == F::kIn && window.right == F::kIn;
    if (inside) {
      WinogradInputChannels<F, true>(corner, row, args.ldx, window, args.channels, v, args.plane);
    } else {
      WinogradInputChannels<F, false>(corner, row, args.ldx, window, args.channels, v, args.plane);
    }
  });
}

// Where a tile's answers go, and what is added to them.
struct WinogradPlace {
  const float* residual;  // of the tile's corner, or nullptr
  int64_t residual_row, residual_column;
  float* y;
  int64_t row, column;
  int64_t rows, columns;  // of the tile within the image
};

template <class F, class Vector>
[[gnu::always_inline]] inline void WinogradOutputTile(Vector vector, const WinogradOutputArgs& args,
                                                      const float* m, int64_t channel,
                                                      const WinogradPlace& place) noexcept {
  using V = typename F::V;
  using Reg = typename V::Reg;
  constexpr int kIn = F::kIn, kOut = F::kOut;
  Reg half[kOut][kIn];
#pragma GCC unroll 6
  for (int j = 0; j < kIn; ++j) {
    Reg x[kIn], y[kOut];
#pragma GCC unroll 6
    for (int i = 0; i < kIn; ++i) x[i] = vector.Load(m + (i * kIn + j) * args.plane);
    F::Output(x, y);
#pragma GCC unroll 4
    for (int i = 0; i < kOut; ++i) half[i][j] = y[i];
  }
  const Reg bias = args.bias == nullptr ? V::Set1(0) : vector.Load(args.bias + channel);
  const Reg low = V::Set1(args.clamp.low), high = V::Set1(args.clamp.high);
#pragma GCC unroll 4
  for (int i = 0; i < kOut; ++i) {
    Reg y[kOut];
    F::Output(half[i], y);
#pragma GCC unroll 4
    for (int j = 0; j < kOut; ++j) {
      if (i >= place.rows || j >= place.columns) continue;
      Reg value = V::Add(y[j], bias);
      if (place.residual != nullptr) {
        const int64_t at = i * place.residual_row + j * place.residual_column + channel;
        value = V::Add(value, vector.Load(place.residual + at));
      }
      // Max and Min answer their second operand where one is NaN.
      value = V::Min(high, V::Max(low, value));
      vector.Store(place.y + i * place.row + j * place.column + channel, value);
    }
  }
}

template <class F>
inline void WinogradOutput(const WinogradOutputArgs& args) noexcept {
  using V = typename F::V;
  EachWinogradTile<F>(args.tiles, [&](int64_t image, int64_t down, int64_t across, int64_t t) {
    const int64_t y = down * F::kOut, x = across * F::kOut;
    const int64_t pixel = (image * args.height + y) * args.width + x;
    const int64_t rows = args.height - y, columns = args.width - x;
    const WinogradPlace place{args.residual == nullptr ? nullptr : args.residual + pixel * args.ld_residual,
                              args.width * args.ld_residual,
                              args.ld_residual,
                              args.y + pixel * args.ldy,
                              args.width * args.ldy,
                              args.ldy,
                              rows,
                              columns};
    const float* m = args.m + t * args.ldm;
    int64_t c = 0;
    for (; c + V::kWidth <= args.channels; c += V::kWidth)
      WinogradOutputTile<F>(WholeVector<V>{}, args, m + c, c, place);
    if (c < args.channels) WinogradOutputTile<F>(PartOfVector<V>{args.channels - c}, args, m + c, c, place);
  });
}

template <class F>
inline WinogradTransforms WinogradOver() noexcept {
  return {WinogradInput<F>, WinogradOutput<F>};
}

}  // namespace strop::engine
