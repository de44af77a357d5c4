#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "strop/base/rng.h"
#include "strop/base/test_error.h"
#include "strop/feed/transforms/transform.h"

// Rows for the tests of transforms, and chains of one column "x" to push them through.
namespace strop::feed {

template <class T>
struct Row {
  Shape shape;
  std::vector<T> values;

  RowValue value() const {
    return {DTypeOf<T>::value, shape, reinterpret_cast<const uint8_t*>(values.data())};
  }
};

inline Row<uint8_t> Bytes(std::string_view text) {
  return {{static_cast<int64_t>(text.size())}, std::vector<uint8_t>(text.begin(), text.end())};
}

inline TransformChain Chain(DType dtype, Shape shape, const std::string& specs) {
  data::Column column;
  column.name = "x";
  column.dtype = dtype;
  column.shape = std::move(shape);
  return TransformChain(column, TransformSpec::ParseList(specs));
}

// The values that a chain makes of a row, in scratch and in place alike.
template <class To, class From>
std::vector<To> RunRow(const TransformChain& chain, const Row<From>& row, uint64_t key = 1) {
  TransformChain::Scratch scratch;
  const RowValue out = chain.Apply(row.value(), key, nullptr, scratch);
  EXPECT_EQ(out.dtype, DTypeOf<To>::value);
  EXPECT_EQ(out.dtype, chain.output().dtype);
  const auto count = static_cast<size_t>(ElementCount(out.shape));
  std::vector<To> values(count);
  if (count == 0) return values;
  std::memcpy(values.data(), out.data, count * sizeof(To));
  if (chain.dense()) {
    EXPECT_EQ(out.shape, chain.output().shape);
    std::vector<To> placed(count);
    TransformChain::Scratch fresh;
    const RowValue in_place = chain.Apply(row.value(), key, reinterpret_cast<uint8_t*>(placed.data()), fresh);
    EXPECT_EQ(in_place.data, reinterpret_cast<uint8_t*>(placed.data()));
    EXPECT_EQ(std::memcmp(placed.data(), values.data(), count * sizeof(To)), 0);
  }
  return values;
}

template <class To, class From>
std::vector<To> RunRow(const std::string& spec, const Row<From>& row, uint64_t key = 1) {
  return RunRow<To>(Chain(DTypeOf<From>::value, row.shape, "[" + spec + "]"), row, key);
}

// An image of noise, and one that is smooth, as decoders like it.
inline Row<uint8_t> Noise(int64_t channels, int64_t height, int64_t width, uint64_t seed = 7) {
  Row<uint8_t> row{{channels, height, width},
                   std::vector<uint8_t>(static_cast<size_t>(channels * height * width))};
  Rng rng(seed);
  for (uint8_t& value : row.values) value = static_cast<uint8_t>(rng());
  return row;
}

}  // namespace strop::feed
