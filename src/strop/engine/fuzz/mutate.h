#pragma once

#include <string>
#include <vector>

#include "strop/base/rng.h"
#include "strop/engine/fuzz/corpus.h"

namespace strop::engine::fuzz {

// The bytes of a model of the corpus with some damage done: to its structure (sizes, names, edges, types,
// operators, attributes, subgraphs, external data), to its bytes, or to both. What is done follows from the
// draws alone.
std::string MakeMutant(const std::vector<Specimen>& corpus, Rng& rng);

}  // namespace strop::engine::fuzz
