#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/engine/layers/search.h"

namespace strop::engine {

// An operator that exporters of older opsets write as several nodes: free ones, whose values between nothing
// else reads.
struct Idiom {
  std::vector<size_t> nodes;  // of the graph, in order
  std::string input, output;  // of the operator, of one shape
  std::string gamma, beta;    // of a normalization: float32 initializers; beta may be empty
  float epsilon = 0;
};

// x / 2 · (1 + erf(x / √2)), in any order, of which the node is one that reads x.
STROP_API std::optional<Idiom> FindGelu(const Search& search, size_t node);

// (x - mean) / √(mean((x - mean)²) + epsilon) · gamma + beta over the last dimension, whose first node is the
// ReduceMean of x.
STROP_API std::optional<Idiom> FindLayerNorm(const Search& search, size_t node);

}  // namespace strop::engine
