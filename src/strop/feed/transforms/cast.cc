#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/feed/transforms/options.h"
#include "strop/feed/transforms/registry.h"

namespace strop::feed {
namespace {

// Calls visit with a value of the C++ type of the elements. Not for float16, which tensor.h converts.
template <class Visit>
void VisitElements(DType dtype, Visit visit) {
  switch (dtype) {
    case DType::kF32:
      return visit(float{});
    case DType::kF64:
      return visit(double{});
    case DType::kU8:
      return visit(uint8_t{});
    case DType::kI8:
      return visit(int8_t{});
    case DType::kU16:
      return visit(uint16_t{});
    case DType::kI16:
      return visit(int16_t{});
    case DType::kU32:
      return visit(uint32_t{});
    case DType::kI32:
      return visit(int32_t{});
    case DType::kU64:
      return visit(uint64_t{});
    case DType::kI64:
      return visit(int64_t{});
    case DType::kBool:
      return visit(bool{});
    case DType::kF16:
      break;
  }
  throw Error(Code::kInternal, "float16 elements were visited");
}

// To the nearest, halves to even. Adding 1.5 * 2^23 rounds what is within 2^22, and unlike a call vectorises.
inline int32_t RoundSmall(float value) noexcept {
  return static_cast<int32_t>((value + 12582912.0f) - 12582912.0f);
}

template <class To, class From>
To SaturateFloat(From value) noexcept {
  using Limits = std::numeric_limits<To>;
  if constexpr (sizeof(To) <= 2 && std::is_same_v<From, float>) {
    // The order of operands makes NaN the lower bound, so that the conversion is defined.
    const float low = value > static_cast<float>(Limits::min()) ? value : static_cast<float>(Limits::min());
    const float clamped = low < static_cast<float>(Limits::max()) ? low : static_cast<float>(Limits::max());
    return static_cast<To>(RoundSmall(clamped));
  } else {
    const double rounded = std::nearbyint(static_cast<double>(value));
    // 2^digits is exact in double, where the largest value of 64 bits is not.
    if (!(rounded > static_cast<double>(Limits::min()))) return Limits::min();
    if (rounded >= std::ldexp(1.0, Limits::digits)) return Limits::max();
    return static_cast<To>(rounded);
  }
}

template <class To, class From>
To Convert(From value) noexcept {
  if constexpr (std::is_same_v<To, bool>) {
    return value != From{};
  } else if constexpr (std::is_floating_point_v<To> || std::is_same_v<From, bool>) {
    return static_cast<To>(value);
  } else if constexpr (std::is_floating_point_v<From>) {
    return SaturateFloat<To>(value);
  } else {
    using Limits = std::numeric_limits<To>;
    if (std::cmp_less(value, Limits::min())) return Limits::min();
    if (std::cmp_greater(value, Limits::max())) return Limits::max();
    return static_cast<To>(value);
  }
}

template <class From>
bool HasNan(const From* in, size_t count) noexcept {
  unsigned found = 0;
  for (size_t i = 0; i < count; ++i) found |= in[i] != in[i] ? 1U : 0U;
  return found != 0;
}

[[noreturn]] void RefuseNan(size_t index, DType to) {
  throw Error(Code::kInvalidArgument,
              fmt::format("value {} of the row is NaN, which {} cannot hold", index, DTypeName(to)));
}

void Convert(DType from, const uint8_t* in, DType to, uint8_t* out, size_t count) {
  VisitElements(from, [&](auto source) {
    using From = decltype(source);
    const auto* typed = reinterpret_cast<const From*>(in);
    VisitElements(to, [&](auto target) {
      using To = decltype(target);
      if constexpr (std::is_floating_point_v<From> && !std::is_floating_point_v<To>) {
        if (HasNan(typed, count)) {
          size_t i = 0;
          while (!std::isnan(typed[i])) ++i;
          RefuseNan(i, to);
        }
      }
      auto* result = reinterpret_cast<To*>(out);
      for (size_t i = 0; i < count; ++i) result[i] = Convert<To>(typed[i]);
    });
  });
}

Tensor View(const RowValue& row) {
  return Tensor::Wrap(row.dtype, row.shape, const_cast<uint8_t*>(row.data), nullptr);
}

class Cast final : public Transform {
 public:
  explicit Cast(DType to) : to_(to) {}

  data::Column Plan(const data::Column& in) override {
    data::Column out = in;
    out.dtype = to_;
    return out;
  }

  void Apply(const RowValue& in, uint64_t /*key*/, RowOut& out) const override {
    uint8_t* to = out.Take(to_, in.shape);
    const auto count = static_cast<size_t>(ElementCount(in.shape));
    if (count == 0) return;
    if (in.dtype == to_) {
      std::memcpy(to, in.data, count * SizeOf(to_));
    } else if (in.dtype == DType::kF16) {
      const Tensor wide = View(in).Cast(DType::kF32);
      Convert(DType::kF32, static_cast<const uint8_t*>(wide.data()), to_, to, count);
    } else if (to_ == DType::kF16) {
      std::memcpy(to, View(in).Cast(DType::kF16).data(), count * SizeOf(to_));
    } else {
      Convert(in.dtype, in.data, to_, to, count);
    }
  }

 private:
  DType to_;
};

}  // namespace

std::unique_ptr<Transform> MakeCast(const TransformSpec& spec) {
  const Options options(spec, {"dtype"});
  std::vector<std::string> names;
  for (int i = 0; i <= static_cast<int>(DType::kBool); ++i)
    names.emplace_back(DTypeName(static_cast<DType>(i)));
  return std::make_unique<Cast>(ParseDType(options.OneOf("dtype", names)));
}

}  // namespace strop::feed
