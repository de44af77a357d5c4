#pragma once

#include "strop/base/tensor.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {

// numpy.matmul of float64 tensors: batches broadcast, a one-dimensional operand is a row or a column.
Tensor MatrixProduct(const Call& call, const Tensor& a, const Tensor& b);

}  // namespace strop::model::reference
