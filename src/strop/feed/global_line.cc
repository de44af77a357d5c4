#include "strop/feed/global_line.h"

#include <algorithm>
#include <bit>

#include "strop/base/rng.h"

namespace strop::feed {
namespace {

constexpr uint64_t kLineStream = 0x676c6f62616c;  // "global"
constexpr uint64_t kPassStream = 0x70617373;      // "pass"
constexpr int kRounds = 10;                       // four suffice for long halves; short ones need more
constexpr int kFewestBits = 6;                    // halves of three bits and more

// The finalizer of SplitMix64 (Steele, Lea and Flood 2014).
uint64_t Mix(uint64_t value) noexcept {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

int64_t TotalQuota(const std::vector<GroupShare>& shares) {
  int64_t total = 0;
  for (const GroupShare& share : shares) total += share.quota;
  return total;
}

}  // namespace

CounterPermutation::CounterPermutation(int64_t n, uint64_t seed, uint64_t stream) noexcept
    : n_(static_cast<uint64_t>(n)), key_(MixSeed(seed, stream)) {
  const int bits = std::max(kFewestBits, static_cast<int>(std::bit_width(n_ - 1)));
  high_bits_ = bits / 2;
  low_bits_ = bits - high_bits_;
}

uint64_t CounterPermutation::Once(uint64_t value) const noexcept {
  uint64_t high = value >> low_bits_, low = value & ((1ULL << low_bits_) - 1);
  for (int round = 0; round < kRounds; round += 2) {
    const uint64_t key = key_ + static_cast<uint64_t>(round) * 0x9e3779b97f4a7c15ULL;
    high ^= Mix(key + low) & ((1ULL << high_bits_) - 1);
    low ^= Mix((key ^ 0xd1b54a32d192ed03ULL) + high) & ((1ULL << low_bits_) - 1);
  }
  return high << low_bits_ | low;
}

int64_t CounterPermutation::operator()(int64_t i) const noexcept {
  auto value = static_cast<uint64_t>(i);
  do value = Once(value);
  while (value >= n_);
  return static_cast<int64_t>(value);
}

GlobalLine::GlobalLine(const OrderOptions& options, uint64_t epoch)
    : permutation_rows_(TotalQuota(ShareOut(options))),
      permutation_(std::max<int64_t>(permutation_rows_, 1), options.seed, MixSeed(kLineStream, epoch)) {
  int64_t first = 0;
  const auto shares = ShareOut(options);
  for (size_t g = 0; g < shares.size(); ++g) {
    Member member{shares[g], first, {}, 0, {}};
    first += shares[g].quota;
    int64_t rows = 0;
    for (int64_t c = 0; c < shares[g].group.chunks; ++c) {
      member.chunk_begins.push_back(rows);
      rows += options.chunk_rows[static_cast<size_t>(shares[g].group.first_chunk + c)];
    }
    if (shares[g].quota != shares[g].rows) {
      const PassPlace begin = BeginOf(shares[g], epoch);
      member.begin = begin.row;
      const int64_t passes =
          shares[g].quota == 0 ? 0 : (begin.row + shares[g].quota - 1) / shares[g].rows + 1;
      for (int64_t pass = 0; pass < passes; ++pass) {
        member.passes.emplace_back(
            shares[g].rows, options.seed,
            MixSeed(MixSeed(kPassStream, g), begin.pass + static_cast<uint64_t>(pass)));
      }
    }
    members_.push_back(std::move(member));
  }
}

GlobalLine::Place GlobalLine::At(int64_t position) const {
  const int64_t slot = permutation_(position);
  const auto member = std::upper_bound(members_.begin(), members_.end(), slot,
                                       [](int64_t value, const Member& m) { return value < m.first; }) -
                      1;
  int64_t row = slot - member->first;
  if (!member->passes.empty()) {
    row += member->begin;
    row = member->passes[static_cast<size_t>(row / member->share.rows)](row % member->share.rows);
  }
  const auto& begins = member->chunk_begins;
  const auto chunk = std::upper_bound(begins.begin(), begins.end(), row) - begins.begin() - 1;
  return {member->share.group.first_chunk + chunk, row - begins[static_cast<size_t>(chunk)]};
}

}  // namespace strop::feed
