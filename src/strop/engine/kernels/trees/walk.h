#pragma once

#include <cstdint>

#include "strop/engine/kernels/trees/args.h"

// Included by the kernels that gather, each compiled for its instruction set.
namespace strop::engine {
namespace {

// `Chains` vectors of pairs (tree, row) walk at a time, so that the gathers of one wait beside those of
// others. Vector: kWidth, Set, Load, Store, and Step, which moves each lane one node on and says whether any
// moved.
template <class Vector, int Chains>
struct Walk {
  static constexpr int64_t kLanes = Vector::kWidth * Chains;
  using Reg = typename Vector::Reg;

  static void ToLeaves(const TreeArgs& args, Reg (&at)[Chains], const Reg (&offset)[Chains]) noexcept {
    for (bool moved = true; moved;) {
      moved = false;
      for (int c = 0; c < Chains; ++c) moved |= Vector::Step(args, at[c], offset[c]);
    }
  }

  // Of full vectors of rows, tree by tree.
  static void ManyRows(const TreeArgs& args) noexcept {
    alignas(64) int32_t offsets[kLanes];
    int32_t* leaves = args.leaves;
    Reg at[Chains], offset[Chains];
    for (int64_t t = 0; t < args.trees; ++t) {
      for (int64_t row = 0; row < args.rows; row += kLanes) {
        if (t == 0 || args.rows != kLanes) {
          for (int64_t lane = 0; lane < kLanes; ++lane)
            offsets[lane] = static_cast<int32_t>((row + lane) * args.stride);
          for (int c = 0; c < Chains; ++c) offset[c] = Vector::Load(offsets + c * Vector::kWidth);
        }
        for (int c = 0; c < Chains; ++c) at[c] = Vector::Set(args.roots[t]);
        ToLeaves(args, at, offset);
        for (int c = 0; c < Chains; ++c, leaves += Vector::kWidth) Vector::Store(leaves, at[c]);
      }
    }
  }

  static void AnyRows(const TreeArgs& args) noexcept {
    alignas(64) int32_t starts[kLanes], offsets[kLanes], ends[kLanes];
    const int64_t pairs = args.trees * args.rows;
    int64_t tree = 0, row = 0;
    for (int64_t begin = 0; begin < pairs; begin += kLanes) {
      const int64_t lanes = pairs - begin < kLanes ? pairs - begin : kLanes;
      for (int64_t lane = 0; lane < lanes; ++lane) {
        starts[lane] = args.roots[tree];
        offsets[lane] = static_cast<int32_t>(row * args.stride);
        if (++row == args.rows) {
          row = 0;
          ++tree;
        }
      }
      for (int64_t lane = lanes; lane < kLanes; ++lane) {
        starts[lane] = starts[0];
        offsets[lane] = offsets[0];
      }
      Reg at[Chains], offset[Chains];
      for (int c = 0; c < Chains; ++c) {
        at[c] = Vector::Load(starts + c * Vector::kWidth);
        offset[c] = Vector::Load(offsets + c * Vector::kWidth);
      }
      ToLeaves(args, at, offset);
      for (int c = 0; c < Chains; ++c) Vector::Store(ends + c * Vector::kWidth, at[c]);
      for (int64_t lane = 0; lane < lanes; ++lane) args.leaves[begin + lane] = ends[lane];
    }
  }

  static void Run(const TreeArgs& args) noexcept {
    if (args.rows % kLanes == 0)
      ManyRows(args);
    else
      AnyRows(args);
  }
};

}  // namespace
}  // namespace strop::engine
