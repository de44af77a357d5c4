#include "strop/feed/transforms/png.h"

#include <memory>

#include <fmt/format.h>
#include <spng.h>

#include "strop/base/error.h"

namespace strop::feed {
namespace {

void Check(int result) {
  if (result != 0) {
    throw Error(Code::kCorrupt, fmt::format("a damaged PNG: {}", spng_strerror(result)));
  }
}

struct FreeContext {
  void operator()(spng_ctx* context) const noexcept { spng_ctx_free(context); }
};

void Split(const uint8_t* in, size_t pixels, uint8_t* out) {
  for (size_t i = 0; i < pixels; ++i, in += 3) {
    out[i] = in[0];
    out[pixels + i] = in[1];
    out[2 * pixels + i] = in[2];
  }
}

// Luma of ITU-R BT.601 with the fixed point of Pillow's convert("L"); the weights sum to 2^16, so grey stays
// as it is.
void Luma(const uint8_t* in, size_t pixels, uint8_t* out) {
  for (size_t i = 0; i < pixels; ++i, in += 3) {
    out[i] = static_cast<uint8_t>((in[0] * 19595U + in[1] * 38470U + in[2] * 7471U + 0x8000U) >> 16);
  }
}

}  // namespace

void DecodePng(std::span<const uint8_t> bytes, const Decoding& wanted, const TakePlanes& take) {
  const std::unique_ptr<spng_ctx, FreeContext> context(spng_ctx_new(0));
  if (!context) throw std::bad_alloc();
  // Texts and profiles are of no use here: a few MB of them are room enough.
  Check(spng_set_chunk_limits(context.get(), 16 << 20, 16 << 20));
  Check(spng_set_png_buffer(context.get(), bytes.data(), bytes.size()));
  spng_ihdr header{};
  Check(spng_get_ihdr(context.get(), &header));
  const int64_t height = header.height, width = header.width;
  if (width > kMaxPixels / height) {
    throw Error(Code::kInvalidArgument, fmt::format("a PNG of {}x{} (height x width) has more than {} pixels",
                                                    height, width, kMaxPixels));
  }
  const auto pixels = static_cast<size_t>(height * width);
  const auto rgb = std::make_unique_for_overwrite<uint8_t[]>(pixels * 3);
  Check(spng_decode_image(context.get(), rgb.get(), pixels * 3, SPNG_FMT_RGB8, 0));
  Check(spng_decode_chunks(context.get()));  // up to the end, which may have been cut off
  uint8_t* planes = take(height, width);
  if (wanted.grey) return Luma(rgb.get(), pixels, planes);
  Split(rgb.get(), pixels, planes);
}

}  // namespace strop::feed
