#include "strop/engine/kernels/int8_gemm/operand.h"

#include <algorithm>
#include <cstring>

namespace strop::engine {
namespace {

// Sixteen bytes of any alignment; SSE2 or NEON without a dispatch.
using Bytes = uint8_t __attribute__((vector_size(16)));
using Halves = uint16_t __attribute__((vector_size(16)));
using Words = uint32_t __attribute__((vector_size(16)));

constexpr int64_t kGroup = 4;

template <class V>
V Load(const void* p) {
  V x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
template <class V>
void Store(void* p, V x) {
  std::memcpy(p, &x, sizeof x);
}

// What turns the bytes of a word into int8.
uint32_t Flip(const Int8Operand& b) { return b.is_signed ? 0 : 0x80808080u; }

// Four columns, whose k bytes each lie `stride` apart, as words of a panel.
void PackFour(const uint8_t* b, int64_t stride, int64_t groups, int64_t nr, uint32_t flip, int8_t* out) {
  int64_t group = 0;
  for (; group + 4 <= groups; group += 4) {
    const uint8_t* const from = b + group * kGroup;
    const Words flips = {flip, flip, flip, flip};
    const Words x0 = Load<Words>(from) ^ flips, x1 = Load<Words>(from + stride) ^ flips,
                x2 = Load<Words>(from + 2 * stride) ^ flips, x3 = Load<Words>(from + 3 * stride) ^ flips;
    const Words low01 = __builtin_shufflevector(x0, x1, 0, 4, 1, 5),
                high01 = __builtin_shufflevector(x0, x1, 2, 6, 3, 7),
                low23 = __builtin_shufflevector(x2, x3, 0, 4, 1, 5),
                high23 = __builtin_shufflevector(x2, x3, 2, 6, 3, 7);
    int8_t* const to = out + group * nr * kGroup;
    Store(to, __builtin_shufflevector(low01, low23, 0, 1, 4, 5));
    Store(to + nr * kGroup, __builtin_shufflevector(low01, low23, 2, 3, 6, 7));
    Store(to + 2 * nr * kGroup, __builtin_shufflevector(high01, high23, 0, 1, 4, 5));
    Store(to + 3 * nr * kGroup, __builtin_shufflevector(high01, high23, 2, 3, 6, 7));
  }
  for (; group < groups; ++group)
    for (int64_t column = 0; column < 4; ++column)
      Store(out + (group * nr + column) * kGroup,
            Load<uint32_t>(b + column * stride + group * kGroup) ^ flip);
}

// A group of up to four rows of n bytes, as n words of a panel.
void PackGroup(const uint8_t* b, int64_t stride, int64_t rows, int64_t n, uint32_t flip, int8_t* out) {
  int64_t column = 0;
  const auto bits = static_cast<uint8_t>(flip);
  for (; rows == kGroup && column + 16 <= n; column += 16) {
    const uint8_t* const from = b + column;
    const Bytes x0 = Load<Bytes>(from) ^ bits, x1 = Load<Bytes>(from + stride) ^ bits,
                x2 = Load<Bytes>(from + 2 * stride) ^ bits, x3 = Load<Bytes>(from + 3 * stride) ^ bits;
    const auto low = [](Bytes a, Bytes c) {
      return reinterpret_cast<Halves>(
          __builtin_shufflevector(a, c, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    };
    const auto high = [](Bytes a, Bytes c) {
      return reinterpret_cast<Halves>(
          __builtin_shufflevector(a, c, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
    };
    const Halves low01 = low(x0, x1), high01 = high(x0, x1), low23 = low(x2, x3), high23 = high(x2, x3);
    int8_t* const to = out + column * kGroup;
    Store(to, __builtin_shufflevector(low01, low23, 0, 8, 1, 9, 2, 10, 3, 11));
    Store(to + 16, __builtin_shufflevector(low01, low23, 4, 12, 5, 13, 6, 14, 7, 15));
    Store(to + 32, __builtin_shufflevector(high01, high23, 0, 8, 1, 9, 2, 10, 3, 11));
    Store(to + 48, __builtin_shufflevector(high01, high23, 4, 12, 5, 13, 6, 14, 7, 15));
  }
  for (; column < n; ++column) {
    for (int64_t row = 0; row < kGroup; ++row)
      out[column * kGroup + row] =
          row < rows ? static_cast<int8_t>(b[row * stride + column] ^ bits) : int8_t{0};
  }
}

}  // namespace

void PackInt8Columns(const Int8Operand& b, int64_t nr, int8_t* panels) noexcept {
  const int64_t groups = b.k / kGroup;
  for (int64_t column = 0; column < b.n;) {
    int8_t* const out = panels + (column / nr * groups * nr + column % nr) * kGroup;
    const uint8_t* const from = b.data + column * b.stride;
    const int64_t left = std::min(b.n - column, nr - column % nr);
    if (left >= 4) {
      PackFour(from, b.stride, groups, nr, Flip(b), out);
      column += 4;
      continue;
    }
    for (int64_t group = 0; group < groups; ++group)
      Store(out + group * nr * kGroup, Load<uint32_t>(from + group * kGroup) ^ Flip(b));
    ++column;
  }
}

void PackInt8Rows(const Int8Operand& b, bool ones, int64_t nr, int8_t* panels) noexcept {
  const int64_t groups = (b.k + kGroup - 1) / kGroup;
  const auto word = [&](int64_t group, int64_t column) {
    return panels + ((column / nr * groups + group) * nr + column % nr) * kGroup;
  };
  for (int64_t group = 0; group < groups; ++group) {
    const int64_t rows = std::min(kGroup, b.k - group * kGroup);
    const uint8_t* const from = b.data + group * kGroup * b.stride;
    for (int64_t column = 0; column < b.n; column += nr)
      PackGroup(from + column, b.stride, rows, std::min(nr, b.n - column), Flip(b), word(group, column));
    for (int64_t row = 0; ones && row < kGroup; ++row) word(group, b.n)[row] = row < rows ? 1 : 0;
  }
}

void SumInt8Columns(const int8_t* panels, int64_t n, int64_t k, int64_t nr, int32_t* sums) noexcept {
  constexpr int64_t kSome = 128;  // groups whose sums, of bytes from 0, two halves of a word hold
  const int64_t groups = (k + kGroup - 1) / kGroup;
  const Words flips = {0x80808080u, 0x80808080u, 0x80808080u, 0x80808080u};
  for (int64_t column = 0; column < n; column += 4) {
    const int8_t* const from = panels + (column / nr * groups * nr + column % nr) * kGroup;
    Words total = {};
    for (int64_t group = 0; group < groups;) {
      Words halves = {};
      for (const int64_t end = std::min(groups, group + kSome); group < end; ++group) {
        const Words four = Load<Words>(from + group * nr * kGroup) ^ flips;
        halves += (four & 0x00ff00ffu) + ((four >> 8) & 0x00ff00ffu);
      }
      total += (halves & 0xffffu) + (halves >> 16);
    }
    Store(sums + column, total - static_cast<uint32_t>(128 * kGroup * groups));
  }
}

}  // namespace strop::engine
