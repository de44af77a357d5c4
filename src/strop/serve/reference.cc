#include "strop/serve/reference.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include <arrow/type.h>
#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/data/table.h"

namespace strop::serve {
namespace {

constexpr int64_t kBatch = 64;

std::string ColumnFor(const model::ValueInfo& input, size_t inputs, const std::vector<data::Column>& columns,
                      const WatchOptions& options, const std::string& uri) {
  std::vector<std::string> candidates = options.columns;
  if (candidates.empty()) {
    for (const data::Column& column : columns) {
      if (column.role == data::Role::kInput) candidates.push_back(column.name);
    }
  }
  std::string all;
  for (const data::Column& column : columns) {
    if (column.name == input.name) return column.name;
    all += (all.empty() ? "" : ", ") + column.name;
  }
  if (inputs == 1 && candidates.size() == 1) return candidates.front();
  throw Error(
      Code::kInvalidArgument,
      fmt::format(
          "{}: no column for the model's input \"{}\" among {}: name one so, or give one the role input", uri,
          input.name, all));
}

Tensor Pick(const Tensor& tensor, const std::vector<int64_t>& rows) {
  Shape shape = tensor.shape();
  shape[0] = static_cast<int64_t>(rows.size());
  Tensor out = Tensor::New(tensor.dtype(), shape);
  const size_t bytes = tensor.bytes() / static_cast<size_t>(tensor.shape()[0]);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(static_cast<char*>(out.data()) + i * bytes,
                static_cast<const char*>(tensor.data()) + static_cast<size_t>(rows[i]) * bytes, bytes);
  }
  return out;
}

// `count` of n without replacement, ascending; a pure function of the seed.
std::vector<int64_t> Sample(int64_t n, int64_t count, uint64_t seed) {
  std::vector<int64_t> rows(static_cast<size_t>(n));
  std::iota(rows.begin(), rows.end(), 0);
  if (count < n) {
    Rng rng(seed, 0x5eed);
    for (int64_t i = 0; i < count; ++i) {
      std::swap(rows[static_cast<size_t>(i)],
                rows[static_cast<size_t>(i) + rng.Below(static_cast<uint64_t>(n - i))]);
    }
    rows.resize(static_cast<size_t>(count));
    std::sort(rows.begin(), rows.end());
  }
  return rows;
}

Tensor Activations(engine::Session& session, const std::string& tap, const TensorMap& reference) {
  Tensor all;
  int64_t rows = reference.begin()->second.shape()[0];
  const int64_t fixed =
      session.inputs().front().shape.front();  // a model of one batch size takes whole batches
  const int64_t batch_rows = fixed > 0 ? fixed : kBatch;
  if (fixed > 0) rows -= rows % fixed;
  for (int64_t begin = 0; begin < rows; begin += batch_rows) {
    const int64_t end = std::min(rows, begin + batch_rows);
    TensorMap batch;
    for (const auto& [name, tensor] : reference) batch.emplace(name, tensor.Rows(begin, end));
    const Tensor part = session.Run(batch, {tap}).at(tap);
    if (part.shape().empty() || part.shape()[0] != end - begin) {
      throw Error(Code::kUnsupported,
                  fmt::format("the activation \"{}\" has the shape {} for {} rows: it cannot be "
                              "watched row by row",
                              tap, ShapeText(part.shape()), end - begin));
    }
    if (!all) {
      Shape shape = part.shape();
      shape[0] = rows;
      all = Tensor::New(part.dtype(), shape);
    }
    const size_t row_bytes = part.bytes() / static_cast<size_t>(end - begin);
    std::memcpy(static_cast<char*>(all.data()) + static_cast<size_t>(begin) * row_bytes, part.data(),
                part.bytes());
  }
  return all;
}

}  // namespace

void WatchOptions::Validate() const {
  for (const std::string& name : detectors) {
    if (name != "input" && name != "activation") {
      throw Error(Code::kInvalidArgument, fmt::format("detector \"{}\": expected input or activation", name));
    }
  }
  if (reference_rows < 2) {
    throw Error(Code::kInvalidArgument,
                fmt::format("reference_rows = {}: expected at least 2", reference_rows));
  }
  for (const double share : {uniform_share, uncertain_share}) {
    if (!(share >= 0 && share <= 1)) {
      throw Error(Code::kInvalidArgument, fmt::format("share {} of labels: expected 0 to 1", share));
    }
  }
}

TensorMap ReadReference(const std::string& uri, const std::vector<model::ValueInfo>& inputs,
                        const WatchOptions& options) {
  const std::vector<data::Column> columns = data::DescribeSchema(*data::ReadSchema(uri));
  std::vector<std::string> wanted;
  for (const auto& input : inputs) wanted.push_back(ColumnFor(input, inputs.size(), columns, options, uri));
  const TensorMap table = data::ReadTensors(uri, wanted);
  TensorMap out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& column = table.at(wanted[i]);
    const int64_t n = column.shape().empty() ? 0 : column.shape()[0];
    if (n < 2)
      throw Error(Code::kInvalidArgument, fmt::format("{}: {} rows are too few for a reference", uri, n));
    Tensor rows = Pick(column, Sample(n, options.reference_rows, options.seed));
    if (rows.dtype() != inputs[i].dtype) rows = rows.Cast(inputs[i].dtype);
    Shape shape = inputs[i].shape;
    bool fits = !shape.empty();
    if (fits) {
      shape[0] = rows.shape()[0];
      for (size_t d = 1; d < shape.size(); ++d) {
        if (shape[d] < 0) shape[d] = d < rows.shape().size() ? rows.shape()[d] : 1;
      }
      fits = ElementCount(shape) == rows.size();
    }
    if (!fits) {
      throw Error(
          Code::kInvalidArgument,
          fmt::format("{}: a row of the column \"{}\" has the shape {}, the model's input \"{}\" is {}", uri,
                      wanted[i], ShapeText(rows.shape()), inputs[i].name, ShapeText(inputs[i].shape)));
    }
    out.emplace(inputs[i].name, rows.Reshaped(shape));
  }
  return out;
}

std::unique_ptr<ModelWatch> MakeModelWatch(engine::Session& session, const std::string& tap,
                                           const TensorMap& reference, const WatchOptions& options) {
  auto out = std::make_unique<ModelWatch>();
  watch::MmdOptions mmd;
  mmd.window = options.window;
  mmd.false_alarm_rows = options.false_alarm_rows;
  mmd.features = options.features;
  mmd.seed = options.seed;
  for (const std::string& kind : options.detectors) {
    if (kind == "input") {
      for (const auto& [name, tensor] : reference) {
        const std::string label = reference.size() == 1 ? kind : fmt::format("{}:{}", kind, name);
        out->detectors.push_back({kind, name, watch::MakeMmd(label, tensor, mmd), {}, 0, false});
      }
    } else if (!tap.empty()) {
      out->detectors.push_back(
          {kind, tap, watch::MakeMmd(kind, Activations(session, tap, reference), mmd), {}, 0, false});
    }
  }
  return out;
}

}  // namespace strop::serve
