#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include <arrow/extension/fixed_shape_tensor.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "strop/data/table.h"

namespace strop::data {
namespace {

constexpr std::pair<Role, std::string_view> kRoles[] = {{Role::kInput, "input"},
                                                        {Role::kLabel, "label"},
                                                        {Role::kId, "id"},
                                                        {Role::kTime, "time"},
                                                        {Role::kSplit, "split"}};

std::optional<std::string> Metadata(const arrow::Field& field, const std::string& key) {
  if (!field.metadata()) return std::nullopt;
  const auto value = field.metadata()->Get(key);
  if (!value.ok()) return std::nullopt;
  return *value;
}

std::optional<DType> NumberType(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::FLOAT:
      return DType::kF32;
    case arrow::Type::DOUBLE:
      return DType::kF64;
    case arrow::Type::HALF_FLOAT:
      return DType::kF16;
    case arrow::Type::UINT8:
      return DType::kU8;
    case arrow::Type::INT8:
      return DType::kI8;
    case arrow::Type::UINT16:
      return DType::kU16;
    case arrow::Type::INT16:
      return DType::kI16;
    case arrow::Type::UINT32:
      return DType::kU32;
    case arrow::Type::INT32:
    case arrow::Type::DATE32:
    case arrow::Type::TIME32:
      return DType::kI32;
    case arrow::Type::UINT64:
      return DType::kU64;
    case arrow::Type::INT64:
    case arrow::Type::DATE64:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::DURATION:
      return DType::kI64;
    case arrow::Type::BOOL:
      return DType::kBool;
    default:
      return std::nullopt;
  }
}

[[noreturn]] void NotDense(const arrow::Field& field) {
  throw Error(Code::kUnsupported,
              fmt::format("column {} of type {} has no dense form: use numbers, fixed-size lists, "
                          "arrow.fixed_shape_tensor or fixed-size binary",
                          field.name(), field.type()->ToString()));
}

[[noreturn]] void NotRagged(const arrow::Field& field) {
  throw Error(Code::kUnsupported,
              fmt::format("column {} of type {} has neither a dense nor a ragged form: use numbers, text, "
                          "binary, fixed-size lists, or lists of numbers or of fixed-size lists",
                          field.name(), field.type()->ToString()));
}

[[noreturn]] void Contradiction(const arrow::Field& field, std::string_view key, std::string_view value,
                                const std::string& wanted) {
  throw Error(Code::kInvalidArgument,
              fmt::format("column {} of type {} has metadata {} = \"{}\": expected {}", field.name(),
                          field.type()->ToString(), key, value, wanted));
}

Shape ParseShape(const arrow::Field& field, const std::string& text) {
  Shape shape;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    int64_t size = 0;
    const auto [next, error] = std::from_chars(at, end, size);
    if (error != std::errc() || size < 1 || (next != end && (*next != ',' || next + 1 == end))) {
      Contradiction(field, "strop.shape", text,
                    "whole numbers from 1 with commas between, as in \"1,28,28\"");
    }
    shape.push_back(size);
    at = next == end ? end : next + 1;
  }
  return shape;
}

// What the Arrow type alone says; fixed-size binary counts as bytes.
void DescribeType(const arrow::Field& field, const arrow::DataType& type, Column& column) {
  if (const auto number = NumberType(type)) {
    column.dtype = *number;
  } else if (type.id() == arrow::Type::FIXED_SIZE_BINARY) {
    column.dtype = DType::kU8;
    column.shape.push_back(static_cast<const arrow::FixedSizeBinaryType&>(type).byte_width());
  } else if (type.id() == arrow::Type::FIXED_SIZE_LIST) {
    const auto& list = static_cast<const arrow::FixedSizeListType&>(type);
    if (list.value_type()->id() == arrow::Type::FIXED_SIZE_BINARY) NotDense(field);
    column.shape.push_back(list.list_size());
    DescribeType(field, *list.value_type(), column);
  } else if (type.id() == arrow::Type::EXTENSION) {
    const auto& extension = static_cast<const arrow::ExtensionType&>(type);
    if (extension.extension_name() != "arrow.fixed_shape_tensor") NotDense(field);
    const auto& tensor = static_cast<const arrow::extension::FixedShapeTensorType&>(type);
    const auto& permutation = tensor.permutation();
    for (size_t i = 0; i < permutation.size(); ++i) {
      if (permutation[i] != static_cast<int64_t>(i)) NotDense(field);
    }
    const auto element = NumberType(*tensor.value_type());
    if (!element) NotDense(field);
    column.dtype = *element;
    column.shape = tensor.shape();
  } else {
    NotDense(field);
  }
}

}  // namespace

std::string_view RoleName(Role role) noexcept {
  for (const auto& [known, name] : kRoles) {
    if (known == role) return name;
  }
  return "";
}

Role ParseRole(std::string_view name) {
  if (name.empty()) return Role::kNone;
  for (const auto& [role, known] : kRoles) {
    if (known == name) return role;
  }
  throw Error(Code::kInvalidArgument,
              fmt::format("\"{}\" is not a column role: expected input, label, id, time or split", name));
}

Column DescribeColumn(const arrow::Field& field) {
  Column column;
  column.name = field.name();
  DescribeType(field, *field.type(), column);
  const size_t stored_bytes = column.row_bytes();

  if (const auto role = Metadata(field, "strop.role")) column.role = ParseRole(*role);
  const bool raw = field.type()->id() == arrow::Type::FIXED_SIZE_BINARY;
  if (const auto dtype = Metadata(field, "strop.dtype")) {
    const DType stated = ParseDType(*dtype);
    if (!raw && stated != column.dtype)
      Contradiction(field, "strop.dtype", *dtype, std::string(DTypeName(column.dtype)));
    column.dtype = stated;
    if (raw) column.shape = {static_cast<int64_t>(stored_bytes / SizeOf(stated))};
  }
  if (const auto shape = Metadata(field, "strop.shape")) column.shape = ParseShape(field, *shape);
  if (column.row_bytes() != stored_bytes) {
    Contradiction(field, "strop.shape", ShapeText(column.shape),
                  fmt::format("a shape of {} bytes in {}", stored_bytes, DTypeName(column.dtype)));
  }
  return column;
}

Column DescribeRagged(const arrow::Field& field) {
  Column column;
  switch (field.type()->id()) {
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
      column.dtype = DType::kU8;
      break;
    case arrow::Type::LIST:
    case arrow::Type::LARGE_LIST: {
      const auto& element = *static_cast<const arrow::BaseListType&>(*field.type()).value_type();
      const auto type = element.id();
      if (!NumberType(element) && type != arrow::Type::FIXED_SIZE_LIST && type != arrow::Type::EXTENSION) {
        NotRagged(field);
      }
      DescribeType(field, element, column);
      break;
    }
    case arrow::Type::STRUCT:
    case arrow::Type::MAP:
      NotRagged(field);
    default:
      return DescribeColumn(field);
  }
  column.name = field.name();
  column.shape.insert(column.shape.begin(), -1);
  if (const auto role = Metadata(field, "strop.role")) column.role = ParseRole(*role);
  return column;
}

std::vector<Column> DescribeSchema(const arrow::Schema& schema) {
  std::vector<Column> columns;
  for (const auto& field : schema.fields()) {
    try {
      columns.push_back(DescribeColumn(*field));
    } catch (const Error& error) {
      if (error.code() != Code::kUnsupported) throw;
    }
  }
  return columns;
}

std::shared_ptr<arrow::Field> AnnotateField(const std::shared_ptr<arrow::Field>& field,
                                            const Column& column) {
  auto metadata = field->metadata() ? field->metadata()->Copy() : std::make_shared<arrow::KeyValueMetadata>();
  const auto set = [&](const std::string& key, const std::string& value) {
    Check(metadata->Set(key, value), "annotating column " + field->name());
  };
  if (column.role != Role::kNone) set("strop.role", std::string(RoleName(column.role)));
  set("strop.dtype", std::string(DTypeName(column.dtype)));
  set("strop.shape", fmt::format("{}", fmt::join(column.shape, ",")));
  return field->WithMetadata(std::move(metadata));
}

}  // namespace strop::data
