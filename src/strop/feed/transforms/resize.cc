#include <cmath>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/feed/transforms/image.h"
#include "strop/feed/transforms/options.h"
#include "strop/feed/transforms/registry.h"
#include "strop/feed/transforms/resample.h"

namespace strop::feed {
namespace {

struct Target {
  int64_t height, width;
  Interpolation how;

  explicit Target(const Options& options)
      : height(options.Whole("height", 1, kMaxSide)),
        width(options.Whole("width", 1, kMaxSide)),
        how(Interpolation::kNearest) {
    const bool antialias = options.Flag("antialias", true);
    if (options.OneOf("interpolation", {"bilinear", "nearest"}, "bilinear") == "bilinear") {
      how = antialias ? Interpolation::kBilinearAntialias : Interpolation::kBilinear;
    }
  }

  data::Column Plan(const data::Column& in) const {
    CheckImages(in, true);
    data::Column out = in;
    out.shape = {in.shape[0], height, width};
    return out;
  }
  void Apply(const Image& image, RowOut& out) const {
    Resample(image, height, width, how, out.Take(image.dtype, {image.channels, height, width}));
  }
};

void CheckNotEmpty(const Image& image) {
  if (image.height > 0 && image.width > 0) return;
  throw Error(Code::kInvalidArgument,
              fmt::format("an image of {}x{} (height x width) has no pixels", image.height, image.width));
}

class Resize final : public Transform {
 public:
  explicit Resize(const Target& target) : target_(target) {}

  data::Column Plan(const data::Column& in) override { return target_.Plan(in); }
  void Apply(const RowValue& in, uint64_t /*key*/, RowOut& out) const override {
    const Image image = Image::Of(in);
    CheckNotEmpty(image);
    target_.Apply(image, out);
  }

 private:
  Target target_;
};

class RandomResizedCrop final : public Transform {
 public:
  RandomResizedCrop(const Target& target, std::pair<double, double> scale, std::pair<double, double> ratio)
      : target_(target), scale_(scale), ratio_(ratio) {}

  data::Column Plan(const data::Column& in) override { return target_.Plan(in); }
  void Apply(const RowValue& in, uint64_t key, RowOut& out) const override {
    const Image image = Image::Of(in);
    CheckNotEmpty(image);
    const Cut cut = DrawCut(image.height, image.width, scale_, ratio_, key);
    target_.Apply(image.Window(cut.top, cut.left, cut.height, cut.width), out);
  }

 private:
  Target target_;
  std::pair<double, double> scale_, ratio_;
};

}  // namespace

Cut DrawCut(int64_t height, int64_t width, std::pair<double, double> scale, std::pair<double, double> ratio,
            uint64_t key) {
  Rng rng(key);
  const auto between = [&](double low, double high) { return low + (high - low) * rng.Uniform(); };
  const auto h = static_cast<double>(height), w = static_cast<double>(width);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double area = h * w * between(scale.first, scale.second);
    const double aspect = std::exp(between(std::log(ratio.first), std::log(ratio.second)));
    const auto columns = static_cast<int64_t>(std::nearbyint(std::sqrt(area * aspect)));
    const auto rows = static_cast<int64_t>(std::nearbyint(std::sqrt(area / aspect)));
    if (columns < 1 || columns > width || rows < 1 || rows > height) continue;
    const auto top = static_cast<int64_t>(rng.Below(static_cast<uint64_t>(height - rows + 1)));
    const auto left = static_cast<int64_t>(rng.Below(static_cast<uint64_t>(width - columns + 1)));
    return {top, left, rows, columns};
  }
  Cut cut{0, 0, height, width};
  if (w / h < ratio.first) {
    cut.height = std::clamp<int64_t>(static_cast<int64_t>(std::nearbyint(w / ratio.first)), 1, height);
  } else if (w / h > ratio.second) {
    cut.width = std::clamp<int64_t>(static_cast<int64_t>(std::nearbyint(h * ratio.second)), 1, width);
  }
  cut.top = (height - cut.height) / 2;
  cut.left = (width - cut.width) / 2;
  return cut;
}

std::unique_ptr<Transform> MakeResize(const TransformSpec& spec) {
  return std::make_unique<Resize>(Target(Options(spec, {"height", "width", "interpolation", "antialias"})));
}

std::unique_ptr<Transform> MakeRandomResizedCrop(const TransformSpec& spec) {
  const Options options(spec, {"height", "width", "scale", "ratio", "interpolation", "antialias"});
  return std::make_unique<RandomResizedCrop>(Target(options), options.Range("scale", 0, 1, {0.08, 1.0}),
                                             options.Range("ratio", 0, 1000, {3.0 / 4, 4.0 / 3}));
}

}  // namespace strop::feed
