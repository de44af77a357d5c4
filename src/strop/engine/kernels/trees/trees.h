#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/cpu.h"
#include "strop/engine/kernels/trees/args.h"
#include "strop/model/trees.h"

namespace strop::engine {

// One registry line of kernels.inc.
struct STROP_API TreeKernel {
  std::string_view name;  // trees_f32_avx2
  Isa isa;
  TreeFn run;
};

// Every kernel compiled in, lowest instruction set first. Lives as long as the process.
STROP_API std::span<const TreeKernel> TreeKernels() noexcept;
STROP_API bool Runs(const TreeKernel& kernel, const CpuFlags& flags) noexcept;
// Pure. The highest one that a CPU with these flags runs.
STROP_API const TreeKernel& PickTrees(const CpuFlags& flags) noexcept;

// Trees as the kernels walk them, level by level. Every comparison is of float32 and gives what the model's
// gives for a float32 x: "less than t" is "at most the next float32 below t", and of a negated one the
// children change places.
struct STROP_API PackedTrees {
  std::vector<TreeNode> nodes;
  std::vector<int32_t> roots;
  // The columns of x that TreeNode::feature counts; empty: all of them, as they are.
  std::vector<int32_t> columns;
  // The votes of a node that is a leaf: [first_vote[node], first_vote[node + 1]) of these.
  std::vector<int32_t> first_vote;
  std::vector<int32_t> targets;
  std::vector<double> weights;
  bool one_vote = false;  // of every leaf
  bool all_vote = false;  // every leaf votes for every target, in order
};
// Nothing for trees that compare for equality, or are too large for TreeNode.
STROP_API std::optional<PackedTrees> PackTrees(const model::TreeEnsemble& trees);

}  // namespace strop::engine
