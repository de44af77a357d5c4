#include <algorithm>
#include <cstring>

#include "strop/base/rng.h"
#include "strop/feed/transforms/image.h"
#include "strop/feed/transforms/options.h"
#include "strop/feed/transforms/registry.h"

namespace strop::feed {
namespace {

template <class T>
void Mirror(const uint8_t* row, int64_t width, uint8_t* to) {
  const auto* typed = reinterpret_cast<const T*>(row);
  std::reverse_copy(typed, typed + width, reinterpret_cast<T*>(to));
}

void Mirror(DType dtype, const uint8_t* row, int64_t width, uint8_t* to) {
  switch (SizeOf(dtype)) {
    case 1:
      return Mirror<uint8_t>(row, width, to);
    case 2:
      return Mirror<uint16_t>(row, width, to);
    case 4:
      return Mirror<uint32_t>(row, width, to);
    default:
      return Mirror<uint64_t>(row, width, to);
  }
}

class Flip final : public Transform {
 public:
  Flip(bool horizontal, double probability) : horizontal_(horizontal), probability_(probability) {}

  data::Column Plan(const data::Column& in) override {
    CheckImages(in, false);
    return in;
  }

  void Apply(const RowValue& in, uint64_t key, RowOut& out) const override {
    const Image image = Image::Of(in);
    uint8_t* to = out.Take(in.dtype, in.shape);
    const size_t bytes = static_cast<size_t>(image.width) * SizeOf(in.dtype);
    const bool flips = Rng(key).Uniform() < probability_;
    if (!flips) {
      std::memcpy(to, in.data, static_cast<size_t>(image.channels * image.height) * bytes);
      return;
    }
    for (int64_t c = 0; c < image.channels; ++c) {
      for (int64_t y = 0; y < image.height; ++y, to += bytes) {
        if (horizontal_) {
          Mirror(in.dtype, image.Row(c, y), image.width, to);
        } else {
          std::memcpy(to, image.Row(c, image.height - 1 - y), bytes);
        }
      }
    }
  }

 private:
  bool horizontal_;
  double probability_;
};

}  // namespace

std::unique_ptr<Transform> MakeFlip(const TransformSpec& spec) {
  const Options options(spec, {"axis", "probability"});
  return std::make_unique<Flip>(options.OneOf("axis", {"horizontal", "vertical"}) == "horizontal",
                                options.Number("probability", 0, 1, 0.5));
}

}  // namespace strop::feed
