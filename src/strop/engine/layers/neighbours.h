#pragma once

#include <cstddef>
#include <set>
#include <vector>

#include "strop/engine/layers/layer.h"
#include "strop/engine/layers/search.h"

namespace strop::engine {

// A layer that is worth a step of its own only beside others: alone it leaves more cuts than it saves.
struct Candidate {
  enum class Beside {
    kAny,      // a layer makes one of its inputs or reads its answer
    kReaders,  // layers alone read its answer; where nothing reads it, a layer makes an input
    kMaker,    // that, or a layer makes an input
    kAll       // kAny, and nothing but layers makes or reads its values: OpenVINO does it at no cost
  };
  Layer layer;
  Beside beside = Beside::kAny;
};

// Adds those of the candidates to the layers that stand beside one, or beside one that does.
void TakeBeside(const Search& search, std::vector<Candidate> candidates, std::vector<Layer>& layers);

}  // namespace strop::engine
