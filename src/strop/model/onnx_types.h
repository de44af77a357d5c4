#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "strop/base/api.h"
#include "strop/base/tensor.h"

namespace strop::model {

// ONNX's number for a dtype (TensorProto.DataType), as the attribute `to` of Cast holds it.
STROP_API int64_t OnnxType(DType dtype) noexcept;
// nullopt for a type that a Tensor cannot hold (string, complex, bfloat16, float8, 4-bit and smaller).
STROP_API std::optional<DType> FromOnnxType(int64_t onnx_type) noexcept;
// "float32", "bfloat16", "int4", …; "type 99" for a number that ONNX does not know.
STROP_API std::string OnnxTypeName(int64_t onnx_type);

}  // namespace strop::model
