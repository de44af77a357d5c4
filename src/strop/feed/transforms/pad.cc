#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/feed/transforms/options.h"
#include "strop/feed/transforms/registry.h"

namespace strop::feed {
namespace {

class Pad final : public Transform {
 public:
  Pad(int64_t length, double value, bool truncate) : length_(length), value_(value), truncate_(truncate) {}

  data::Column Plan(const data::Column& in) override {
    const Shape element(in.shape.begin() + (in.shape.empty() ? 0 : 1), in.shape.end());
    if (in.shape.empty() || ElementCount(element) < 0)
      RefuseInput(in, "rows of shape [?] or [?, fixed sizes]");
    data::Column out = in;
    out.shape[0] = length_;
    if (ElementCount(out.shape) < 0 || ElementCount(out.shape) > int64_t{1} << 32) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("rows padded to {} are too large", ShapeText(out.shape)));
    }
    fill_ = Tensor::From<double>({1}, std::span<const double>(&value_, 1)).Cast(in.dtype);
    // Integers must hold the value exactly; comparing what comes back finds what they cannot.
    const bool floats = in.dtype == DType::kF16 || in.dtype == DType::kF32 || in.dtype == DType::kF64;
    if (!floats && (std::fabs(value_) > 0x1p53 || fill_.Cast(DType::kF64).As<double>()[0] != value_)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("option value = {}: expected what {} can hold", value_, DTypeName(in.dtype)));
    }
    return out;
  }

  void Apply(const RowValue& in, uint64_t /*key*/, RowOut& out) const override {
    if (in.shape[0] > length_ && !truncate_) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("a row of length {} is longer than length = {}: raise it, or set truncate",
                              in.shape[0], length_));
    }
    Shape shape = in.shape;
    shape[0] = length_;
    uint8_t* to = out.Take(in.dtype, shape);
    const size_t all = static_cast<size_t>(ElementCount(shape)) * SizeOf(in.dtype);
    const size_t kept = std::min(all, static_cast<size_t>(ElementCount(in.shape)) * SizeOf(in.dtype));
    if (kept > 0) std::memcpy(to, in.data, kept);
    if (value_ == 0) {
      std::memset(to + kept, 0, all - kept);
      return;
    }
    for (size_t at = kept; at < all; at += SizeOf(in.dtype))
      std::memcpy(to + at, fill_.data(), SizeOf(in.dtype));
  }

 private:
  int64_t length_;
  double value_;
  bool truncate_;
  Tensor fill_;  // one element
};

}  // namespace

std::unique_ptr<Transform> MakePad(const TransformSpec& spec) {
  const Options options(spec, {"length", "value", "truncate"});
  constexpr double kAny = std::numeric_limits<double>::max();
  return std::make_unique<Pad>(options.Whole("length", 1, INT32_MAX),
                               options.Number("value", -kAny, kAny, 0.0), options.Flag("truncate", true));
}

}  // namespace strop::feed
