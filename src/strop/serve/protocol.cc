#include "strop/serve/protocol.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <type_traits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/serve/dispatch.h"

namespace strop::serve {
namespace {

using Json = nlohmann::json;

struct WireType {
  std::string_view name;
  DType dtype;
};
constexpr WireType kWireTypes[] = {
    {"BOOL", DType::kBool},  {"UINT8", DType::kU8}, {"UINT16", DType::kU16}, {"UINT32", DType::kU32},
    {"UINT64", DType::kU64}, {"INT8", DType::kI8},  {"INT16", DType::kI16},  {"INT32", DType::kI32},
    {"INT64", DType::kI64},  {"FP16", DType::kF16}, {"FP32", DType::kF32},   {"FP64", DType::kF64},
};

template <class T>
void AppendNumbers(const Tensor& tensor, std::string* out) {
  bool first = true;
  for (const T value : tensor.As<T>()) {
    if (!first) *out += ',';
    first = false;
    if constexpr (std::is_same_v<T, bool>) {
      *out += value ? "true" : "false";
    } else if constexpr (std::is_floating_point_v<T>) {
      if (!std::isfinite(value)) {
        *out += "null";
        continue;
      }
      char text[32];
      const auto end =
          std::to_chars(text, text + sizeof text, value);  // the shortest that reads back the same
      out->append(text, end.ptr);
    } else {
      char text[24];
      const auto end = std::to_chars(text, text + sizeof text, value);
      out->append(text, end.ptr);
    }
  }
}

void AppendShape(const Shape& shape, std::string* out) {
  *out += '[';
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) *out += ',';
    *out += std::to_string(shape[i]);
  }
  *out += ']';
}

std::string JsonText(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json Describe(const std::vector<model::ValueInfo>& values) {
  Json out = Json::array();
  for (const auto& value : values) {
    Json shape = Json::array();
    for (const int64_t size : value.shape) shape.push_back(std::max<int64_t>(size, -1));
    out.push_back({{"name", value.name}, {"datatype", WireName(value.dtype)}, {"shape", std::move(shape)}});
  }
  return out;
}

}  // namespace

std::string_view WireName(DType dtype) noexcept {
  for (const WireType& type : kWireTypes) {
    if (type.dtype == dtype) return type.name;
  }
  return "UNKNOWN";
}

DType ParseWireName(std::string_view name) {
  for (const WireType& type : kWireTypes) {
    if (type.name == name) return type.dtype;
  }
  if (name == "BYTES" || name == "BF16") {
    throw Error(
        Code::kUnsupported,
        fmt::format("datatype {} is not served: models here take and give numbers up to 64 bits, FP16, FP32, "
                    "FP64 and BOOL",
                    name));
  }
  std::string known;
  for (const WireType& type : kWireTypes) known += fmt::format("{}{}", known.empty() ? "" : ", ", type.name);
  throw Error(Code::kInvalidArgument, fmt::format("datatype {} is not one of {}", Quote(name), known));
}

HttpResponse MakeInferResponse(const InferRequest& request, const std::string& id, const Signature& signature,
                               const TensorMap& outputs) {
  HttpResponse response;
  std::string& body = response.body;
  size_t binary_bytes = 0;
  body = fmt::format(R"({{"model_name":{},"model_version":"{}","id":{},"outputs":[)",
                     JsonText(signature.name), signature.version, JsonText(id));
  bool first = true;
  for (const RequestedOutput& wanted : request.outputs) {
    const auto found = outputs.find(wanted.name);
    if (found == outputs.end()) {
      throw Error(Code::kInternal, fmt::format("the model answered without its output \"{}\"", wanted.name));
    }
    const Tensor& tensor = found->second;
    body += fmt::format(R"({}{{"name":{},"datatype":"{}","shape":)", first ? "" : ",", JsonText(wanted.name),
                        WireName(tensor.dtype()));
    first = false;
    AppendShape(tensor.shape(), &body);
    if (wanted.binary) {
      body += fmt::format(R"(,"parameters":{{"binary_data_size":{}}}}})", tensor.bytes());
      binary_bytes += tensor.bytes();
    } else {
      body += R"(,"data":[)";
      Dispatch(tensor.dtype(), [&]<class T>(T) { AppendNumbers<T>(tensor, &body); });
      body += "]}";
    }
  }
  body += "]}";
  if (binary_bytes > 0) {
    response.headers.emplace_back("Inference-Header-Content-Length", std::to_string(body.size()));
    response.content_type = "application/octet-stream";
    body.reserve(body.size() + binary_bytes);
    for (const RequestedOutput& wanted : request.outputs) {
      if (!wanted.binary) continue;
      const Tensor& tensor = outputs.at(wanted.name);
      body.append(static_cast<const char*>(tensor.data()), tensor.bytes());
    }
  }
  return response;
}

std::string ServerMetadataJson() {
  return Json{{"name", "strop"},
              {"version", STROP_VERSION},
              {"extensions",
               {"binary_tensor_data", "model_repository", "statistics", "strop_labels", "strop_candidates"}}}
      .dump();
}

std::string ModelMetadataJson(const Signature& signature) {
  return Json{{"name", signature.name},
              {"versions", {std::to_string(signature.version)}},
              {"platform", "onnx"},
              {"inputs", Describe(signature.inputs)},
              {"outputs", Describe(signature.outputs)}}
      .dump();
}

}  // namespace strop::serve
