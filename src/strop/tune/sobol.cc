#include "strop/tune/sobol.h"

#include <algorithm>
#include <array>

#include "strop/base/rng.h"
#include "strop/tune/sampler.h"

namespace strop::tune {
namespace {

struct Direction {
  unsigned degree, polynomial;
  std::array<uint32_t, 8> initial;
};

// Joe and Kuo's table, from the second dimension on.
constexpr Direction kDirections[kSobolDimensions - 1] = {
    {1, 0, {1}},
    {2, 1, {1, 3}},
    {3, 1, {1, 3, 1}},
    {3, 2, {1, 1, 1}},
    {4, 1, {1, 1, 3, 3}},
    {4, 4, {1, 3, 5, 13}},
    {5, 2, {1, 1, 5, 5, 17}},
    {5, 4, {1, 1, 5, 5, 5}},
    {5, 7, {1, 1, 7, 11, 19}},
    {5, 11, {1, 1, 5, 1, 1}},
    {5, 13, {1, 1, 1, 3, 11}},
    {5, 14, {1, 3, 5, 5, 31}},
    {6, 1, {1, 3, 3, 9, 7, 49}},
    {6, 13, {1, 1, 1, 15, 21, 21}},
    {6, 16, {1, 3, 1, 13, 27, 49}},
    {6, 19, {1, 1, 1, 15, 7, 5}},
    {6, 22, {1, 3, 1, 15, 13, 25}},
    {6, 25, {1, 1, 5, 5, 19, 61}},
    {7, 1, {1, 3, 7, 11, 23, 15, 103}},
    {7, 4, {1, 3, 7, 13, 13, 15, 69}},
    {7, 7, {1, 1, 3, 13, 7, 35, 63}},
    {7, 8, {1, 3, 5, 9, 1, 25, 53}},
    {7, 14, {1, 3, 1, 13, 9, 35, 107}},
    {7, 19, {1, 3, 1, 5, 27, 61, 31}},
    {7, 21, {1, 1, 5, 11, 19, 41, 61}},
    {7, 28, {1, 3, 5, 3, 3, 13, 69}},
    {7, 31, {1, 1, 7, 13, 1, 19, 1}},
    {7, 32, {1, 3, 7, 5, 13, 19, 59}},
    {7, 37, {1, 1, 3, 9, 25, 29, 41}},
    {7, 41, {1, 3, 5, 13, 23, 1, 55}},
    {7, 42, {1, 3, 7, 3, 13, 59, 17}},
    {7, 50, {1, 3, 1, 3, 5, 53, 69}},
    {7, 55, {1, 1, 5, 5, 23, 33, 13}},
    {7, 56, {1, 1, 7, 7, 1, 61, 123}},
    {7, 59, {1, 1, 7, 9, 13, 61, 49}},
    {7, 62, {1, 3, 3, 5, 3, 55, 33}},
    {8, 14, {1, 3, 1, 15, 31, 13, 49, 245}},
    {8, 21, {1, 3, 5, 15, 31, 59, 63, 97}},
    {8, 22, {1, 3, 1, 11, 11, 11, 77, 249}},
};

std::array<uint32_t, 32> DirectionNumbers(size_t dimension) {
  std::array<uint32_t, 32> v{};
  if (dimension == 0) {
    for (unsigned k = 0; k < 32; ++k) v[k] = 1u << (31 - k);
    return v;
  }
  const Direction& d = kDirections[dimension - 1];
  for (unsigned k = 0; k < d.degree; ++k) v[k] = d.initial[k] << (31 - k);
  for (unsigned k = d.degree; k < 32; ++k) {
    v[k] = v[k - d.degree] ^ (v[k - d.degree] >> d.degree);
    for (unsigned i = 1; i < d.degree; ++i)
      if ((d.polynomial >> (d.degree - 1 - i)) & 1) v[k] ^= v[k - i];
  }
  return v;
}

constexpr uint64_t kShiftStream = 0x50b01;

}  // namespace

std::vector<double> SobolPoint(uint64_t index, size_t dimensions, uint64_t seed, bool shift) {
  const uint64_t gray = index ^ (index >> 1);
  std::vector<double> point(dimensions);
  Rng shifts(seed, kShiftStream);
  Rng rest(MixSeed(seed, kShiftStream), index);
  for (size_t d = 0; d < dimensions; ++d) {
    if (d >= kSobolDimensions) {
      point[d] = rest.Uniform();
      continue;
    }
    const auto v = DirectionNumbers(d);
    uint32_t x = shift ? static_cast<uint32_t>(shifts() >> 32) : 0;
    for (unsigned k = 0; k < 32; ++k)
      if ((gray >> k) & 1) x ^= v[k];
    point[d] = x * 0x1p-32;
  }
  return point;
}

Suggestion AskSobol(const Question& question) {
  const auto index = static_cast<uint64_t>(question.trial);
  Rng rng(question.seed, index);
  const Taken taken(question);
  return {question.space.FromDraw(taken.Free(SobolPoint(index, question.space.size(), question.seed), rng)),
          "sobol", "", ""};
}

}  // namespace strop::tune
