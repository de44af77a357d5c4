#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "strop/base/api.h"
#include "strop/model/graph.h"

namespace strop::engine {

// The newest opset of ai.onnx that the tables of this room, and ONNX's own node tests, know.
inline constexpr int64_t kNewestOpset = 28;

// The nodes that OpenVINO must not be given though it would compile them, because its answers differ from the
// ONNX specification or it passes over an attribute in silence: index -> why. `values` is InferShapes of the
// graph. A node with a subgraph is named when one of its inner nodes would be. Pure.
STROP_API std::map<size_t, std::string> BeyondOpenVino(const model::Graph& graph,
                                                       const std::map<std::string, model::ValueInfo>& values);

}  // namespace strop::engine
