#include "strop/base/rng.h"

#include <cmath>
#include <numbers>

namespace strop {

std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) noexcept {
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = uint64_t{0xD2511F53} * counter[0];
    const uint64_t second = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(second >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(second),
               static_cast<uint32_t>(first >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(first)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

uint64_t Rng::operator()() noexcept {
  if (const uint64_t block = position_ >> 1; block != block_) {
    block_ = block;
    bits_ = Philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                        static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)},
                       {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
  }
  const size_t half = (position_++ & 1) * 2;
  return static_cast<uint64_t>(bits_[half + 1]) << 32 | bits_[half];
}

double Rng::Uniform() noexcept { return static_cast<double>((*this)() >> 11) * 0x1p-53; }

uint64_t Rng::Below(uint64_t n) noexcept {
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>((*this)()) * n;
  if (static_cast<uint64_t>(product) < n) {
    const uint64_t threshold = (0 - n) % n;
    while (static_cast<uint64_t>(product) < threshold) product = static_cast<Wide>((*this)()) * n;
  }
  return static_cast<uint64_t>(product >> 64);
}

double Rng::Normal() noexcept {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - Uniform()));  // 1 - u is never 0
  return radius * std::cos(2.0 * std::numbers::pi * Uniform());
}

uint64_t MixSeed(uint64_t a, uint64_t b) noexcept { return Rng(a, b)(); }

}  // namespace strop
