#pragma once

#include <string>
#include <vector>

#include <arrow/c/abi.h>

#include "strop/base/api.h"
#include "strop/feed/loader.h"

namespace strop::feed {

// The batch as a struct array by the Arrow C data interface, sharing its memory (bools are packed): numbers
// as they are, rows of several as fixed-size binary with strop.dtype and strop.shape. The receiver releases
// both.
STROP_API void ExportArrow(const Batch& batch, const std::vector<std::string>& columns, ArrowArray* array,
                           ArrowSchema* schema);

}  // namespace strop::feed
