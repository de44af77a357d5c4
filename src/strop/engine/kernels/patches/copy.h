#pragma once

#include <cstdint>
#include <cstring>

#include "strop/engine/kernels/patches/args.h"

// The one shape of every kernel, over a type V of the ISA file's unnamed namespace, so that each file keeps
// its own instances: V::Copy(out, in, bytes) copies a run.
namespace strop::engine {

// T is uint8_t or uint32_t, the bytes of an element.
template <class V, class T>
inline T* FillPad(T* out, int64_t count, T pad) noexcept {
  for (int64_t i = 0; i < count; ++i) std::memcpy(out + i, &pad, sizeof pad);
  return out + count;
}

// A patch out of pixels of channels, `row` elements from an image row to the next, `pixel` from one pixel to
// the next, of which [y, x] is the first tap.
template <class V, class T>
inline void Patch(const PatchesArgs& g, const T* in, int64_t row, int64_t pixel, int64_t y, int64_t x, T* out,
                  const WindowSpan<V>& ys, const WindowSpan<V>& xs) noexcept {
  const Window& w = g.window;
  const T pad = static_cast<T>(g.pad);
  const bool run = w.dilation_w == 1 && pixel == g.channels;
  if (run && ys.end - ys.begin == w.kernel_h && xs.end - xs.begin == w.kernel_w) {
    const int64_t count = w.kernel_w * g.channels;
    const T* from = in + y * row + x * pixel;
    for (int64_t ky = 0; ky < w.kernel_h; ++ky, from += w.dilation_h * row, out += count)
      V::Copy(out, from, count * static_cast<int64_t>(sizeof(T)));
    return;
  }
  const int64_t before = xs.begin * g.channels, after = (w.kernel_w - xs.end) * g.channels;
  out = FillPad<V, T>(out, ys.begin * w.kernel_w * g.channels, pad);
  for (int64_t ky = ys.begin; ky < ys.end; ++ky) {
    const T* from = in + (y + ky * w.dilation_h) * row + (x + xs.begin * w.dilation_w) * pixel;
    out = FillPad<V, T>(out, before, pad);
    if (run) {
      const int64_t count = (xs.end - xs.begin) * g.channels;
      V::Copy(out, from, count * static_cast<int64_t>(sizeof(T)));
      out += count;
    } else {
      for (int64_t kx = xs.begin; kx < xs.end; ++kx, from += w.dilation_w * pixel, out += g.channels)
        V::Copy(out, from, g.channels * static_cast<int64_t>(sizeof(T)));
    }
    out = FillPad<V, T>(out, after, pad);
  }
  FillPad<V, T>(out, (w.kernel_h - ys.end) * w.kernel_w * g.channels, pad);
}

template <class V, class T>
inline void PatchesOfLast(const PatchesArgs& g) noexcept {
  const Window& w = g.window;
  T* out = static_cast<T*>(g.out);
  int64_t oy = g.p0 / w.out_w, ox = g.p0 % w.out_w;
  for (int64_t p = g.p0; p < g.p1; ++p, out += g.out_row) {
    const int64_t y = oy * w.stride_h - w.pad_top, x = ox * w.stride_w - w.pad_left;
    Patch<V, T>(g, static_cast<const T*>(g.in), w.width * g.in_pixel, g.in_pixel, y, x, out,
                TapsInside<V>(y, w.kernel_h, w.dilation_h, w.height),
                TapsInside<V>(x, w.kernel_w, w.dilation_w, w.width));
    if (++ox == w.out_w) {
      ox = 0;
      ++oy;
    }
  }
}

// A window of the image's rows, channels last and with its padding.
template <class V>
inline constexpr int64_t kStripBytes = 1 << 15;

// A row of pixels of any channels.
template <class V, class T>
inline void FillPixels(const T* plane, int64_t area, int64_t channels, int64_t count, T* out) noexcept {
  for (int64_t c = 0; c < channels; ++c, plane += area)
    for (int64_t i = 0; i < count; ++i) std::memcpy(out + i * channels + c, plane + i, sizeof(T));
}

// Of three.
template <class V, class T>
inline void FillPixels3(const T* plane, int64_t area, int64_t count, T* out) noexcept {
  const T *red = plane, *green = plane + area, *blue = plane + 2 * area;
  int64_t i = 0;
  if constexpr (sizeof(T) == 1) {  // a pixel a store, whose fourth byte the next one replaces
    for (; i + 1 < count; ++i) {
      const uint32_t pixel =
          red[i] | static_cast<uint32_t>(green[i]) << 8 | static_cast<uint32_t>(blue[i]) << 16;
      std::memcpy(out + 3 * i, &pixel, sizeof pixel);
    }
  }
  for (; i < count; ++i) {
    const T pixel[3] = {red[i], green[i], blue[i]};
    std::memcpy(out + 3 * i, pixel, sizeof pixel);
  }
}

// Rows [first, kernel_h) of strip[kernel_h, width, channels]: the rows of the taps of the output row at `y`,
// from pixel `x` on.
template <class V, class T>
inline void FillStrip(const PatchesArgs& g, int64_t first, int64_t y, int64_t x, int64_t width,
                      T* strip) noexcept {
  const Window& w = g.window;
  const WindowSpan<V> ys = TapsInside<V>(y, w.kernel_h, w.dilation_h, w.height);
  const WindowSpan<V> xs = TapsInside<V>(x, width, 1, w.width);
  const int64_t area = w.height * w.width, count = xs.end - xs.begin;
  for (int64_t ky = first; ky < w.kernel_h; ++ky) {
    T* out = strip + ky * width * g.channels;
    if (ky < ys.begin || ky >= ys.end || count == 0) {
      FillPad<V, T>(out, width * g.channels, static_cast<T>(g.pad));
      continue;
    }
    const T* from = static_cast<const T*>(g.in) + (y + ky * w.dilation_h) * w.width + x + xs.begin;
    out = FillPad<V, T>(out, xs.begin * g.channels, static_cast<T>(g.pad));
    if (g.channels == 3) {
      FillPixels3<V, T>(from, area, count, out);
    } else if (g.channels == 1) {
      V::Copy(out, from, count * static_cast<int64_t>(sizeof(T)));
    } else {
      FillPixels<V, T>(from, area, g.channels, count, out);
    }
    FillPad<V, T>(out + count * g.channels, (width - xs.end) * g.channels, static_cast<T>(g.pad));
  }
}

// Whole patches out of a strip, whose rows of a kernel are moved by kMove bytes each: what is too much is
// written over by the next one.
template <class V, class T, int64_t kMove>
inline T* MovePatches(const PatchesArgs& g, const T* strip, int64_t row, int64_t step, int64_t count,
                      T* out) noexcept {
  const int64_t run = g.window.kernel_w * g.channels;
  for (int64_t i = 0; i < count; ++i, strip += step) {
    const T* from = strip;
    for (int64_t ky = 0; ky < g.window.kernel_h; ++ky, from += row, out += run) std::memcpy(out, from, kMove);
  }
  return out;
}

// How many of the next `count` patches can be moved so, as long as what is too much falls on patches behind.
template <class V, class T>
inline int64_t Movable(const PatchesArgs& g, int64_t p, int64_t count, int64_t move) noexcept {
  const int64_t run = g.window.kernel_w * g.channels, whole = g.window.kernel_h * run;
  if (g.window.dilation_w != 1 || g.out_row != whole || run * static_cast<int64_t>(sizeof(T)) > move)
    return 0;
  const int64_t over = move / static_cast<int64_t>(sizeof(T)) - run;
  const int64_t safe = g.p1 - p - (over + whole - 1) / whole;
  return safe < 0 ? 0 : safe < count ? safe : count;
}

// A strip that many pixels share is made channels-last first: their patches are then runs of it.
template <class V, class T>
inline void PatchesOfFirst(const PatchesArgs& g) noexcept {
  const Window& w = g.window;
  constexpr int64_t kShort = 16, kLong = 64;  // bytes of a move
  alignas(64) T strip[(kStripBytes<V> + kLong) / sizeof(T)];
  const int64_t deep = w.kernel_h * g.channels * static_cast<int64_t>(sizeof(T));
  const int64_t reach = (w.kernel_w - 1) * w.dilation_w + 1;
  const int64_t widest = kStripBytes<V> / deep;
  const int64_t most = widest < reach ? 0 : (widest - reach) / w.stride_w + 1;
  T* out = static_cast<T*>(g.out);
  for (int64_t p = g.p0; p < g.p1;) {
    const int64_t y = p / w.out_w * w.stride_h - w.pad_top, x = p % w.out_w * w.stride_w - w.pad_left;
    if (most == 0) {  // so many channels that one pixel's do not fit
      const WindowSpan<V> ys = TapsInside<V>(y, w.kernel_h, w.dilation_h, w.height);
      const WindowSpan<V> xs = TapsInside<V>(x, w.kernel_w, w.dilation_w, w.width);
      FillPad<V, T>(out, w.kernel_h * w.kernel_w * g.channels, static_cast<T>(g.pad));
      for (int64_t ky = ys.begin; ky < ys.end; ++ky) {
        for (int64_t kx = xs.begin; kx < xs.end; ++kx) {
          const T* from =
              static_cast<const T*>(g.in) + (y + ky * w.dilation_h) * w.width + x + kx * w.dilation_w;
          T* to = out + (ky * w.kernel_w + kx) * g.channels;
          for (int64_t c = 0; c < g.channels; ++c)
            std::memcpy(to + c, from + c * w.height * w.width, sizeof(T));
        }
      }
      out += g.out_row;
      ++p;
      continue;
    }
    const int64_t left = w.out_w - p % w.out_w;
    const int64_t count = left < g.p1 - p ? (left < most ? left : most) : (g.p1 - p < most ? g.p1 - p : most);
    // Of whole rows where they fit, so that the next row finds its own but the last ones.
    const bool whole = most >= w.out_w && g.p1 - g.p0 >= w.out_w;
    const int64_t from = whole ? -w.pad_left : x;
    const int64_t width = ((whole ? w.out_w : count) - 1) * w.stride_w + reach;
    const int64_t row = width * g.channels;
    int64_t have = 0;
    if (whole && p != g.p0 && w.dilation_h == 1 && w.stride_h < w.kernel_h) {
      have = w.kernel_h - w.stride_h;
      std::memmove(strip, strip + w.stride_h * row, static_cast<size_t>(have * row) * sizeof(T));
    }
    FillStrip<V, T>(g, have, y, from, width, strip);
    PatchesArgs rows = g;
    rows.window.dilation_h = 1;
    const int64_t step = w.stride_w * g.channels;
    const T* const first = strip + (x - from) * g.channels;
    int64_t i = Movable<V, T>(g, p, count, kShort);
    if (i > 0) {
      out = MovePatches<V, T, kShort>(g, first, row, step, i, out);
    } else if ((i = Movable<V, T>(g, p, count, kLong)) > 0) {
      out = MovePatches<V, T, kLong>(g, first, row, step, i, out);
    }
    for (; i < count; ++i, out += g.out_row)
      Patch<V, T>(rows, strip, row, g.channels, 0, x - from + i * w.stride_w, out,
                  WindowSpan<V>{0, w.kernel_h}, WindowSpan<V>{0, w.kernel_w});
    p += count;
  }
}

template <class V>
inline void Patches(const PatchesArgs& g) noexcept {
  if (g.channels_first)
    return g.element == 1 ? PatchesOfFirst<V, uint8_t>(g) : PatchesOfFirst<V, uint32_t>(g);
  return g.element == 1 ? PatchesOfLast<V, uint8_t>(g) : PatchesOfLast<V, uint32_t>(g);
}

}  // namespace strop::engine
