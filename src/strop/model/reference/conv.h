#pragma once

#include "strop/base/tensor.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {

// Convolution of float64 tensors x [N,C,...] and w [M,C/group,...] with the node's attributes; b [M] may be
// null.
Tensor Convolve(const Call& call, const Tensor& x, const Tensor& w, const Tensor* b);

}  // namespace strop::model::reference
