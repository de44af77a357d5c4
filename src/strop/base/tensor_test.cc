#include "strop/base/tensor.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"

namespace strop {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

template <class F>
std::string ErrorOf(Code code, F run) {
  try {
    run();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

Tensor Floats(Shape shape, std::vector<float> values) {
  return Tensor::From<float>(std::move(shape), std::span<const float>(values));
}

TEST(TensorTest, NewMemoryIsAligned) {
  for (const int64_t size : {0, 1, 3, 16, 17, 1000}) {
    const Tensor tensor = Tensor::New(DType::kF32, {size});
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data()) % kTensorAlignment, 0u) << size;
    EXPECT_TRUE(tensor);
    EXPECT_EQ(tensor.bytes(), static_cast<size_t>(size) * 4);
  }
}

TEST(TensorTest, CopiesShareMemoryAndClonesDoNot) {
  const Tensor tensor = Floats({2, 2}, {1, 2, 3, 4});
  const Tensor same = tensor, other = tensor.Clone();
  tensor.As<float>()[3] = 9;
  EXPECT_EQ(same.As<float>()[3], 9);
  EXPECT_EQ(other.As<float>()[3], 4);
}

TEST(TensorTest, RowsAndReshapedAreViewsThatKeepMemoryAlive) {
  Tensor rows;
  {
    const Tensor tensor = Floats({3, 2}, {1, 2, 3, 4, 5, 6});
    rows = tensor.Rows(1, 3).Reshaped({4});
  }
  EXPECT_THAT(rows.As<float>(), ElementsAre(3, 4, 5, 6));
  EXPECT_EQ(rows.Rows(2, 2).size(), 0);
}

TEST(TensorTest, WrapSharesOwnership) {
  auto owner = std::make_shared<std::vector<int64_t>>(4, 7);
  std::weak_ptr<std::vector<int64_t>> watch = owner;
  Tensor tensor = Tensor::Wrap(DType::kI64, {4}, owner->data(), owner);
  owner.reset();
  EXPECT_THAT(tensor.As<int64_t>(), ElementsAre(7, 7, 7, 7));
  tensor = {};
  EXPECT_TRUE(watch.expired());
}

TEST(TensorTest, RefusesShapesThatNoMemoryHolds) {
  EXPECT_THAT(ErrorOf(Code::kInvalidArgument, [] { Tensor::New(DType::kF32, {2, -1}); }), HasSubstr("[2,?]"));
  EXPECT_THAT(ErrorOf(Code::kInvalidArgument,
                      [] {
                        Tensor::New(DType::kF64, {int64_t{1} << 40, int64_t{1} << 40});
                      }),
              HasSubstr("float64"));
  EXPECT_THAT(ErrorOf(Code::kInvalidArgument, [] { Floats({3}, {1, 2}); }), HasSubstr("2 values"));
  EXPECT_EQ(Tensor::New(DType::kF64, {int64_t{1} << 40, int64_t{1} << 40, 0}).bytes(), 0u);
}

TEST(TensorTest, RefusesWrongViews) {
  const Tensor tensor = Floats({2, 2}, {1, 2, 3, 4});
  ErrorOf(Code::kInternal, [&] { tensor.As<int32_t>(); });
  ErrorOf(Code::kInternal, [&] { Tensor().As<float>(); });
  ErrorOf(Code::kInvalidArgument, [&] { tensor.Reshaped({3}); });
  ErrorOf(Code::kInvalidArgument, [&] { tensor.Rows(1, 3); });
  ErrorOf(Code::kInvalidArgument, [&] { tensor.Rows(-1, 1); });
}

TEST(TensorTest, NamesOfTypesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(DType::kBool); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(ParseDType(DTypeName(dtype)), dtype);
  }
  EXPECT_THAT(ErrorOf(Code::kInvalidArgument, [] { ParseDType("float"); }), HasSubstr("float32, float64"));
  EXPECT_EQ(ShapeText({2, -1, 28}), "[2,?,28]");
  EXPECT_EQ(ElementCount({2, -1}), -1);
  EXPECT_EQ(ElementCount({}), 1);
}

TEST(TensorTest, CastConvertsEveryPairOfTypes) {
  const Tensor source = Floats({4}, {0, 1, 2, 100});
  for (int i = 0; i <= static_cast<int>(DType::kBool); ++i) {
    const auto from = static_cast<DType>(i);
    for (int j = 0; j <= static_cast<int>(DType::kBool); ++j) {
      const auto to = static_cast<DType>(j);
      const Tensor back = source.Cast(from).Cast(to).Cast(DType::kF32);
      const bool through_bool = from == DType::kBool || to == DType::kBool;
      EXPECT_THAT(back.As<float>(), ElementsAreArray(through_bool ? std::vector<float>{0, 1, 1, 1}
                                                                  : std::vector<float>{0, 1, 2, 100}))
          << DTypeName(from) << " to " << DTypeName(to);
    }
  }
}

// IEEE 754 binary16: bit patterns from the tables of the standard's format.
TEST(TensorTest, HalvesAreRoundedToNearestEven) {
  const std::pair<double, uint16_t> cases[] = {{0.0, 0x0000},
                                               {-0.0, 0x8000},
                                               {1.0, 0x3c00},
                                               {-2.0, 0xc000},
                                               {65504.0, 0x7bff},
                                               {65519.99, 0x7bff},
                                               {65520.0, 0x7c00},
                                               {1e300, 0x7c00},
                                               {0x1p-14, 0x0400},
                                               {0x1p-24, 0x0001},
                                               {0x1p-25, 0x0000},
                                               {0x1.8p-25, 0x0001},
                                               {0x1.ff8p-15, 0x03ff},
                                               {0x1.ffcp-15, 0x0400},
                                               {1.0 + 0x1p-11, 0x3c00},
                                               {1.0 + 0x3p-11, 0x3c02},
                                               {1.0 + 0x1p-11 + 0x1p-40, 0x3c01}};
  for (const auto& [value, bits] : cases) {
    const double one[] = {value};
    const Tensor half = Tensor::From<double>({1}, std::span<const double>(one)).Cast(DType::kF16);
    EXPECT_EQ(*static_cast<uint16_t*>(half.data()), bits) << value;
  }
}

TEST(TensorTest, EveryHalfSurvivesFloat) {
  const Tensor halves = Tensor::New(DType::kF16, {65536});
  auto* bits = static_cast<uint16_t*>(halves.data());
  for (int i = 0; i < 65536; ++i) bits[i] = static_cast<uint16_t>(i);
  const Tensor floats = halves.Cast(DType::kF32), back = floats.Cast(DType::kF16);
  for (int i = 0; i < 65536; ++i) {
    const bool is_nan = (i & 0x7c00) == 0x7c00 && (i & 0x3ff) != 0;
    EXPECT_EQ(std::isnan(floats.As<float>()[static_cast<size_t>(i)]), is_nan) << i;
    if (!is_nan) {
      EXPECT_EQ(static_cast<uint16_t*>(back.data())[i], i);
    }
  }
}

TEST(TensorTest, AnyByteButZeroIsTrue) {
  const uint8_t bytes[] = {0, 1, 2, 255};
  const Tensor flags = Tensor::Wrap(DType::kBool, {4}, const_cast<uint8_t*>(bytes), nullptr);
  EXPECT_THAT(flags.Cast(DType::kI32).As<int32_t>(), ElementsAre(0, 1, 1, 1));
}

}  // namespace
}  // namespace strop
