#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/engine/session.h"

namespace strop::compress {

// Runs a session over rows in slices and joins what it answers. `rows` holds every input of the model, [rows,
// …] each. A model with a fixed batch is run at that batch, its last slice filled up with repeated rows.
class STROP_API RowRunner {
 public:
  RowRunner(const std::vector<model::ValueInfo>& inputs, const TensorMap& rows);

  int64_t rows() const noexcept { return rows_; }
  int64_t slices() const noexcept { return (rows_ + batch_ - 1) / batch_; }
  // The index-th slice as the model takes it; `valid`: how many of its rows count.
  TensorMap Slice(int64_t index, int64_t* valid) const;

 private:
  const TensorMap& tensors_;
  int64_t rows_ = 0;
  int64_t batch_ = 256;
  bool fixed_ = false;
};

// The named value for all rows.
STROP_API Tensor Predict(engine::Session& session, const TensorMap& rows, const std::string& output);

}  // namespace strop::compress
