#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/feed/transforms/options.h"
#include "strop/feed/transforms/registry.h"

namespace strop::feed {
namespace {

template <class T>
int64_t Load(const uint8_t* data) {
  T value;
  std::memcpy(&value, data, sizeof value);
  return static_cast<int64_t>(value);  // past 2^63 it turns negative, which no class is either
}

int64_t LoadInteger(DType dtype, const uint8_t* data) {
  switch (dtype) {
    case DType::kU8:
      return Load<uint8_t>(data);
    case DType::kI8:
      return Load<int8_t>(data);
    case DType::kU16:
      return Load<uint16_t>(data);
    case DType::kI16:
      return Load<int16_t>(data);
    case DType::kU32:
      return Load<uint32_t>(data);
    case DType::kI32:
      return Load<int32_t>(data);
    case DType::kU64:
      return Load<uint64_t>(data);
    default:
      return Load<int64_t>(data);
  }
}

class OneHot final : public Transform {
 public:
  explicit OneHot(int64_t classes) : classes_(classes) {}

  data::Column Plan(const data::Column& in) override {
    const bool integer = in.dtype != DType::kF16 && in.dtype != DType::kF32 && in.dtype != DType::kF64 &&
                         in.dtype != DType::kBool;
    if (!integer || ElementCount(in.shape) != 1) RefuseInput(in, "one integer a row");
    data::Column out = in;
    out.dtype = DType::kF32;
    out.shape = {classes_};
    return out;
  }

  void Apply(const RowValue& in, uint64_t /*key*/, RowOut& out) const override {
    const int64_t value = LoadInteger(in.dtype, in.data);
    if (value < 0 || value >= classes_) {
      const std::string text = in.dtype == DType::kU64 ? fmt::format("{}", static_cast<uint64_t>(value))
                                                       : fmt::format("{}", value);
      throw Error(Code::kInvalidArgument,
                  fmt::format("class {}: expected 0 to {} (classes = {})", text, classes_ - 1, classes_));
    }
    auto* to = reinterpret_cast<float*>(out.Take(DType::kF32, {classes_}));
    std::fill(to, to + classes_, 0.0f);
    to[value] = 1.0f;
  }

 private:
  int64_t classes_;
};

}  // namespace

std::unique_ptr<Transform> MakeOneHot(const TransformSpec& spec) {
  const Options options(spec, {"classes"});
  return std::make_unique<OneHot>(options.Whole("classes", 1, 1 << 24));
}

}  // namespace strop::feed
