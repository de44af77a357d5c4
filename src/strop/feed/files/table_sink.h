#pragma once

#include <memory>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "strop/feed/source.h"

namespace strop::feed {

// Collects the rows of files that are no tables, put in order, as one: int64 scalars and ragged bytes.
class TableSink final : public RowSink {
 public:
  explicit TableSink(const std::vector<data::Column>& columns);
  ~TableSink() override;

  void Put(size_t column, int64_t row, int64_t count, const uint8_t* values) override;
  void PutRagged(size_t column, int64_t row, const uint8_t* values, size_t bytes) override;
  std::shared_ptr<arrow::Table> Finish();

 private:
  std::vector<data::Column> columns_;
  std::vector<std::shared_ptr<arrow::ArrayBuilder>> builders_;
};

// The field of such a column.
std::shared_ptr<arrow::Field> ByteField(const std::string& name, data::Role role = data::Role::kNone);
std::shared_ptr<arrow::Field> NumberField(const std::string& name, data::Role role = data::Role::kNone);

}  // namespace strop::feed
