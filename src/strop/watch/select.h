#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"

namespace strop::watch {

// How unsure each row's prediction is, between 0 and 1. scores: [rows, classes], probabilities or logits (a
// row that is not a distribution goes through softmax), or [rows] or [rows, 1], the score of the second of
// two classes.
//   entropy: Shannon entropy over its maximum (Settles, "Active learning literature survey", 2009)
//   margin:  one minus the gap between the two most probable classes (Scheffer, Decomain and Wrobel, IDA
//   2001)
// Throws kInvalidArgument for other shapes, NaN, or another strategy.
STROP_API std::vector<double> Uncertainty(const Tensor& scores, const std::string& strategy = "entropy");

// The k rows whose labels are worth most, best first; all rows if there are fewer. strategy: entropy, margin,
// or random (a uniform sample keyed by `seed`). Ties go to the lower row. Throws kUnsupported for badge,
// which needs gradient embeddings.
STROP_API std::vector<int64_t> Select(const Tensor& scores, int64_t k,
                                      const std::string& strategy = "entropy", uint64_t seed = 0);

}  // namespace strop::watch
