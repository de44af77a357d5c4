#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "strop/base/api.h"
#include "strop/model/graph.h"

namespace strop::compress {

// A value that is scale * (input - zero_point) for a uint8 input of the graph: an image that the model
// divides by 255, say. Its bytes are already the quantised activation, exactly, so no float is ever made of
// them.
struct STROP_API ExactInput {
  std::string input;
  float scale = 1;
  uint8_t zero_point = 0;
};

// Follows the value up through Cast, Div, Mul, Sub and Add with scalar constants. nullopt when it does not
// end at a uint8 input, the scale is not positive, or the zero point is not a whole number from 0 to 255.
STROP_API std::optional<ExactInput> FindExactInput(const model::Graph& graph, const std::string& value);

}  // namespace strop::compress
