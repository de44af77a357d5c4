#include "strop/engine/kernels/int8_gemm/operand.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace strop::engine {
namespace {

constexpr int8_t kGuard = 0x5a;
constexpr int64_t kNr = 16;

int64_t RoundUp(int64_t size, int64_t unit) { return (size + unit - 1) / unit * unit; }

// b[row][column] of the operand's bytes, by how they lie.
template <class At>
void Check(const Int8Operand& b, int64_t columns, const std::vector<int8_t>& panels, At at) {
  const int64_t groups = (b.k + 3) / 4;
  std::vector<int32_t> sums(static_cast<size_t>(RoundUp(columns, kNr)));
  SumInt8Columns(panels.data(), columns, b.k, kNr, sums.data());
  for (int64_t column = 0; column < columns; ++column) {
    int32_t sum = 0;
    for (int64_t row = 0; row < groups * 4; ++row) {
      int wanted = 0;
      if (row < b.k)
        wanted =
            column < b.n ? (b.is_signed ? static_cast<int8_t>(at(row, column)) : at(row, column) - 128) : 1;
      sum += wanted;
      const int64_t place = ((column / kNr * groups + row / 4) * kNr + column % kNr) * 4 + row % 4;
      ASSERT_EQ(panels[static_cast<size_t>(place)], wanted)
          << "column " << column << " row " << row << " of " << b.k;
    }
    ASSERT_EQ(sums[static_cast<size_t>(column)], sum) << "column " << column << " of " << b.n << " x " << b.k;
  }
}

std::vector<uint8_t> Bytes(int64_t size) {
  std::mt19937 generator(7);
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(generator());
  return bytes;
}

TEST(Int8Operand, PacksColumns) {
  for (const int64_t n : {1, 3, 4, 15, 16, 17, 39, 64}) {
    for (const int64_t k : {4, 8, 12, 16, 36, 1024}) {
      for (const bool is_signed : {false, true}) {
        const std::vector<uint8_t> bytes = Bytes(n * (k + 5));
        const Int8Operand b{bytes.data(), k + 5, is_signed, n, k};
        std::vector<int8_t> panels(static_cast<size_t>(RoundUp(n, kNr) * k), kGuard);
        PackInt8Columns(b, kNr, panels.data());
        Check(b, n, panels, [&](int64_t row, int64_t column) {
          return bytes[static_cast<size_t>(column * b.stride + row)];
        });
      }
    }
  }
}

TEST(Int8Operand, PacksRowsAndOnesBehind) {
  for (const int64_t n : {1, 15, 16, 17, 31, 40, 64}) {
    for (const int64_t k : {1, 3, 4, 7, 33, 128, 1030}) {
      for (const bool ones : {false, true}) {
        const std::vector<uint8_t> bytes = Bytes(k * (n + 3));
        const Int8Operand b{bytes.data(), n + 3, ones, n, k};
        const int64_t columns = n + (ones ? 1 : 0);
        std::vector<int8_t> panels(static_cast<size_t>(RoundUp(columns, kNr) * RoundUp(k, 4)), kGuard);
        PackInt8Rows(b, ones, kNr, panels.data());
        Check(b, columns, panels, [&](int64_t row, int64_t column) {
          return bytes[static_cast<size_t>(row * b.stride + column)];
        });
      }
    }
  }
}

}  // namespace
}  // namespace strop::engine
