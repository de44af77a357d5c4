#pragma once

#include <array>
#include <cstdint>

#include "strop/base/api.h"

namespace strop {

// One block of Philox4x32-10: 128 random bits, a pure function of counter and key.
STROP_API std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter,
                                             std::array<uint32_t, 2> key) noexcept;

// Philox4x32-10, a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011). The n-th draw is a pure function of (seed, stream, n): state is three numbers, any draw can be
// reached at once, and streams are independent. Key a stream by what it is for (trial, epoch, request), never
// by thread.
class STROP_API Rng {
 public:
  using result_type = uint64_t;

  explicit Rng(uint64_t seed, uint64_t stream = 0) noexcept : seed_(seed), stream_(stream) {}

  static constexpr uint64_t min() noexcept { return 0; }
  static constexpr uint64_t max() noexcept { return UINT64_MAX; }
  uint64_t operator()() noexcept;

  // Uniform in [0, 1), 53 bits.
  double Uniform() noexcept;
  // Uniform in [0, n), without bias (Lemire 2019). n > 0.
  uint64_t Below(uint64_t n) noexcept;
  // Standard normal (Box and Muller 1958); takes two draws a call, so position stays predictable.
  double Normal() noexcept;

  uint64_t position() const noexcept { return position_; }
  void Seek(uint64_t position) noexcept { position_ = position; }

 private:
  uint64_t seed_;
  uint64_t stream_;
  uint64_t position_ = 0;
  uint64_t block_ = UINT64_MAX;  // of draws 2k and 2k + 1, whose bits are known
  std::array<uint32_t, 4> bits_{};
};

// One well-mixed 64-bit value of its arguments, for deriving seeds and streams.
STROP_API uint64_t MixSeed(uint64_t a, uint64_t b) noexcept;

}  // namespace strop
