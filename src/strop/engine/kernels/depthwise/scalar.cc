#include "strop/engine/kernels/depthwise/declarations.h"
#include "strop/engine/kernels/depthwise/float_tile.h"

namespace strop::engine {
namespace {

struct Lane {
  using Reg = float;
  static constexpr int64_t kWidth = 1;
  static Reg Set1(float x) noexcept { return x; }
  static Reg Load(const float* p) noexcept { return *p; }
  static Reg LoadPart(const float*, int64_t) noexcept { return 0; }
  static void Store(float* p, Reg x) noexcept { *p = x; }
  static void StorePart(float*, int64_t, Reg) noexcept {}
  static Reg Fma(Reg a, Reg b, Reg c) noexcept { return a * b + c; }
  static Reg Max(Reg a, Reg b) noexcept { return a > b ? a : b; }
  static Reg Min(Reg a, Reg b) noexcept { return a < b ? a : b; }
};

int32_t Sum(const Int8DepthwiseArgs& g, int64_t oy, int64_t ox, int64_t c) noexcept {
  const Window& w = g.window;
  uint32_t sum = g.correction == nullptr ? 0 : static_cast<uint32_t>(g.correction[c]);
  for (int64_t y = 0; y < w.kernel_h; ++y) {
    for (int64_t x = 0; x < w.kernel_w; ++x) {
      const int64_t iy = oy * w.stride_h - w.pad_top + y * w.dilation_h;
      const int64_t ix = ox * w.stride_w - w.pad_left + x * w.dilation_w;
      if (iy < 0 || iy >= w.height || ix < 0 || ix >= w.width) continue;
      const uint8_t byte = g.in[(iy * w.width + ix) * g.in_pixel + c];
      const int32_t value = (g.is_signed ? static_cast<int8_t>(byte) : byte) - g.in_zero;
      sum += static_cast<uint32_t>(value * g.weights[(y * w.kernel_w + x) * g.channels + c]);
    }
  }
  return static_cast<int32_t>(sum);
}

void Finish(const Int8DepthwiseArgs& g, int32_t sum, int64_t c, int64_t at) noexcept {
  if (g.output == Int8Output::kS32) {
    static_cast<int32_t*>(g.out)[at] = sum;
    return;
  }
  const float y = Lane::Min(g.high, Lane::Max(g.low, static_cast<float>(sum) * g.scale[c] + g.offset[c]));
  if (g.output == Int8Output::kF32) {
    static_cast<float*>(g.out)[at] = y;
    return;
  }
  const int32_t least = g.output == Int8Output::kS8 ? -128 : 0;
  const auto low = static_cast<float>(least - g.zero), high = static_cast<float>(least + 255 - g.zero);
  const float clamped = !(y > low) ? low : y < high ? y : high;
  static_cast<uint8_t*>(g.out)[at] =
      static_cast<uint8_t>(static_cast<int32_t>(__builtin_rintf(clamped)) + g.zero);
}

}  // namespace

void depthwise_f32_scalar(const DepthwiseArgs& args) noexcept { Depthwise<Lane>(args); }

void depthwise_u8s8_scalar(const Int8DepthwiseArgs& args) noexcept {
  for (int64_t oy = args.row0; oy < args.row1; ++oy) {
    for (int64_t ox = 0; ox < args.window.out_w; ++ox) {
      const int64_t pixel = oy * args.window.out_w + ox;
      for (int64_t c = 0; c < args.channels; ++c)
        Finish(args, Sum(args, oy, ox, c), c, pixel * args.out_pixel + c);
    }
  }
}

}  // namespace strop::engine
