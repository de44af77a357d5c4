#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "strop/base/tensor.h"
#include "strop_onnx.pb.h"

namespace strop::model {

// Where a model came from: for messages, and for the files of its external data.
struct Source {
  std::string where;
  std::optional<std::filesystem::path> folder;  // nullopt: bytes in memory, which have no external data
};

struct ReadResult {
  Tensor tensor;
  bool packed4 = false;  // ONNX has it as INT4 or UINT4; here int8 or uint8
};

// Copies the elements out of whichever field holds them. Throws kCorrupt when their number is not the
// shape's, or external data is cut short or leaves the model's folder; kUnsupported for a type that Tensor
// cannot hold.
ReadResult ReadTensor(const strop_onnx::TensorProto& proto, const Source& source, const std::string& what);

void WriteTensor(const Tensor& tensor, bool packed4, strop_onnx::TensorProto& proto);

}  // namespace strop::model
