#pragma once

#include <cstdint>
#include <vector>

#include "strop/base/api.h"
#include "strop/feed/group_share.h"

namespace strop::feed {

// A permutation of [0, n) any place of which can be computed alone: a Feistel network of keyed mixing rounds
// (Luby and Rackoff, "How to construct pseudorandom permutations", 1988), walked until it falls below n
// (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002). Without state: the same (n, seed,
// stream) is the same permutation.
class STROP_API CounterPermutation {
 public:
  // n in [1, 2^62].
  CounterPermutation(int64_t n, uint64_t seed, uint64_t stream) noexcept;
  int64_t operator()(int64_t i) const noexcept;

 private:
  uint64_t Once(uint64_t value) const noexcept;

  uint64_t n_;
  uint64_t key_;
  int high_bits_;
  int low_bits_;
};

// One epoch's rows, all shuffled with each other ("global order"). Of a mixture, each pass over a group's
// rows is a permutation of its own. Immutable; its size does not grow with the rows.
class STROP_API GlobalLine {
 public:
  GlobalLine(const OrderOptions& options, uint64_t epoch);

  int64_t rows() const noexcept { return permutation_rows_; }
  // The row at a position of the line.
  struct Place {
    int64_t chunk = 0;
    int64_t row = 0;  // of the chunk
  };
  Place At(int64_t position) const;

 private:
  struct Member {
    GroupShare share;
    int64_t first = 0;  // of its quota, among all groups'
    std::vector<CounterPermutation>
        passes;                         // those that this epoch touches; empty: each row once, as it stands
    int64_t begin = 0;                  // row of the first pass that the epoch begins with
    std::vector<int64_t> chunk_begins;  // rows of the group before each of its chunks
  };

  int64_t permutation_rows_ = 0;
  CounterPermutation permutation_;
  std::vector<Member> members_;
};

}  // namespace strop::feed
