#include "strop/compress/predict.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::compress {

RowRunner::RowRunner(const std::vector<model::ValueInfo>& inputs, const TensorMap& rows) : tensors_(rows) {
  for (const model::ValueInfo& input : inputs) {
    const auto found = rows.find(input.name);
    if (found == rows.end() || found->second.shape().empty()) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("there are no rows for the model's input '{}'", input.name));
    }
    rows_ = found->second.shape()[0];
    if (!input.shape.empty() && input.shape[0] > 0) {
      batch_ = input.shape[0];
      fixed_ = true;
    }
  }
  if (rows_ == 0) throw Error(Code::kInvalidArgument, "the data has no rows");
}

TensorMap RowRunner::Slice(int64_t index, int64_t* valid) const {
  const int64_t begin = index * batch_, end = std::min(rows_, begin + batch_);
  *valid = end - begin;
  TensorMap slice;
  for (const auto& [name, tensor] : tensors_) {
    if (!fixed_ || *valid == batch_) {
      slice[name] = tensor.Rows(begin, end);
      continue;
    }
    Shape shape = tensor.shape();
    shape[0] = batch_;
    Tensor filled = Tensor::New(tensor.dtype(), shape);
    const size_t row_bytes = filled.bytes() / static_cast<size_t>(batch_);
    for (int64_t row = 0; row < batch_; ++row) {
      std::memcpy(static_cast<std::byte*>(filled.data()) + static_cast<size_t>(row) * row_bytes,
                  tensor.Rows(begin + row % *valid, begin + row % *valid + 1).data(), row_bytes);
    }
    slice[name] = filled;
  }
  return slice;
}

Tensor Predict(engine::Session& session, const TensorMap& rows, const std::string& output) {
  const RowRunner runner(session.inputs(), rows);
  Tensor all;
  std::byte* out = nullptr;
  for (int64_t index = 0; index < runner.slices(); ++index) {
    int64_t valid = 0;
    const TensorMap slice = runner.Slice(index, &valid);
    const Tensor part = session.Run(slice, {output}).at(output).Rows(0, valid);
    if (!all) {
      Shape shape = part.shape();
      shape[0] = runner.rows();
      all = Tensor::New(part.dtype(), shape);
      out = static_cast<std::byte*>(all.data());
    }
    std::memcpy(out, part.data(), part.bytes());
    out += part.bytes();
  }
  return all;
}

}  // namespace strop::compress
