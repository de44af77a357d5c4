#pragma once

#include "strop/model/graph.h"

namespace strop::engine {

// The graph in words that OpenVINO answers as the specification does:
// ReduceMax and ReduceMin of floats, which start at the largest finite number there, answer an infinity where
// nothing but infinities, or nothing at all, is reduced.
model::Graph ForOpenVino(model::Graph graph);

}  // namespace strop::engine
