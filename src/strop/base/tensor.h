#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strop/base/api.h"

namespace strop {

// Element types that cross rooms. Names follow numpy ("float32", "uint8", …) in text.
enum class DType : uint8_t { kF32, kF64, kF16, kU8, kI8, kU16, kI16, kU32, kI32, kU64, kI64, kBool };

STROP_API size_t SizeOf(DType dtype) noexcept;
STROP_API std::string_view DTypeName(DType dtype) noexcept;
// Throws kInvalidArgument that lists the accepted names.
STROP_API DType ParseDType(std::string_view name);

// Row-major sizes. A dynamic size is -1; tensors with data have none.
using Shape = std::vector<int64_t>;

// -1 when a size is dynamic or the product overflows.
STROP_API int64_t ElementCount(const Shape& shape) noexcept;
// "[2,1,28,28]", with "?" for a dynamic size.
STROP_API std::string ShapeText(const Shape& shape);

template <class T>
struct DTypeOf;  // DTypeOf<float>::value
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kF64;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::kU8;
};
template <>
struct DTypeOf<int8_t> {
  static constexpr DType value = DType::kI8;
};
template <>
struct DTypeOf<uint16_t> {
  static constexpr DType value = DType::kU16;
};
template <>
struct DTypeOf<int16_t> {
  static constexpr DType value = DType::kI16;
};
template <>
struct DTypeOf<uint32_t> {
  static constexpr DType value = DType::kU32;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::kI32;
};
template <>
struct DTypeOf<uint64_t> {
  static constexpr DType value = DType::kU64;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::kI64;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::kBool;
};

inline constexpr size_t kTensorAlignment = 64;

// A dense row-major tensor. Copying a Tensor shares its memory; Clone() copies it. What New and Clone make is
// 64-byte aligned; Wrap takes memory as it is. Writing while another thread reads is the caller's to prevent.
class STROP_API Tensor {
 public:
  Tensor() = default;

  // Uninitialised, 64-byte aligned memory. Throws kInvalidArgument on a dynamic or overflowing shape.
  static Tensor New(DType dtype, Shape shape);
  // Takes part in the ownership of `memory`, whose bytes start at `data` and outlive every copy of the
  // tensor.
  static Tensor Wrap(DType dtype, Shape shape, void* data, std::shared_ptr<void> memory);

  template <class T>
  static Tensor From(const Shape& shape, std::span<const T> values) {
    return Copy(DTypeOf<T>::value, shape, values.data(), values.size());
  }

  DType dtype() const noexcept { return dtype_; }
  const Shape& shape() const noexcept { return shape_; }
  int64_t size() const noexcept { return ElementCount(shape_); }
  size_t bytes() const noexcept { return static_cast<size_t>(size()) * SizeOf(dtype_); }
  void* data() const noexcept { return data_; }
  const std::shared_ptr<void>& memory() const noexcept { return memory_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }

  // Elements as T; throws kInternal when T is not the dtype, or the tensor is empty.
  template <class T>
  std::span<T> As() const {
    CheckDType(DTypeOf<T>::value);
    return {static_cast<T*>(data_), static_cast<size_t>(size())};
  }

  Tensor Clone() const;
  // The same memory under another shape of the same element count.
  Tensor Reshaped(Shape shape) const;
  // Rows [begin, end) of the first dimension, sharing memory.
  Tensor Rows(int64_t begin, int64_t end) const;
  // A new tensor with every element converted (static_cast; float16 by round to nearest even;
  // what an integer type cannot hold is unspecified).
  Tensor Cast(DType dtype) const;

 private:
  static Tensor Copy(DType dtype, Shape shape, const void* values, size_t count);
  void CheckDType(DType asked) const;

  DType dtype_ = DType::kF32;
  Shape shape_;
  void* data_ = nullptr;
  std::shared_ptr<void> memory_;
};

// Named tensors: a batch, a session's inputs or its outputs.
using TensorMap = std::map<std::string, Tensor>;

}  // namespace strop
