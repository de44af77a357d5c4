#include "strop/feed/arrow_export.h"

#include <arrow/c/bridge.h>
#include <arrow/chunked_array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "strop/data/table.h"

namespace strop::feed {

void ExportArrow(const Batch& batch, const std::vector<std::string>& columns, ArrowArray* array,
                 ArrowSchema* schema) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const std::string& name : columns) {
    const Tensor& tensor = batch.tensors.at(name);
    std::shared_ptr<arrow::Field> field;
    data::Column column;
    column.name = name;
    arrays.push_back(data::TensorToColumn(tensor, column, &field)->chunk(0));
    fields.push_back(std::move(field));
  }
  const auto record =
      arrow::RecordBatch::Make(arrow::schema(std::move(fields)), batch.rows, std::move(arrays));
  data::Check(arrow::ExportRecordBatch(*record, array, schema), "handing a batch over to Arrow");
}

}  // namespace strop::feed
