#include <algorithm>
#include <cstring>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/chunked_array.h>
#include <arrow/extension_type.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "strop/data/table.h"

namespace strop::data {
namespace {

// Rows per second are lost to anything but memcpy here: every dense layout of Arrow is one run of bytes, but
// for bool. [begin, begin + count) are elements of `array`, offset not yet applied; answers where the next
// bytes go.
uint8_t* CopyElements(const arrow::ArrayData& array, int64_t begin, int64_t count, uint8_t* out) {
  const arrow::DataType* type = array.type.get();
  if (type->id() == arrow::Type::EXTENSION) {
    type = static_cast<const arrow::ExtensionType*>(type)->storage_type().get();
  }
  const int64_t first = array.offset + begin;
  if (type->id() == arrow::Type::FIXED_SIZE_LIST) {
    const int64_t size = static_cast<const arrow::FixedSizeListType*>(type)->list_size();
    return CopyElements(*array.child_data[0], first * size, count * size, out);
  }
  if (count == 0) return out;  // an empty array may come without a buffer
  const uint8_t* const bytes = array.buffers[1]->data();
  if (type->id() == arrow::Type::BOOL) {
    for (int64_t i = 0; i < count; ++i) out[i] = (bytes[(first + i) >> 3] >> ((first + i) & 7)) & 1;
    return out + count;
  }
  const int64_t width = static_cast<const arrow::FixedWidthType*>(type)->bit_width() / 8;
  std::memcpy(out, bytes + first * width, static_cast<size_t>(count * width));
  return out + count * width;
}

// The first null among the elements, or -1.
int64_t FindNull(const arrow::ArrayData& array, int64_t begin, int64_t count) {
  const int64_t first = array.offset + begin;
  if (array.buffers[0] && array.null_count != 0) {
    const uint8_t* const valid = array.buffers[0]->data();
    for (int64_t i = 0; i < count; ++i) {
      if (!((valid[(first + i) >> 3] >> ((first + i) & 7)) & 1)) return i;
    }
  }
  const arrow::DataType* type = array.type.get();
  if (type->id() == arrow::Type::EXTENSION) {
    type = static_cast<const arrow::ExtensionType*>(type)->storage_type().get();
  }
  if (type->id() != arrow::Type::FIXED_SIZE_LIST) return -1;
  const int64_t size = static_cast<const arrow::FixedSizeListType*>(type)->list_size();
  const int64_t inner = FindNull(*array.child_data[0], first * size, count * size);
  return inner < 0 ? -1 : inner / size;
}

// Lets a tensor's memory be an Arrow buffer without a copy.
class TensorBuffer : public arrow::Buffer {
 public:
  explicit TensorBuffer(const Tensor& tensor)
      : arrow::Buffer(static_cast<const uint8_t*>(tensor.data()), static_cast<int64_t>(tensor.bytes())),
        tensor_(tensor) {}

 private:
  Tensor tensor_;
};

std::shared_ptr<arrow::DataType> NumberArrowType(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return arrow::float32();
    case DType::kF64:
      return arrow::float64();
    case DType::kF16:
      return arrow::float16();
    case DType::kU8:
      return arrow::uint8();
    case DType::kI8:
      return arrow::int8();
    case DType::kU16:
      return arrow::uint16();
    case DType::kI16:
      return arrow::int16();
    case DType::kU32:
      return arrow::uint32();
    case DType::kI32:
      return arrow::int32();
    case DType::kU64:
      return arrow::uint64();
    case DType::kI64:
      return arrow::int64();
    case DType::kBool:
      return arrow::boolean();
  }
  return arrow::float32();
}

std::shared_ptr<arrow::Buffer> PackBits(const Tensor& tensor) {
  const auto values = tensor.As<bool>();
  auto bits = arrow::AllocateBuffer(static_cast<int64_t>(values.size() + 7) / 8);
  Check(bits.status(), "packing a bool column");
  uint8_t* const out = (*bits)->mutable_data();
  std::memset(out, 0, static_cast<size_t>((*bits)->size()));
  for (size_t i = 0; i < values.size(); ++i) out[i >> 3] |= static_cast<uint8_t>(values[i] << (i & 7));
  return std::move(*bits);
}

}  // namespace

void CopyColumn(const arrow::ChunkedArray& values, const Column& column, int64_t begin, int64_t end,
                void* out) {
  if (begin < 0 || begin > end || end > values.length()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("column {}: rows {} to {} are asked for, and there are {}", column.name, begin,
                            end, values.length()));
  }
  auto* at = static_cast<uint8_t*>(out);
  int64_t chunk_begin = 0;
  for (const auto& chunk : values.chunks()) {
    const int64_t chunk_end = chunk_begin + chunk->length();
    const int64_t first = std::max(begin, chunk_begin) - chunk_begin;
    const int64_t count = std::min(end, chunk_end) - chunk_begin - first;
    if (count > 0) {
      if (const int64_t null = FindNull(*chunk->data(), first, count); null >= 0) {
        throw Error(
            Code::kInvalidArgument,
            fmt::format("column {} is null in row {}: a dense column has a value in every row; fill it or "
                        "leave the row out",
                        column.name, chunk_begin + first + null));
      }
      at = CopyElements(*chunk->data(), first, count, at);
    }
    chunk_begin = chunk_end;
    if (chunk_begin >= end) break;
  }
}

Tensor ColumnToTensor(const arrow::ChunkedArray& values, const Column& column, int64_t begin, int64_t end) {
  Shape shape = column.shape;
  shape.insert(shape.begin(), end - begin);
  Tensor tensor = Tensor::New(column.dtype, std::move(shape));
  CopyColumn(values, column, begin, end, tensor.data());
  return tensor;
}

std::shared_ptr<arrow::ChunkedArray> TensorToColumn(const Tensor& tensor, const Column& column,
                                                    std::shared_ptr<arrow::Field>* field) {
  if (tensor.shape().empty()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("column {}: a tensor without dimensions has no rows", column.name));
  }
  const int64_t rows = tensor.shape()[0];
  Column described = column;
  described.dtype = tensor.dtype();
  described.shape.assign(tensor.shape().begin() + 1, tensor.shape().end());

  std::shared_ptr<arrow::DataType> type;
  std::shared_ptr<arrow::Buffer> buffer;
  if (described.shape.empty()) {
    type = NumberArrowType(tensor.dtype());
    buffer = tensor.dtype() == DType::kBool ? PackBits(tensor) : std::make_shared<TensorBuffer>(tensor);
  } else {
    if (described.row_bytes() > INT32_MAX) {
      throw Error(Code::kUnsupported, fmt::format("column {}: a row of {} bytes; Arrow holds at most {}",
                                                  column.name, described.row_bytes(), INT32_MAX));
    }
    type = arrow::fixed_size_binary(static_cast<int32_t>(described.row_bytes()));
    buffer = std::make_shared<TensorBuffer>(tensor);
  }
  if (field) *field = AnnotateField(arrow::field(column.name, type, /*nullable=*/false), described);
  const auto data = arrow::ArrayData::Make(type, rows, {nullptr, std::move(buffer)}, /*null_count=*/0);
  return std::make_shared<arrow::ChunkedArray>(arrow::MakeArray(data));
}

}  // namespace strop::data
