#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/model/graph.h"
#include "strop/serve/http.h"

namespace strop::serve {

// The Open Inference Protocol v2 (kserve/open-inference-protocol, specification/protocol/inference_rest.md)
// and its binary tensor data extension (triton-inference-server/server,
// docs/protocol/extension_binary_data.md). Pure functions between bytes and tensors: no socket, no model, no
// state.

// "FP32", "UINT8", …
STROP_API std::string_view WireName(DType dtype) noexcept;
// Throws kUnsupported for BYTES and BF16, kInvalidArgument listing the names for anything else.
STROP_API DType ParseWireName(std::string_view name);

// What a model takes and gives. The first dimension of a shape is the batch where it is -1.
struct STROP_API Signature {
  std::string name;
  int64_t version = 0;
  std::vector<model::ValueInfo> inputs;
  std::vector<model::ValueInfo> outputs;
};

struct STROP_API RequestedOutput {
  std::string name;
  bool binary = false;
};

struct STROP_API InferRequest {
  std::string id;    // empty when the client gave none
  TensorMap inputs;  // exactly the model's inputs, 64-byte aligned, owned by the request
  std::vector<RequestedOutput>
      outputs;  // in the order asked for; all of the model's when the client named none
};

// `header_length`: the Inference-Header-Content-Length, when given; the bytes past it are binary tensor data.
// Throws kInvalidArgument or kUnsupported with one line that names the input or output, what was found and
// wanted.
STROP_API InferRequest ParseInferRequest(std::string_view body, std::optional<size_t> header_length,
                                         const Signature& signature);
// Of the header's text; nullopt when empty. Throws kInvalidArgument when it is not a number or exceeds
// `body_bytes`.
STROP_API std::optional<size_t> ParseHeaderLength(std::string_view text, size_t body_bytes);

// Numbers that JSON cannot hold (NaN, infinities) become null there; binary outputs carry them.
// Throws kUnsupported when a float16 output is asked for in JSON.
STROP_API HttpResponse MakeInferResponse(const InferRequest& request, const std::string& id,
                                         const Signature& signature, const TensorMap& outputs);

STROP_API std::string ServerMetadataJson();
STROP_API std::string ModelMetadataJson(const Signature& signature);

}  // namespace strop::serve
