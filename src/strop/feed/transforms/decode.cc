#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/feed/transforms/image.h"
#include "strop/feed/transforms/jpeg.h"
#include "strop/feed/transforms/options.h"
#include "strop/feed/transforms/png.h"
#include "strop/feed/transforms/registry.h"

namespace strop::feed {
namespace {

bool StartsWith(std::span<const uint8_t> bytes, std::initializer_list<uint8_t> magic) {
  return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin());
}

[[noreturn]] void RefuseFormat(std::span<const uint8_t> bytes) {
  std::string found;
  for (size_t i = 0; i < std::min<size_t>(bytes.size(), 4); ++i) found += fmt::format(" {:02x}", bytes[i]);
  throw Error(
      Code::kCorrupt,
      bytes.empty()
          ? "an empty row: expected a JPEG or a PNG"
          : fmt::format("bytes that start with{}: expected a JPEG (ff d8 ff) or a PNG (89 50 4e 47)", found));
}

class Decode final : public Transform {
 public:
  Decode(const Decoding& wanted, int64_t height, int64_t width)
      : wanted_(wanted), height_(height), width_(width) {}

  data::Column Plan(const data::Column& in) override {
    if (in.dtype != DType::kU8 || in.shape.size() != 1) RefuseInput(in, "the bytes of a file, uint8 [?]");
    data::Column out = in;
    out.shape = {Channels(), height_, width_};
    return out;
  }

  void Apply(const RowValue& in, uint64_t /*key*/, RowOut& out) const override {
    const std::span<const uint8_t> bytes(in.data, static_cast<size_t>(in.shape[0]));
    const TakePlanes take = [&](int64_t height, int64_t width) {
      if ((height_ >= 0 && height != height_) || (width_ >= 0 && width != width_)) {
        throw Error(
            Code::kInvalidArgument,
            fmt::format("an image of {}x{} (height x width): expected {}x{}, or a resize after decode",
                        height, width, Side(height_), Side(width_)));
      }
      return out.Take(DType::kU8, {Channels(), height, width});
    };
    if (StartsWith(bytes, {0xff, 0xd8, 0xff})) return DecodeJpeg(bytes, wanted_, take);
    if (StartsWith(bytes, {0x89, 'P', 'N', 'G'})) return DecodePng(bytes, wanted_, take);
    RefuseFormat(bytes);
  }

 private:
  int64_t Channels() const { return wanted_.grey ? 1 : 3; }
  static std::string Side(int64_t side) { return side < 0 ? "any" : fmt::format("{}", side); }

  Decoding wanted_;
  int64_t height_, width_;  // -1: any
};

}  // namespace

std::unique_ptr<Transform> MakeDecode(const TransformSpec& spec) {
  const Options options(spec, {"mode", "height", "width", "min_height", "min_width"});
  Decoding wanted;
  wanted.grey = options.OneOf("mode", {"rgb", "grey"}, "rgb") == "grey";
  wanted.min_height = options.Whole("min_height", 0, kMaxSide, 0);
  wanted.min_width = options.Whole("min_width", 0, kMaxSide, 0);
  const auto side = [&](const char* name) {
    return options.Has(name) ? options.Whole(name, 1, kMaxSide) : int64_t{-1};
  };
  return std::make_unique<Decode>(wanted, side("height"), side("width"));
}

}  // namespace strop::feed
