#pragma once

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/store/database.h"

namespace strop::watch {

// One row of named tensors, each [1, …], as an Arrow IPC stream of one record batch of one row; columns carry
// dtype and shape as data/table.h writes them. Throws kInvalidArgument for a tensor of another number of
// rows.
STROP_API store::Blob EncodeRow(const TensorMap& row);
// Throws kCorrupt when the bytes are not such a stream.
STROP_API TensorMap DecodeRow(const store::Blob& bytes);

}  // namespace strop::watch
