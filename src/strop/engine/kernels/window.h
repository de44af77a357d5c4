#pragma once

#include <cstdint>

namespace strop::engine {

// How a kernel of kernel_h × kernel_w taps goes over an image of height × width pixels: the tap [y, x] of the
// output pixel [oy, ox] is the pixel [oy · stride_h - pad_top + y · dilation_h, ox · stride_w - pad_left + x
// · dilation_w], and padding where that is outside of the image. How much is padded below and to the right
// follows from out_h and out_w (ONNX Conv, AveragePool and MaxPool).
struct Window {
  int64_t height = 0, width = 0;  // any size from 1 up, as is everything here but the padding
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;  // from 0 up
  int64_t out_h = 0, out_w = 0;
};

// A half-open range. Templates on V, a type of the kernel's file, so that each instruction set keeps its own.
template <class V>
struct WindowSpan {
  int64_t begin = 0, end = 0;
};

// The taps inside an image of `size` pixels, of `taps` that lie `dilation` apart from pixel `start` on.
template <class V>
inline WindowSpan<V> TapsInside(int64_t start, int64_t taps, int64_t dilation, int64_t size) noexcept {
  WindowSpan<V> span{0, taps};  // without a division where all are
  if (start < 0) span.begin = (-start + dilation - 1) / dilation;
  if (start + (taps - 1) * dilation >= size)
    span.end = start >= size ? 0 : (size - start + dilation - 1) / dilation;
  if (span.begin > taps) span.begin = taps;
  if (span.end < span.begin) span.end = span.begin;
  return span;
}

// The output pixels of a row whose taps are all inside, along one dimension.
template <class V>
inline WindowSpan<V> WholeOutputs(int64_t out, int64_t stride, int64_t pad, int64_t taps, int64_t dilation,
                                  int64_t size) noexcept {
  WindowSpan<V> span;
  const int64_t last = size - 1 - (taps - 1) * dilation + pad;
  span.begin = (pad + stride - 1) / stride;
  span.end = last < 0 ? 0 : last / stride + 1;
  if (span.begin > out) span.begin = out;
  if (span.end > out) span.end = out;
  if (span.end < span.begin) span.end = span.begin;
  return span;
}

// Calls each(row0, row1) over output rows, for what goes over them channel by channel: all rows where those
// of the image that they read stay in L2, else as many as read 128 KiB. `row_bytes` is a row of the image. On
// float32 [56, 56, 144], 1.8 MB, the slabs lead by 18 %, on [14, 14, 576], 0.45 MB, all at once does (Xeon
// with 2 MiB of L2).
template <class V, class Each>
inline void EachSlab(const Window& w, int64_t row0, int64_t row1, int64_t row_bytes, Each each) noexcept {
  constexpr int64_t kResident = 1 << 20, kSlab = 1 << 17;
  if ((row1 - row0) * w.stride_h * row_bytes <= kResident) return each(row0, row1);
  const int64_t rows = (kSlab / row_bytes - (w.kernel_h - 1) * w.dilation_h - 1) / w.stride_h + 1;
  const int64_t step = rows < 1 ? 1 : rows;
  for (int64_t row = row0; row < row1; row += step) each(row, row + step < row1 ? row + step : row1);
}

}  // namespace strop::engine
