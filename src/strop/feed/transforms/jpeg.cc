#include "strop/feed/transforms/jpeg.h"

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>

#include <fmt/format.h>
#include <jerror.h>
#include <jpeglib.h>

#include "strop/base/error.h"

namespace strop::feed {
namespace {

// Progressive files of a few bytes can ask for thousands of passes over a large image; real ones have about
// ten.
constexpr int kMaxScans = 500;

// Pixels of four bytes, the last of them unused, into planes. Not in the function that calls setjmp, where
// every variable would live in memory.
[[gnu::noinline]] void SplitPixels(const uint8_t* __restrict in, size_t width, uint8_t* __restrict red,
                                   uint8_t* __restrict green, uint8_t* __restrict blue) {
  for (size_t x = 0; x < width; ++x) {
    uint32_t pixel;
    std::memcpy(&pixel, in + 4 * x, sizeof pixel);
    red[x] = static_cast<uint8_t>(pixel);
    green[x] = static_cast<uint8_t>(pixel >> 8);
    blue[x] = static_cast<uint8_t>(pixel >> 16);
  }
}

// libjpeg leaves by longjmp, which runs no destructors: every method that calls it holds plain values only,
// and says by false that it was left.
class JpegReader {
 public:
  explicit JpegReader(std::span<const uint8_t> bytes) : bytes_(bytes) {
    info_.err = jpeg_std_error(&errors_);
    errors_.error_exit = &JpegReader::Leave;
    errors_.emit_message = &JpegReader::Warn;
    progress_.progress_monitor = &JpegReader::Watch;
    info_.client_data = this;
  }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&info_); }

  bool ReadHeader() {
    if (setjmp(jump_) != 0) return false;
    jpeg_create_decompress(&info_);
    info_.progress = &progress_;
    jpeg_mem_src(&info_, bytes_.data(), bytes_.size());
    jpeg_read_header(&info_, TRUE);
    return true;
  }

  bool Start(bool grey, unsigned divisor) {
    if (setjmp(jump_) != 0) return false;
    info_.out_color_space = grey ? JCS_GRAYSCALE : JCS_EXT_RGBX;
    info_.scale_num = 1;
    info_.scale_denom = divisor;
    jpeg_start_decompress(&info_);
    const auto bytes = info_.output_width * static_cast<JDIMENSION>(info_.output_components);
    line_ = (*info_.mem->alloc_sarray)(reinterpret_cast<j_common_ptr>(&info_), JPOOL_IMAGE,
                                       bytes + 2 * kOffset, 1)[0];
    // libjpeg-turbo writes aligned rows past the caches (movntdq), from where they would have to be fetched
    // again.
    line_ += kOffset;
    return true;
  }

  bool ReadPlanes(uint8_t* out) {
    if (setjmp(jump_) != 0) return false;
    const size_t width = info_.output_width, plane = width * info_.output_height;
    while (info_.output_scanline < info_.output_height) {
      uint8_t* to = out + info_.output_scanline * width;
      if (info_.output_components == 1) {
        JSAMPROW row = to;
        jpeg_read_scanlines(&info_, &row, 1);
        continue;
      }
      jpeg_read_scanlines(&info_, &line_, 1);
      SplitPixels(line_, width, to, to + plane, to + 2 * plane);
    }
    jpeg_finish_decompress(&info_);
    return true;
  }

  const jpeg_decompress_struct& info() const { return info_; }
  const char* message() const { return message_; }

 private:
  static JpegReader& Of(j_common_ptr info) { return *static_cast<JpegReader*>(info->client_data); }

  static void Leave(j_common_ptr info) {
    (*info->err->format_message)(info, Of(info).message_);
    std::longjmp(Of(info).jump_, 1);
  }

  // Warnings mean damaged pixels, but for these, which well-read files in the wild cause.
  static void Warn(j_common_ptr info, int level) {
    const int code = info->err->msg_code;
    const bool harmless = code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR;
    if (level < 0 && !harmless) Leave(info);
  }

  static void Watch(j_common_ptr info) {
    if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
    std::snprintf(Of(info).message_, sizeof message_, "more than %d scans", kMaxScans);
    std::longjmp(Of(info).jump_, 1);
  }

  std::span<const uint8_t> bytes_;
  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_;
  static constexpr JDIMENSION kOffset = 4;
  JSAMPROW line_ = nullptr;
  char message_[JMSG_LENGTH_MAX] = "";
};

[[noreturn]] void Corrupt(const JpegReader& reader) {
  throw Error(Code::kCorrupt, fmt::format("a damaged JPEG: {}", reader.message()));
}

unsigned Divisor(const Decoding& wanted, int64_t height, int64_t width) {
  if (wanted.min_height < 1 || wanted.min_width < 1) return 1;
  int64_t divisor = 8;
  while (divisor > 1 && ((height + divisor - 1) / divisor < wanted.min_height ||
                         (width + divisor - 1) / divisor < wanted.min_width)) {
    divisor /= 2;
  }
  return static_cast<unsigned>(divisor);
}

}  // namespace

void DecodeJpeg(std::span<const uint8_t> bytes, const Decoding& wanted, const TakePlanes& take) {
  JpegReader reader(bytes);
  if (!reader.ReadHeader()) Corrupt(reader);
  const jpeg_decompress_struct& info = reader.info();
  const int64_t height = info.image_height, width = info.image_width;
  if (height * width > kMaxPixels) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("a JPEG of {}x{} (height x width) has more than {} pixels", height, width, kMaxPixels));
  }
  if (info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK) {
    throw Error(Code::kUnsupported, "a CMYK JPEG: convert it to RGB first");
  }
  if (!reader.Start(wanted.grey, Divisor(wanted, height, width))) Corrupt(reader);
  uint8_t* planes = take(info.output_height, info.output_width);
  if (!reader.ReadPlanes(planes)) Corrupt(reader);
}

}  // namespace strop::feed
