#include "strop/base/tensor.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop {
namespace {

struct DTypeInfo {
  std::string_view name;
  size_t size;
};

// In the order of DType.
constexpr DTypeInfo kDTypes[] = {
    {"float32", 4}, {"float64", 8}, {"float16", 2}, {"uint8", 1},  {"int8", 1},  {"uint16", 2},
    {"int16", 2},   {"uint32", 4},  {"int32", 4},   {"uint64", 8}, {"int64", 8}, {"bool", 1},
};

// Element types that C++ lacks, as memory holds them. Booleans are read as bytes: any byte but 0 is true.
struct Half {
  uint16_t bits;
};
struct Boolean {
  uint8_t byte;
};

float ToFloat(Half half) noexcept {
  const uint32_t sign = static_cast<uint32_t>(half.bits & 0x8000u) << 16;
  const uint32_t exponent = (half.bits >> 10) & 0x1f;
  const uint32_t mantissa = half.bits & 0x3ff;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24, exact in float
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

// Round to nearest even, from double, so that float64 is rounded once.
Half ToHalf(double value) noexcept {
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 48) & 0x8000u);
  const double magnitude = std::fabs(value);
  if (std::isnan(value)) return {static_cast<uint16_t>(sign | 0x7e00u)};
  if (magnitude >= 65520.0) return {static_cast<uint16_t>(sign | 0x7c00u)};
  // The spacing of halves around the value: 2^-24 for subnormals, 2^(exponent - 10) above.
  const int exponent = magnitude < 0x1p-14 ? -14 : std::ilogb(magnitude);
  const auto units = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  // Normal numbers carry the implicit bit 1024; a carry into 2048 steps the exponent by itself.
  const uint32_t biased = exponent == -14 ? units : units + (static_cast<uint32_t>(exponent + 14) << 10);
  return {static_cast<uint16_t>(sign | biased)};
}

template <class To, class From>
To Convert(From value) noexcept {
  if constexpr (std::is_same_v<From, To>) {
    return value;
  } else if constexpr (std::is_same_v<From, Half>) {
    return Convert<To>(ToFloat(value));
  } else if constexpr (std::is_same_v<From, Boolean>) {
    return Convert<To>(static_cast<uint8_t>(value.byte != 0));
  } else if constexpr (std::is_same_v<To, Half>) {
    return ToHalf(static_cast<double>(value));
  } else if constexpr (std::is_same_v<To, Boolean>) {
    return {static_cast<uint8_t>(value != 0)};
  } else {
    return static_cast<To>(value);
  }
}

// Calls visit with a value of the type that memory of this dtype holds.
template <class Visit>
void VisitDType(DType dtype, Visit visit) {
  switch (dtype) {
    case DType::kF32:
      return visit(float{});
    case DType::kF64:
      return visit(double{});
    case DType::kF16:
      return visit(Half{});
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
      return visit(Boolean{});
  }
}

// Bytes of a dense tensor; throws for what no memory can hold.
size_t CheckedBytes(DType dtype, const Shape& shape) {
  size_t bytes = SizeOf(dtype);
  bool empty = false, fits = true;
  for (const int64_t size : shape) {
    if (size < 0) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("a tensor of shape {} has a dynamic size: give every size", ShapeText(shape)));
    }
    empty = empty || size == 0;
    fits = fits && !__builtin_mul_overflow(bytes, static_cast<size_t>(size), &bytes) &&
           bytes <= static_cast<size_t>(PTRDIFF_MAX) - kTensorAlignment;
  }
  if (empty) return 0;
  if (!fits) {
    throw Error(Code::kInvalidArgument,
                fmt::format("a {} tensor of shape {} does not fit in the address space", DTypeName(dtype),
                            ShapeText(shape)));
  }
  return bytes;
}

}  // namespace

size_t SizeOf(DType dtype) noexcept { return kDTypes[static_cast<size_t>(dtype)].size; }

std::string_view DTypeName(DType dtype) noexcept { return kDTypes[static_cast<size_t>(dtype)].name; }

DType ParseDType(std::string_view name) {
  std::string accepted;
  for (size_t i = 0; i < std::size(kDTypes); ++i) {
    if (kDTypes[i].name == name) return static_cast<DType>(i);
    accepted += (i > 0 ? ", " : "") + std::string(kDTypes[i].name);
  }
  throw Error(Code::kInvalidArgument,
              fmt::format("unknown dtype \"{}\": expected one of {}", name, accepted));
}

int64_t ElementCount(const Shape& shape) noexcept {
  int64_t count = 1;
  bool empty = false, fits = true;
  for (const int64_t size : shape) {
    if (size < 0) return -1;
    empty = empty || size == 0;
    fits = fits && !__builtin_mul_overflow(count, size, &count);
  }
  return empty ? 0 : fits ? count : -1;
}

std::string ShapeText(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ',';
    text += shape[i] < 0 ? "?" : std::to_string(shape[i]);
  }
  return text + "]";
}

Tensor Tensor::New(DType dtype, Shape shape) {
  const size_t bytes = CheckedBytes(dtype, shape);
  // Whole cache lines, at least one: kernels may read the tail of the last vector, and an empty tensor has an
  // address.
  const size_t rounded =
      std::max(kTensorAlignment, (bytes + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment);
  void* data = std::aligned_alloc(kTensorAlignment, rounded);
  if (data == nullptr) throw std::bad_alloc();
  return Wrap(dtype, std::move(shape), data, std::shared_ptr<void>(data, &std::free));
}

Tensor Tensor::Wrap(DType dtype, Shape shape, void* data, std::shared_ptr<void> memory) {
  CheckedBytes(dtype, shape);
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  tensor.data_ = data;
  tensor.memory_ = std::move(memory);
  return tensor;
}

Tensor Tensor::Copy(DType dtype, Shape shape, const void* values, size_t count) {
  Tensor tensor = New(dtype, std::move(shape));
  if (static_cast<size_t>(tensor.size()) != count) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} values do not fill a tensor of shape {}", count, ShapeText(tensor.shape_)));
  }
  if (count > 0) std::memcpy(tensor.data_, values, tensor.bytes());
  return tensor;
}

void Tensor::CheckDType(DType asked) const {
  if (data_ == nullptr) throw Error(Code::kInternal, "elements of an empty tensor were asked for");
  if (asked != dtype_) {
    throw Error(Code::kInternal, fmt::format("elements of a {} tensor of shape {} were asked for as {}",
                                             DTypeName(dtype_), ShapeText(shape_), DTypeName(asked)));
  }
}

Tensor Tensor::Clone() const {
  if (data_ == nullptr) return {};
  return Copy(dtype_, shape_, data_, static_cast<size_t>(size()));
}

Tensor Tensor::Reshaped(Shape shape) const {
  if (ElementCount(shape) != size()) {
    throw Error(Code::kInvalidArgument, fmt::format("a tensor of shape {} cannot be seen as {}: {} elements",
                                                    ShapeText(shape_), ShapeText(shape), size()));
  }
  return Wrap(dtype_, std::move(shape), data_, memory_);
}

Tensor Tensor::Rows(int64_t begin, int64_t end) const {
  if (shape_.empty() || begin < 0 || end < begin || end > shape_[0]) {
    throw Error(Code::kInvalidArgument,
                fmt::format("rows {} to {} of a tensor of shape {}: expected 0 <= begin <= end "
                            "<= its first size",
                            begin, end, ShapeText(shape_)));
  }
  Shape row(shape_.begin() + 1, shape_.end());
  const size_t stride = static_cast<size_t>(ElementCount(row)) * SizeOf(dtype_);
  row.insert(row.begin(), end - begin);
  return Wrap(dtype_, std::move(row), static_cast<char*>(data_) + static_cast<size_t>(begin) * stride,
              memory_);
}

Tensor Tensor::Cast(DType dtype) const {
  if (dtype == dtype_) return Clone();
  if (data_ == nullptr) throw Error(Code::kInternal, "an empty tensor was cast");
  Tensor out = New(dtype, shape_);
  const auto count = static_cast<size_t>(size());
  VisitDType(dtype_, [&](auto from) {
    using From = decltype(from);
    VisitDType(dtype, [&](auto to) {
      using To = decltype(to);
      const auto* source = static_cast<const From*>(data_);
      auto* target = static_cast<To*>(out.data_);
      for (size_t i = 0; i < count; ++i) target[i] = Convert<To>(source[i]);
    });
  });
  return out;
}

}  // namespace strop
