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
inline constexpr int64_t kStripBytes = 32 * 1024;

// strip[height, width, channels] of the pixels from [y, x] on, every `dilation`-th row.
template <class V, class T>
inline void FillStrip(const PatchesArgs& g, int64_t y, int64_t x, int64_t width, T* strip) noexcept {
  const Window& w = g.window;
  const T* in = static_cast<const T*>(g.in);
  const WindowSpan<V> ys = TapsInside<V>(y, w.kernel_h, w.dilation_h, w.height);
  const WindowSpan<V> xs = TapsInside<V>(x, width, 1, w.width);
  for (int64_t ky = 0; ky < w.kernel_h; ++ky, strip += width * g.channels) {
    const bool inside = ky >= ys.begin && ky < ys.end;
    if (!inside || xs.begin > 0 || xs.end < width)
      FillPad<V, T>(strip, width * g.channels, static_cast<T>(g.pad));
    if (!inside) continue;
    for (int64_t c = 0; c < g.channels; ++c) {
      const T* from = in + (c * w.height + y + ky * w.dilation_h) * w.width;
      for (int64_t i = xs.begin; i < xs.end; ++i)
        std::memcpy(strip + i * g.channels + c, from + (x + i), sizeof(T));
    }
  }
}

// A strip that many pixels share is made channels-last first: their patches are then runs of it.
template <class V, class T>
inline void PatchesOfFirst(const PatchesArgs& g) noexcept {
  const Window& w = g.window;
  alignas(64) T strip[kStripBytes<V> / sizeof(T)];
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
    int64_t count = w.out_w - p % w.out_w;
    if (count > g.p1 - p) count = g.p1 - p;
    if (count > most) count = most;
    const int64_t width = (count - 1) * w.stride_w + reach;
    FillStrip<V, T>(g, y, x, width, strip);
    PatchesArgs rows = g;
    rows.window.dilation_h = 1;
    for (int64_t i = 0; i < count; ++i, out += g.out_row)
      Patch<V, T>(rows, strip, width * g.channels, g.channels, 0, i * w.stride_w, out,
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
