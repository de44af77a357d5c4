#include "strop/engine/kernels/trees/trees.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "strop/engine/kernels/trees/declarations.h"

namespace strop::engine {
namespace {

using Mode = model::TreeEnsemble::Mode;
using Split = model::TreeEnsemble::Split;

constexpr TreeKernel kKernels[] = {
#define STROP_TREE_KERNEL(name, isa) {#name, Isa::isa, name},
#include "strop/engine/kernels/trees/kernels.inc"
#undef STROP_TREE_KERNEL
};

constexpr size_t kMostNodes = size_t{1} << 30;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The largest float32 x with x <= t; not a number when there is none.
float AtMost(double t) {
  const auto rounded = static_cast<float>(t);
  return static_cast<double>(rounded) <= t || std::isnan(t) ? rounded : std::nextafter(rounded, -kInfinity);
}

// The largest float32 x with x < t; not a number when there is none.
float Below(double t) {
  const float most = AtMost(t);
  if (static_cast<double>(most) < t || std::isnan(most)) return most;
  return most == -kInfinity ? std::numeric_limits<float>::quiet_NaN() : std::nextafter(most, -kInfinity);
}

// The columns that the trees split by, in order, when there are more than TreeNode can name.
std::vector<int32_t> ColumnsOf(const model::TreeEnsemble& trees) {
  if (trees.features <= TreeNode::kFeatures) return {};
  std::set<int32_t> columns;
  for (const Split& split : trees.splits)
    if (split.mode != Mode::kLeaf) columns.insert(static_cast<int32_t>(split.feature));
  return {columns.begin(), columns.end()};
}

class Packer {
 public:
  Packer(const model::TreeEnsemble& trees, PackedTrees& packed) : trees_(trees), packed_(packed) {}

  // Whether TreeNode can hold the tree.
  bool Add(int32_t root) {
    const size_t first = packed_.nodes.size();
    packed_.roots.push_back(static_cast<int32_t>(first));
    std::vector<int32_t> pending = {root};  // of the tree, in the order of its nodes
    for (size_t at = 0; at < pending.size(); ++at) {
      const Split& split = trees_.splits[static_cast<size_t>(pending[at])];
      packed_.first_vote.push_back(static_cast<int32_t>(packed_.weights.size()));
      if (split.mode == Mode::kLeaf) {
        packed_.nodes.push_back({kInfinity, TreeNode::kNanIsYes});
        AddVotes(split);
        continue;
      }
      const size_t step = pending.size() - at;
      if (split.mode == Mode::kEqual || split.mode == Mode::kNotEqual || step >= TreeNode::kSteps)
        return false;
      const bool swapped = split.mode == Mode::kGreaterEqual || split.mode == Mode::kGreater;
      packed_.nodes.push_back(Inner(split, swapped, static_cast<uint32_t>(step)));
      pending.push_back(swapped ? split.no : split.yes);
      pending.push_back(swapped ? split.yes : split.no);
    }
    return true;
  }

 private:
  TreeNode Inner(const Split& split, bool swapped, uint32_t step) const {
    const bool below = split.mode == Mode::kLess || split.mode == Mode::kGreaterEqual;
    auto feature = static_cast<uint32_t>(split.feature);
    if (!packed_.columns.empty())
      feature = static_cast<uint32_t>(std::ranges::lower_bound(packed_.columns, split.feature) -
                                      packed_.columns.begin());
    const uint32_t nan = split.nan_is_yes != swapped ? TreeNode::kNanIsYes : 0;
    return {below ? Below(split.threshold) : AtMost(split.threshold),
            nan | feature << TreeNode::kStepBits | step};
  }

  void AddVotes(const Split& leaf) {
    const auto votes = std::span(trees_.votes)
                           .subspan(static_cast<size_t>(leaf.yes), static_cast<size_t>(leaf.no - leaf.yes));
    packed_.one_vote = packed_.one_vote && votes.size() == 1;
    packed_.all_vote = packed_.all_vote && votes.size() == static_cast<size_t>(trees_.targets);
    for (size_t i = 0; i < votes.size(); ++i) {
      packed_.all_vote = packed_.all_vote && votes[i].target == static_cast<int32_t>(i);
      packed_.targets.push_back(votes[i].target);
      packed_.weights.push_back(votes[i].weight);
    }
  }

  const model::TreeEnsemble& trees_;
  PackedTrees& packed_;
};

}  // namespace

std::span<const TreeKernel> TreeKernels() noexcept { return kKernels; }

bool Runs(const TreeKernel& kernel, const CpuFlags& flags) noexcept {
  return kernel.isa <= HighestIsa(flags);
}

const TreeKernel& PickTrees(const CpuFlags& flags) noexcept {
  const TreeKernel* best = &kKernels[0];
  for (const TreeKernel& kernel : kKernels)
    if (Runs(kernel, flags)) best = &kernel;
  return *best;
}

std::optional<PackedTrees> PackTrees(const model::TreeEnsemble& trees) {
  if (trees.splits.size() > kMostNodes || trees.votes.size() > kMostNodes) return std::nullopt;
  PackedTrees packed;
  packed.columns = ColumnsOf(trees);
  if (packed.columns.size() > TreeNode::kFeatures) return std::nullopt;
  packed.one_vote = packed.all_vote = true;
  Packer packer(trees, packed);
  for (const int32_t root : trees.roots)
    if (!packer.Add(root)) return std::nullopt;
  packed.first_vote.push_back(static_cast<int32_t>(packed.weights.size()));
  return packed;
}

}  // namespace strop::engine
