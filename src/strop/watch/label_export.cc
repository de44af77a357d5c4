#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/chunked_array.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/table.h"
#include "strop/watch/capture_row.h"
#include "strop/watch/label_queue.h"

namespace strop::watch {
namespace {

// Rows of one input, gathered as bytes: a table a row would cost more than the rows.
struct Gathered {
  DType dtype = DType::kF32;
  Shape shape;  // of one row
  std::vector<uint8_t> bytes;
};

class Rows {
 public:
  void Add(const std::string& request_id, const TensorMap& inputs) {
    for (const auto& [name, tensor] : inputs) {
      const Shape shape(tensor.shape().begin() + 1, tensor.shape().end());
      auto& column = columns_[name];
      if (count_ == 0) {
        column.dtype = tensor.dtype();
        column.shape = shape;
      }
      if (column.shape != shape || column.dtype != tensor.dtype() ||
          column.bytes.size() != static_cast<size_t>(count_) * tensor.bytes()) {
        Differs(request_id);
      }
      const auto* const bytes = static_cast<const uint8_t*>(tensor.data());
      column.bytes.insert(column.bytes.end(), bytes, bytes + tensor.bytes());
    }
    if (inputs.size() != columns_.size()) Differs(request_id);
    ++count_;
  }
  void AppendTo(arrow::FieldVector* fields, arrow::ChunkedArrayVector* columns) const {
    for (const auto& [name, column] : columns_) {
      Shape shape = column.shape;
      shape.insert(shape.begin(), count_);
      const Tensor tensor = Tensor::New(column.dtype, std::move(shape));
      std::memcpy(tensor.data(), column.bytes.data(), column.bytes.size());
      std::shared_ptr<arrow::Field> field;
      columns->push_back(data::TensorToColumn(tensor, {name, data::Role::kInput}, &field));
      fields->push_back(std::move(field));
    }
  }
  int64_t count() const { return count_; }

 private:
  [[noreturn]] static void Differs(const std::string& request_id) {
    throw Error(Code::kInvalidArgument,
                fmt::format("request {} has other inputs than the rows before it: export the rows of "
                            "one model, with --since",
                            request_id));
  }

  std::map<std::string, Gathered> columns_;
  int64_t count_ = 0;
};

template <class Builder, class Values, class Get>
std::shared_ptr<arrow::ChunkedArray> Build(const Values& values, Get get) {
  Builder builder;
  for (const auto& value : values) data::Check(builder.Append(get(value)), "exporting labels");
  auto array = builder.Finish();
  data::Check(array.status(), "exporting labels");
  return std::make_shared<arrow::ChunkedArray>(*array);
}

std::string Text(const store::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* whole = std::get_if<int64_t>(&value)) return fmt::format("{}", *whole);
  return fmt::format("{}", std::get<double>(value));
}

std::shared_ptr<arrow::ChunkedArray> LabelColumn(const std::vector<store::Value>& labels) {
  const auto all = [&](auto is) { return std::all_of(labels.begin(), labels.end(), is); };
  if (all([](const store::Value& v) { return std::holds_alternative<int64_t>(v); })) {
    return Build<arrow::Int64Builder>(labels, [](const store::Value& v) { return std::get<int64_t>(v); });
  }
  if (all([](const store::Value& v) { return !std::holds_alternative<std::string>(v); })) {
    return Build<arrow::DoubleBuilder>(labels, [](const store::Value& v) {
      const auto* whole = std::get_if<int64_t>(&v);
      return whole ? static_cast<double>(*whole) : std::get<double>(v);
    });
  }
  return Build<arrow::StringBuilder>(labels, Text);
}

std::shared_ptr<arrow::Field> RoleField(const std::string& name,
                                        const std::shared_ptr<arrow::ChunkedArray>& values, data::Role role) {
  return arrow::field(name, values->type(), /*nullable=*/false,
                      arrow::key_value_metadata({"strop.role"}, {std::string(data::RoleName(role))}));
}

}  // namespace

int64_t LabelQueue::Export(const std::filesystem::path& path, const ExportOptions& options) const {
  Rows rows;
  std::vector<store::Value> labels;
  std::vector<std::string> ids, reasons;
  std::vector<double> times;
  const std::string reason = options.reason ? std::string(ReasonName(*options.reason)) : "";
  database_->Query(
      "SELECT c.request_id, c.inputs, l.label, coalesce(q.reason, ''), c.time FROM captures AS c "
      "JOIN labels AS l USING (request_id) LEFT JOIN label_queue AS q USING (request_id) "
      "WHERE c.time >= ?1 AND (?2 = '' OR q.reason = ?2) ORDER BY c.time, c.request_id",
      {options.since, reason}, [&](const store::Row& row) {
        rows.Add(row.Text(0), DecodeRow(row.Bytes(1)));
        labels.push_back(row.Get(2));
        ids.push_back(row.Text(0));
        reasons.push_back(row.Text(3));
        times.push_back(row.Real(4));
      });
  if (rows.count() == 0) {
    throw Error(Code::kNotFound,
                fmt::format("no labelled rows{} since {:.3f}: label some first (strop label next, import)",
                            reason.empty() ? "" : " of reason " + reason, options.since));
  }
  arrow::FieldVector fields;
  arrow::ChunkedArrayVector columns;
  rows.AppendTo(&fields, &columns);
  const auto add = [&](const std::string& name, std::shared_ptr<arrow::ChunkedArray> values,
                       data::Role role) {
    for (const auto& field : fields) {
      if (field->name() == name) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("the model has an input {}, which is also a column of the export", name));
      }
    }
    fields.push_back(RoleField(name, values, role));
    columns.push_back(std::move(values));
  };
  const auto same = [](const auto& value) { return value; };
  add(options.label, LabelColumn(labels), data::Role::kLabel);
  add("request_id", Build<arrow::StringBuilder>(ids, same), data::Role::kId);
  add("reason", Build<arrow::StringBuilder>(reasons, same), data::Role::kNone);
  add("time", Build<arrow::DoubleBuilder>(times, same), data::Role::kTime);
  data::WriteParquet(*arrow::Table::Make(arrow::schema(std::move(fields)), std::move(columns)), path);
  return rows.count();
}

}  // namespace strop::watch
