#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <arrow/extension/fixed_shape_tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/data/table.h"
#include "strop/data/test_support.h"

namespace strop::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<arrow::Field> Bytes(int width, std::vector<std::string> keys = {},
                                    std::vector<std::string> values = {}) {
  return arrow::field("image", arrow::fixed_size_binary(width), false,
                      arrow::key_value_metadata(std::move(keys), std::move(values)));
}

TEST(Column, NumbersAreScalars) {
  const Column column = DescribeColumn(*arrow::field("x", arrow::int16()));
  EXPECT_EQ(column.dtype, DType::kI16);
  EXPECT_TRUE(column.shape.empty());
  EXPECT_EQ(column.row_bytes(), 2u);
  EXPECT_EQ(DescribeColumn(*arrow::field("t", arrow::timestamp(arrow::TimeUnit::MICRO))).dtype, DType::kI64);
}

TEST(Column, ListsAndTensorsHaveTheirShape) {
  const auto list = arrow::fixed_size_list(arrow::fixed_size_list(arrow::float32(), 3), 2);
  EXPECT_EQ(DescribeColumn(*arrow::field("x", list)).shape, (Shape{2, 3}));
  const auto tensor = arrow::extension::FixedShapeTensorType::Make(arrow::float64(), {4, 5}).ValueOrDie();
  const Column column = DescribeColumn(*arrow::field("x", tensor));
  EXPECT_EQ(column.shape, (Shape{4, 5}));
  EXPECT_EQ(column.dtype, DType::kF64);
  const auto turned =
      arrow::extension::FixedShapeTensorType::Make(arrow::float64(), {4, 5}, {1, 0}).ValueOrDie();
  EXPECT_EQ(Thrown([&] { DescribeColumn(*arrow::field("x", turned)); }).code(), Code::kUnsupported);
}

TEST(Column, BytesAreWhatTheMetadataSays) {
  EXPECT_EQ(DescribeColumn(*Bytes(784)).shape, (Shape{784}));
  const Column column = DescribeColumn(
      *Bytes(784, {"strop.role", "strop.dtype", "strop.shape"}, {"input", "uint8", "1,28,28"}));
  EXPECT_EQ(column.role, Role::kInput);
  EXPECT_EQ(column.shape, (Shape{1, 28, 28}));
  EXPECT_EQ(DescribeColumn(*Bytes(16, {"strop.dtype"}, {"float32"})).shape, (Shape{4}));
}

TEST(Column, MetadataThatContradictsTheTypeIsRefused) {
  const Error error = Thrown([] { DescribeColumn(*Bytes(784, {"strop.shape"}, {"1,28,27"})); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("image"));
  for (const char* shape : {"28,", "0,784", "a", "-1,784", ",784"}) {
    EXPECT_EQ(Thrown([&] { DescribeColumn(*Bytes(784, {"strop.shape"}, {shape})); }).code(),
              Code::kInvalidArgument)
        << shape;
  }
  const auto number =
      arrow::field("x", arrow::int32(), true, arrow::key_value_metadata({"strop.dtype"}, {"float32"}));
  EXPECT_EQ(Thrown([&] { DescribeColumn(*number); }).code(), Code::kInvalidArgument);
}

TEST(Column, TextHasNoDenseForm) {
  const Error error = Thrown([] { DescribeColumn(*arrow::field("id", arrow::utf8())); });
  EXPECT_EQ(error.code(), Code::kUnsupported);
  EXPECT_THAT(error.what(), HasSubstr("column id of type string"));
  EXPECT_EQ(Thrown([] { DescribeColumn(*arrow::field("x", arrow::list(arrow::int8()))); }).code(),
            Code::kUnsupported);
  const auto columns =
      DescribeSchema(*arrow::schema({arrow::field("id", arrow::utf8()), arrow::field("x", arrow::int8())}));
  ASSERT_EQ(columns.size(), 1u);
  EXPECT_EQ(columns[0].name, "x");
}

TEST(Column, RowsOfDifferentLengthHaveARaggedForm) {
  for (const auto& type : {arrow::utf8(), arrow::large_utf8(), arrow::binary(), arrow::large_binary()}) {
    const Column column =
        DescribeRagged(*arrow::field("id", type, true, arrow::key_value_metadata({"strop.role"}, {"id"})));
    EXPECT_EQ(column.name, "id");
    EXPECT_EQ(column.role, Role::kId);
    EXPECT_EQ(column.dtype, DType::kU8) << type->ToString();
    EXPECT_EQ(column.shape, (Shape{-1}));
    EXPECT_TRUE(column.ragged());
  }
  const Column numbers = DescribeRagged(*arrow::field("x", arrow::list(arrow::float32())));
  EXPECT_EQ(numbers.dtype, DType::kF32);
  EXPECT_EQ(numbers.shape, (Shape{-1}));
  const auto pairs = arrow::large_list(arrow::fixed_size_list(arrow::int16(), 2));
  const Column listed = DescribeRagged(*arrow::field("x", pairs));
  EXPECT_EQ(listed.dtype, DType::kI16);
  EXPECT_EQ(listed.shape, (Shape{-1, 2}));
  const auto tensor = arrow::extension::FixedShapeTensorType::Make(arrow::float64(), {4, 5}).ValueOrDie();
  EXPECT_EQ(DescribeRagged(*arrow::field("x", arrow::list(tensor))).shape, (Shape{-1, 4, 5}));
}

TEST(Column, ADenseColumnIsNotRagged) {
  EXPECT_FALSE(DescribeRagged(*arrow::field("x", arrow::int16())).ragged());
  EXPECT_EQ(DescribeRagged(*Bytes(16, {"strop.dtype"}, {"float32"})).shape, (Shape{4}));
}

TEST(Column, StructsMapsAndListsOfListsHaveNoRaggedForm) {
  for (const auto& type :
       {arrow::struct_({arrow::field("a", arrow::int8())}), arrow::map(arrow::int8(), arrow::int8()),
        arrow::list(arrow::list(arrow::int8())), arrow::list(arrow::utf8()), arrow::null()}) {
    const Error error = Thrown([&] { DescribeRagged(*arrow::field("x", type)); });
    EXPECT_EQ(error.code(), Code::kUnsupported) << type->ToString();
    EXPECT_THAT(error.what(), HasSubstr("column x of type " + type->ToString()));
  }
}

TEST(Column, AnAnnotationIsReadBack) {
  Column column{"image", Role::kInput, DType::kF32, {2, 2}};
  const auto field = AnnotateField(arrow::field("image", arrow::fixed_size_binary(16)), column);
  const Column read = DescribeColumn(*field);
  EXPECT_EQ(read.role, column.role);
  EXPECT_EQ(read.dtype, column.dtype);
  EXPECT_EQ(read.shape, column.shape);
}

// Every dense layout, sliced so that no offset is zero, in chunks that no window respects.
TEST(Column, CopiesAnyWindowOfAnyLayout) {
  std::vector<int32_t> numbers(24);
  std::iota(numbers.begin(), numbers.end(), 0);
  const auto ints = Tensor::From<int32_t>({24}, numbers);
  std::shared_ptr<arrow::Field> field;
  const auto flat = TensorToColumn(ints, {"x"}, &field)->chunk(0);
  const auto listed = *arrow::FixedSizeListArray::FromArrays(flat, 2);
  const auto nested = *arrow::FixedSizeListArray::FromArrays(listed, 3);
  const auto binary = TensorToColumn(ints.Reshaped({4, 2, 3}), {"x"}, nullptr)->chunk(0);
  for (const auto& array : {std::shared_ptr<arrow::Array>(nested), std::shared_ptr<arrow::Array>(binary)}) {
    const arrow::ChunkedArray chunks({array->Slice(1, 1), array->Slice(2, 2)});
    const Column column{"x", Role::kNone, DType::kI32, {2, 3}};
    for (int64_t begin = 0; begin <= 3; ++begin) {
      for (int64_t end = begin; end <= 3; ++end) {
        const Tensor tensor = ColumnToTensor(chunks, column, begin, end);
        ASSERT_EQ(tensor.shape(), (Shape{end - begin, 2, 3}));
        for (size_t i = 0; i < tensor.As<int32_t>().size(); ++i) {
          EXPECT_EQ(tensor.As<int32_t>()[i], static_cast<int32_t>(6 * (begin + 1) + static_cast<int64_t>(i)));
        }
      }
    }
  }
}

TEST(Column, BoolsAreUnpackedAndPacked) {
  std::unique_ptr<bool[]> bits(new bool[19]);
  for (int i = 0; i < 19; ++i) bits[i] = i % 3 == 0;
  const auto tensor = Tensor::From<bool>({19}, std::span<const bool>(bits.get(), 19));
  const auto values = TensorToColumn(tensor, {"b"}, nullptr);
  const arrow::ChunkedArray sliced({values->chunk(0)->Slice(5)});
  const Tensor back = ColumnToTensor(sliced, {"b", Role::kNone, DType::kBool, {}}, 0, 14);
  for (int i = 0; i < 14; ++i) EXPECT_EQ(back.As<bool>()[static_cast<size_t>(i)], (i + 5) % 3 == 0);
}

TEST(Column, ANullIsNamedByRow) {
  arrow::Int64Builder builder;
  ASSERT_TRUE(builder.AppendValues({1, 2, 3}, {true, true, false}).ok());
  const auto array = *builder.Finish();
  const arrow::ChunkedArray values({array, array});
  const Column column{"label", Role::kLabel, DType::kI64, {}};
  EXPECT_THAT(ColumnToTensor(values, column, 3, 5).As<int64_t>(), ElementsAre(1, 2));
  const Error error = Thrown([&] { ColumnToTensor(values, column, 3, 6); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("column label is null in row 5"));
}

}  // namespace
}  // namespace strop::data
