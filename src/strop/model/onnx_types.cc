#include "strop/model/onnx_types.h"

#include <array>
#include <string_view>

#include <fmt/format.h>

namespace strop::model {
namespace {

struct TypeRow {
  int64_t onnx_type;
  std::optional<DType> dtype;
  std::string_view name;
};

constexpr std::array kTypes = {
    TypeRow{1, DType::kF32, "float32"},
    TypeRow{2, DType::kU8, "uint8"},
    TypeRow{3, DType::kI8, "int8"},
    TypeRow{4, DType::kU16, "uint16"},
    TypeRow{5, DType::kI16, "int16"},
    TypeRow{6, DType::kI32, "int32"},
    TypeRow{7, DType::kI64, "int64"},
    TypeRow{8, std::nullopt, "string"},
    TypeRow{9, DType::kBool, "bool"},
    TypeRow{10, DType::kF16, "float16"},
    TypeRow{11, DType::kF64, "float64"},
    TypeRow{12, DType::kU32, "uint32"},
    TypeRow{13, DType::kU64, "uint64"},
    TypeRow{14, std::nullopt, "complex64"},
    TypeRow{15, std::nullopt, "complex128"},
    TypeRow{16, std::nullopt, "bfloat16"},
    TypeRow{17, std::nullopt, "float8e4m3fn"},
    TypeRow{18, std::nullopt, "float8e4m3fnuz"},
    TypeRow{19, std::nullopt, "float8e5m2"},
    TypeRow{20, std::nullopt, "float8e5m2fnuz"},
    TypeRow{21, std::nullopt, "uint4"},
    TypeRow{22, std::nullopt, "int4"},
    TypeRow{23, std::nullopt, "float4e2m1"},
    TypeRow{24, std::nullopt, "float8e8m0"},
    TypeRow{25, std::nullopt, "uint2"},
    TypeRow{26, std::nullopt, "int2"},
    TypeRow{27, std::nullopt, "float6e2m3"},
    TypeRow{28, std::nullopt, "float6e3m2"},
};

const TypeRow* Find(int64_t onnx_type) noexcept {
  for (const TypeRow& row : kTypes) {
    if (row.onnx_type == onnx_type) return &row;
  }
  return nullptr;
}

}  // namespace

int64_t OnnxType(DType dtype) noexcept {
  for (const TypeRow& row : kTypes) {
    if (row.dtype == dtype) return row.onnx_type;
  }
  return 0;
}

std::optional<DType> FromOnnxType(int64_t onnx_type) noexcept {
  const TypeRow* row = Find(onnx_type);
  return row ? row->dtype : std::nullopt;
}

std::string OnnxTypeName(int64_t onnx_type) {
  const TypeRow* row = Find(onnx_type);
  return row ? std::string(row->name) : fmt::format("type {}", onnx_type);
}

}  // namespace strop::model
