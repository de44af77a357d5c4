#pragma once

#include <cstdint>

#include "strop/engine/kernels/clamp.h"

namespace strop::engine {

// Which tiles of a batch of images: `count` from `first` on, counted along a row of tiles, then down an
// image, then through the batch.
struct WinogradTiles {
  int64_t down = 0, across = 0;  // tiles of one image
  int64_t first = 0, count = 0;
};

// v[p][t] = component p of Bᵀ d B, d the (m+2)² pixels under tile t of m² answers; pixels beyond the image
// are 0.
struct WinogradInputArgs {
  WinogradTiles tiles;
  const float* x = nullptr;  // images of height · width pixels of `channels`, any alignment
  int64_t height = 0, width = 0, channels = 0;
  int64_t ldx = 0;  // floats between pixels
  int64_t pad_top = 0, pad_left = 0;
  float* v = nullptr;  // (m+2)² matrices, `plane` floats apart, of rows of `channels`, ldv apart
  int64_t ldv = 0, plane = 0;
};

// y = clamp(Aᵀ m A + bias + residual).
struct WinogradOutputArgs {
  WinogradTiles tiles;
  const float* m = nullptr;  // (m+2)² matrices, `plane` floats apart, of rows of `channels`, ldm apart
  int64_t ldm = 0, plane = 0;
  int64_t height = 0, width = 0, channels = 0;  // of the answer
  const float* bias = nullptr;                  // `channels`, or nullptr: none
  const float* residual = nullptr;              // as y, ld_residual floats between pixels; nullptr: none
  int64_t ld_residual = 0;
  Clamp clamp{};
  float* y = nullptr;  // any alignment; may be the residual itself
  int64_t ldy = 0;     // floats between pixels
};

// They check nothing, and write nothing but the rows and pixels named.
struct WinogradTransforms {
  void (*input)(const WinogradInputArgs& args) noexcept;
  void (*output)(const WinogradOutputArgs& args) noexcept;
};

}  // namespace strop::engine
