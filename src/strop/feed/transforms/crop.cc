#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/feed/transforms/image.h"
#include "strop/feed/transforms/options.h"
#include "strop/feed/transforms/registry.h"

namespace strop::feed {
namespace {

class Crop final : public Transform {
 public:
  Crop(int64_t height, int64_t width, bool random) : height_(height), width_(width), random_(random) {}

  data::Column Plan(const data::Column& in) override {
    CheckImages(in, false);
    CheckFits(in.shape[1], in.shape[2]);
    data::Column out = in;
    out.shape = {in.shape[0], height_, width_};
    return out;
  }

  void Apply(const RowValue& in, uint64_t key, RowOut& out) const override {
    const Image image = Image::Of(in);
    CheckFits(image.height, image.width);
    Rng rng(key);
    const auto offset = [&](int64_t spare) {
      // Halves to even, as torchvision's center_crop.
      if (!random_) return static_cast<int64_t>(std::nearbyint(static_cast<double>(spare) / 2));
      return static_cast<int64_t>(rng.Below(static_cast<uint64_t>(spare) + 1));
    };
    const int64_t top = offset(image.height - height_);
    const int64_t left = offset(image.width - width_);
    const Image window = image.Window(top, left, height_, width_);
    uint8_t* to = out.Take(in.dtype, {image.channels, height_, width_});
    const size_t bytes = static_cast<size_t>(width_) * SizeOf(in.dtype);
    for (int64_t c = 0; c < image.channels; ++c) {
      for (int64_t y = 0; y < height_; ++y, to += bytes) std::memcpy(to, window.Row(c, y), bytes);
    }
  }

 private:
  // -1: not known yet.
  void CheckFits(int64_t height, int64_t width) const {
    if ((height < 0 || height >= height_) && (width < 0 || width >= width_)) return;
    const auto text = [](int64_t side) { return side < 0 ? std::string("?") : std::to_string(side); };
    throw Error(
        Code::kInvalidArgument,
        fmt::format("an image of {}x{} (height x width) is smaller than the crop of {}x{}: resize it first",
                    text(height), text(width), height_, width_));
  }

  int64_t height_, width_;
  bool random_;
};

}  // namespace

std::unique_ptr<Transform> MakeCrop(const TransformSpec& spec) {
  const Options options(spec, {"height", "width", "at"});
  return std::make_unique<Crop>(options.Whole("height", 1, kMaxSide), options.Whole("width", 1, kMaxSide),
                                options.OneOf("at", {"center", "random"}, "center") == "random");
}

}  // namespace strop::feed
