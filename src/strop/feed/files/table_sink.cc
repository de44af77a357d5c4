#include "strop/feed/files/table_sink.h"

#include <arrow/builder.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

namespace strop::feed {
namespace {

std::shared_ptr<arrow::Field> WithRole(const std::shared_ptr<arrow::Field>& field, data::Role role) {
  if (role == data::Role::kNone) return field;
  return field->WithMetadata(arrow::key_value_metadata({"strop.role"}, {std::string(data::RoleName(role))}));
}

}  // namespace

TableSink::TableSink(const std::vector<data::Column>& columns) : columns_(columns) {
  for (const auto& column : columns) {
    if (column.ragged()) {
      builders_.push_back(std::make_shared<arrow::LargeBinaryBuilder>());
    } else {
      builders_.push_back(std::make_shared<arrow::Int64Builder>());
    }
  }
}

TableSink::~TableSink() = default;

void TableSink::Put(size_t column, int64_t, int64_t count, const uint8_t* values) {
  auto& builder = static_cast<arrow::Int64Builder&>(*builders_[column]);
  data::Check(builder.AppendValues(reinterpret_cast<const int64_t*>(values), count), "collecting rows");
}

void TableSink::PutRagged(size_t column, int64_t, const uint8_t* values, size_t bytes) {
  auto& builder = static_cast<arrow::LargeBinaryBuilder&>(*builders_[column]);
  data::Check(builder.Append(values, static_cast<int64_t>(bytes)), "collecting rows");
}

std::shared_ptr<arrow::Table> TableSink::Finish() {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (size_t c = 0; c < columns_.size(); ++c) {
    auto array = builders_[c]->Finish();
    data::Check(array.status(), "collecting rows");
    arrays.push_back(*array);
    fields.push_back(columns_[c].ragged() ? ByteField(columns_[c].name, columns_[c].role)
                                          : NumberField(columns_[c].name, columns_[c].role));
  }
  return arrow::Table::Make(arrow::schema(std::move(fields)), arrays);
}

std::shared_ptr<arrow::Field> ByteField(const std::string& name, data::Role role) {
  return WithRole(arrow::field(name, arrow::large_binary(), false), role);
}

std::shared_ptr<arrow::Field> NumberField(const std::string& name, data::Role role) {
  return WithRole(arrow::field(name, arrow::int64(), false), role);
}

}  // namespace strop::feed
