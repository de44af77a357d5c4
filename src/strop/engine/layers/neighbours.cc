#include "strop/engine/layers/neighbours.h"

#include <algorithm>
#include <utility>

namespace strop::engine {
namespace {

class Neighbours {
 public:
  Neighbours(const Search& search, const std::vector<Layer>& layers) : search_(search) {
    for (const Layer& layer : layers) Add(layer);
  }

  void Add(const Layer& layer) { owned_.insert(layer.nodes.begin(), layer.nodes.end()); }
  void Remove(const Layer& layer) {
    for (const size_t node : layer.nodes) owned_.erase(node);
  }

  bool Want(const Candidate& candidate) const {
    const auto owned = [&](size_t node) { return owned_.contains(node); };
    const std::vector<size_t>& readers = search_.Consumers(candidate.layer.output);
    const bool read = std::any_of(readers.begin(), readers.end(), owned);
    const bool made = std::any_of(candidate.layer.inputs.begin(), candidate.layer.inputs.end(),
                                  [&](const std::string& value) { return owned(search_.Producer(value)); });
    const bool all_read = std::all_of(readers.begin(), readers.end(), owned) && (made || !readers.empty());
    switch (candidate.beside) {
      case Candidate::Beside::kReaders:
        return all_read;
      case Candidate::Beside::kMaker:
        return all_read || made;
      default:
        return read || made;
    }
  }

  // Whether OpenVINO makes or reads a value of the layer.
  bool Foreign(const Layer& layer) const {
    const auto foreign = [&](size_t node) { return node != kNoNode && !owned_.contains(node); };
    const std::vector<size_t>& readers = search_.Consumers(layer.output);
    return std::any_of(readers.begin(), readers.end(), foreign) ||
           std::any_of(layer.inputs.begin(), layer.inputs.end(),
                       [&](const std::string& value) { return foreign(search_.Producer(value)); });
  }

 private:
  const Search& search_;
  std::set<size_t> owned_;
};

}  // namespace

void TakeBeside(const Search& search, std::vector<Candidate> candidates, std::vector<Layer>& layers) {
  Neighbours neighbours(search, layers);
  std::vector<bool> taken(candidates.size(), false);
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (taken[i] || !neighbours.Want(candidates[i])) continue;
      neighbours.Add(candidates[i].layer);
      taken[i] = changed = true;
    }
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (!taken[i] || candidates[i].beside != Candidate::Beside::kAll ||
          !neighbours.Foreign(candidates[i].layer))
        continue;
      neighbours.Remove(candidates[i].layer);
      taken[i] = false;
      changed = true;
    }
  }
  for (size_t i = 0; i < candidates.size(); ++i)
    if (taken[i]) layers.push_back(std::move(candidates[i].layer));
}

}  // namespace strop::engine
