#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "strop/model/graph.h"

namespace strop::model {

// Throws kInvalidArgument naming the node when it has fewer or more inputs or outputs than its operator takes
// in the opset, or leaves out an input that is not optional. Operators that ONNX does not define may have
// any.
void CheckArity(const Node& node, const std::map<std::string, int64_t>& opsets);

}  // namespace strop::model
