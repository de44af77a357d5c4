#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/serve/dispatch.h"
#include "strop/serve/protocol.h"

namespace strop::serve {
namespace {

using Json = nlohmann::json;

[[noreturn]] void Refuse(const std::string& message) { throw Error(Code::kInvalidArgument, message); }

std::string Names(const std::vector<model::ValueInfo>& values) {
  std::string out;
  for (const auto& value : values) out += (out.empty() ? "" : ", ") + value.name;
  return out;
}

const model::ValueInfo* Find(const std::vector<model::ValueInfo>& values, const std::string& name) {
  for (const auto& value : values) {
    if (value.name == name) return &value;
  }
  return nullptr;
}

// Structures are named, not written out: they may be deep enough to exhaust the stack.
std::string Brief(const Json& value) {
  const auto structured = [](const Json& element) { return element.is_structured(); };
  if (value.is_object()) return "an object";
  if (value.is_array() && (value.size() > 16 || std::any_of(value.begin(), value.end(), structured))) {
    return fmt::format("an array of {}", value.size());
  }
  return Quote(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string TextField(const Json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) Refuse(fmt::format("{} has no \"{}\"", where, key));
  if (!found->is_string())
    Refuse(fmt::format("{}: \"{}\" is {}, expected a string", where, key, Brief(*found)));
  return found->get<std::string>();
}

// "parameters" of an object; an empty object when absent.
const Json& Parameters(const Json& object, const std::string& where) {
  static const Json kNone = Json::object();
  const auto found = object.find("parameters");
  if (found == object.end() || found->is_null()) return kNone;
  if (!found->is_object())
    Refuse(fmt::format("{}: \"parameters\" is {}, expected an object", where, Brief(*found)));
  return *found;
}

bool Flag(const Json& parameters, const char* key, bool fallback, const std::string& where) {
  const auto found = parameters.find(key);
  if (found == parameters.end()) return fallback;
  if (!found->is_boolean()) {
    Refuse(fmt::format("{}: parameter \"{}\" is {}, expected true or false", where, key, Brief(*found)));
  }
  return found->get<bool>();
}

void RefuseSharedMemory(const Json& parameters, const std::string& where) {
  if (parameters.contains("shared_memory_region")) {
    throw Error(
        Code::kUnsupported,
        fmt::format("{} asks for shared memory, which this server lacks: send the data as JSON or binary",
                    where));
  }
}

Shape ParseShape(const Json& input, const model::ValueInfo& wanted, const std::string& where) {
  const auto found = input.find("shape");
  if (found == input.end() || !found->is_array()) {
    Refuse(fmt::format("{} has no \"shape\": expected {}", where, ShapeText(wanted.shape)));
  }
  Shape shape;
  double count = 1;
  for (const Json& size : *found) {
    if (!size.is_number_integer() ||
        (size.is_number_unsigned() ? size.get<uint64_t>() > INT32_MAX : size.get<int64_t>() < 0)) {
      Refuse(fmt::format("{}: shape {}, expected whole numbers from 0 to 2147483647", where, Brief(*found)));
    }
    shape.push_back(size.get<int64_t>());
    count *= static_cast<double>(shape.back());
  }
  bool good = shape.size() == wanted.shape.size();
  for (size_t i = 0; good && i < shape.size(); ++i) good = wanted.shape[i] < 0 || wanted.shape[i] == shape[i];
  if (!good)
    Refuse(fmt::format("{}: shape {}, expected {}", where, ShapeText(shape), ShapeText(wanted.shape)));
  if (count == 0)
    Refuse(fmt::format("{}: shape {} holds no element: send at least one row", where, ShapeText(shape)));
  if (count > 1e9) Refuse(fmt::format("{}: shape {} holds more than 1e9 elements", where, ShapeText(shape)));
  return shape;
}

template <class T>
T Number(const Json& value, const std::string& where, std::string_view wire) {
  const auto wrong = [&]() {
    Refuse(fmt::format("{}: the value {} does not fit {}", where, Brief(value), wire));
  };
  if constexpr (std::is_same_v<T, bool>) {
    if (!value.is_boolean()) wrong();
    return value.get<bool>();
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!value.is_number()) wrong();
    const double number = value.get<double>();
    if constexpr (std::is_same_v<T, float>) {
      // The shortest text of the largest float lies above it; up to half a step beyond rounds to it.
      if (std::abs(number) >= double{std::numeric_limits<float>::max()} + 0x1p103) wrong();
    }
    return static_cast<T>(number);
  } else {
    if (value.is_number_unsigned()) {
      const uint64_t number = value.get<uint64_t>();
      if (number > static_cast<uint64_t>(std::numeric_limits<T>::max())) wrong();
      return static_cast<T>(number);
    }
    if (!value.is_number_integer()) wrong();
    const int64_t number = value.get<int64_t>();
    if (std::is_unsigned_v<T> || number < static_cast<int64_t>(std::numeric_limits<T>::min())) wrong();
    return static_cast<T>(number);
  }
}

template <class T>
class DataReader {
 public:
  DataReader(const Tensor& tensor, std::string_view wire, const std::string& where)
      : shape_(tensor.shape()), out_(tensor.As<T>()), wire_(wire), where_(where) {}

  void Read(const Json& data) {
    if (!data.is_array()) Refuse(fmt::format("{}: \"data\" is {}, expected an array", where_, Brief(data)));
    const bool nested = shape_.size() > 1 && !data.empty() && data.front().is_array();
    if (nested) {
      ReadLevel(data, 0);
    } else {
      if (data.size() != out_.size()) Miscounted(data.size(), out_.size());
      for (const Json& value : data) Take(value);
    }
  }

 private:
  void ReadLevel(const Json& data, size_t level) {
    if (!data.is_array()) Refuse(fmt::format("{}: \"data\" is nested unevenly at {}", where_, Brief(data)));
    if (data.size() != static_cast<size_t>(shape_[level]))
      Miscounted(data.size(), static_cast<size_t>(shape_[level]));
    for (const Json& value : data) {
      if (level + 1 == shape_.size()) {
        Take(value);
      } else {
        ReadLevel(value, level + 1);
      }
    }
  }
  void Take(const Json& value) { out_[next_++] = Number<T>(value, where_, wire_); }
  [[noreturn]] void Miscounted(size_t found, size_t wanted) const {
    Refuse(fmt::format("{}: \"data\" holds {} elements where the shape {} wants {}", where_, found,
                       ShapeText(shape_), wanted));
  }

  const Shape& shape_;
  std::span<T> out_;
  std::string_view wire_;
  const std::string& where_;
  size_t next_ = 0;
};

void ReadJsonData(const Json& data, const Tensor& tensor, const std::string& where) {
  if (tensor.dtype() == DType::kF16) {
    throw Error(Code::kUnsupported, fmt::format("{}: FP16 has no JSON form: send it as binary data", where));
  }
  Dispatch(tensor.dtype(),
           [&]<class T>(T) { DataReader<T>(tensor, WireName(tensor.dtype()), where).Read(data); });
}

void ReadBinaryData(const Json& size, std::string_view* binary, const Tensor& tensor,
                    const std::string& where) {
  if (!size.is_number_unsigned()) {
    Refuse(fmt::format("{}: \"binary_data_size\" is {}, expected a number of bytes", where, Brief(size)));
  }
  const uint64_t bytes = size.get<uint64_t>();
  if (bytes != tensor.bytes()) {
    Refuse(fmt::format("{}: \"binary_data_size\" is {}, but {} of shape {} takes {} bytes", where, bytes,
                       WireName(tensor.dtype()), ShapeText(tensor.shape()), tensor.bytes()));
  }
  if (bytes > binary->size()) {
    Refuse(fmt::format("{}: {} bytes of binary data announced, {} left in the body", where, bytes,
                       binary->size()));
  }
  if (tensor.dtype() == DType::kBool) {
    uint8_t* out = static_cast<uint8_t*>(tensor.data());
    for (uint64_t i = 0; i < bytes; ++i) out[i] = (*binary)[i] != 0;
  } else {
    std::memcpy(tensor.data(), binary->data(), bytes);
  }
  binary->remove_prefix(bytes);
}

void ReadInput(const Json& input, const Signature& signature, std::string_view* binary,
               InferRequest* request) {
  if (!input.is_object())
    Refuse(fmt::format("an entry of \"inputs\" is {}, expected an object", Brief(input)));
  const std::string name = TextField(input, "name", "an entry of \"inputs\"");
  const model::ValueInfo* wanted = Find(signature.inputs, name);
  if (wanted == nullptr) {
    Refuse(fmt::format("model \"{}\" has no input {}: it takes {}", signature.name, Quote(name),
                       Names(signature.inputs)));
  }
  const std::string where = fmt::format("input \"{}\"", name);
  if (request->inputs.contains(name)) Refuse(where + " is given twice");
  const std::string wire = TextField(input, "datatype", where);
  if (ParseWireName(wire) != wanted->dtype) {
    Refuse(fmt::format("{}: datatype {}, expected {}", where, wire, WireName(wanted->dtype)));
  }
  const Shape shape = ParseShape(input, *wanted, where);
  const Json& parameters = Parameters(input, where);
  RefuseSharedMemory(parameters, where);
  const auto data = input.find("data");
  const auto size = parameters.find("binary_data_size");
  const auto count = static_cast<size_t>(ElementCount(shape));
  // Before memory is taken for what the client only announced.
  if (size == parameters.end() && (data == input.end() || !data->is_array())) {
    Refuse(where + " has neither \"data\" as an array nor the parameter \"binary_data_size\"");
  }
  if (size != parameters.end() && count * SizeOf(wanted->dtype) > binary->size()) {
    Refuse(fmt::format("{}: shape {} takes {} bytes of binary data, {} left in the body", where,
                       ShapeText(shape), count * SizeOf(wanted->dtype), binary->size()));
  }
  if (size == parameters.end() && !data->empty() && !data->front().is_array() && data->size() != count) {
    Refuse(fmt::format("{}: \"data\" holds {} elements where the shape {} wants {}", where, data->size(),
                       ShapeText(shape), count));
  }
  Tensor tensor = Tensor::New(wanted->dtype, shape);
  if (size != parameters.end()) {
    ReadBinaryData(*size, binary, tensor, where);
  } else {
    ReadJsonData(*data, tensor, where);
  }
  request->inputs.emplace(name, std::move(tensor));
}

void ReadOutput(const Json& output, const Signature& signature, bool binary_default, InferRequest* request) {
  if (!output.is_object())
    Refuse(fmt::format("an entry of \"outputs\" is {}, expected an object", Brief(output)));
  const std::string name = TextField(output, "name", "an entry of \"outputs\"");
  if (Find(signature.outputs, name) == nullptr) {
    Refuse(fmt::format("model \"{}\" has no output {}: it gives {}", signature.name, Quote(name),
                       Names(signature.outputs)));
  }
  const std::string where = fmt::format("output \"{}\"", name);
  for (const RequestedOutput& seen : request->outputs) {
    if (seen.name == name) Refuse(where + " is asked for twice");
  }
  const Json& parameters = Parameters(output, where);
  RefuseSharedMemory(parameters, where);
  if (parameters.contains("classification")) {
    throw Error(Code::kUnsupported,
                where +
                    ": the classification extension is not served: take the highest scores "
                    "of the output yourself");
  }
  request->outputs.push_back({name, Flag(parameters, "binary_data", binary_default, where)});
}

}  // namespace

std::optional<size_t> ParseHeaderLength(std::string_view text, size_t body_bytes) {
  if (text.empty()) return std::nullopt;
  size_t length = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), length);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    Refuse(fmt::format("Inference-Header-Content-Length is {}, expected a number of bytes", Quote(text)));
  }
  if (length > body_bytes) {
    Refuse(
        fmt::format("Inference-Header-Content-Length is {}, but the body has {} bytes", length, body_bytes));
  }
  return length;
}

InferRequest ParseInferRequest(std::string_view body, std::optional<size_t> header_length,
                               const Signature& signature) {
  const std::string_view text = body.substr(0, header_length.value_or(body.size()));
  std::string_view binary = body.substr(text.size());
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception& failure) {
    // nlohmann writes "[json.exception.parse_error.101] parse error at line 1, column 2: …".
    const std::string_view what = failure.what();
    const size_t bracket = what.find("] ");
    Refuse(fmt::format(
        "the body is not JSON: {}{}",
        Quote(bracket == std::string_view::npos ? what : what.substr(bracket + 2)),
        header_length ? "" : " (binary tensor data needs the header Inference-Header-Content-Length)"));
  }
  if (!json.is_object())
    Refuse(fmt::format("the body is {}, expected an object with \"inputs\"", Brief(json)));

  InferRequest request;
  if (const auto id = json.find("id"); id != json.end() && !id->is_null()) {
    if (!id->is_string()) Refuse(fmt::format("\"id\" is {}, expected a string", Brief(*id)));
    request.id = id->get<std::string>();
    if (request.id.size() > 256)
      Refuse(fmt::format("\"id\" has {} bytes, expected at most 256", request.id.size()));
  }
  const bool binary_default =
      Flag(Parameters(json, "the request"), "binary_data_output", false, "the request");

  const auto inputs = json.find("inputs");
  if (inputs == json.end() || !inputs->is_array()) {
    Refuse(fmt::format("the request has no \"inputs\" array: model \"{}\" takes {}", signature.name,
                       Names(signature.inputs)));
  }
  for (const Json& input : *inputs) ReadInput(input, signature, &binary, &request);
  for (const auto& wanted : signature.inputs) {
    if (!request.inputs.contains(wanted.name)) {
      Refuse(fmt::format("input \"{}\" is missing: model \"{}\" takes {}", wanted.name, signature.name,
                         Names(signature.inputs)));
    }
  }
  if (!binary.empty()) Refuse(fmt::format("{} bytes of binary data belong to no input", binary.size()));

  const auto outputs = json.find("outputs");
  if (outputs != json.end() && !outputs->is_null()) {
    if (!outputs->is_array()) Refuse(fmt::format("\"outputs\" is {}, expected an array", Brief(*outputs)));
    for (const Json& output : *outputs) ReadOutput(output, signature, binary_default, &request);
  }
  if (request.outputs.empty()) {
    for (const auto& output : signature.outputs) request.outputs.push_back({output.name, binary_default});
  }
  for (const RequestedOutput& output : request.outputs) {
    if (!output.binary && Find(signature.outputs, output.name)->dtype == DType::kF16) {
      throw Error(Code::kUnsupported,
                  fmt::format("output \"{}\" is FP16, which has no JSON form: ask for it with the parameter "
                              "\"binary_data\": true",
                              output.name));
    }
  }
  return request;
}

}  // namespace strop::serve
