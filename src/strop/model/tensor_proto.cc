#include "strop/model/tensor_proto.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <fstream>
#include <limits>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/model/onnx_types.h"

namespace strop::model {
namespace {

using strop_onnx::TensorProto;

static_assert(std::endian::native == std::endian::little, "ONNX raw_data is little endian");

constexpr int64_t kMaxElements = int64_t{1} << 40;

Shape ReadShape(const TensorProto& proto, const Source& source, const std::string& what) {
  Shape shape(proto.dims().begin(), proto.dims().end());
  int64_t count = 1;
  for (const int64_t dim : shape) {
    if (dim < 0 || (dim > 0 && count > kMaxElements / dim)) {
      throw Error(Code::kCorrupt, fmt::format("{} is not a valid ONNX model: {} has the shape {}",
                                              source.where, what, ShapeText(shape)));
    }
    count *= dim;
  }
  return shape;
}

[[noreturn]] void ThrowSize(const Source& source, const std::string& what, const Shape& shape, size_t found,
                            size_t wanted, const char* unit) {
  throw Error(Code::kCorrupt,
              fmt::format("{} is not a valid ONNX model: {} of shape {} holds {} {}, expected {}",
                          source.where, what, ShapeText(shape), found, unit, wanted));
}

uint64_t ReadNumber(const std::string& text, const Source& source, const std::string& what) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Error(Code::kCorrupt,
                fmt::format("{} is not a valid ONNX model: the external data of {} has the offset or "
                            "length \"{}\", expected a whole number",
                            source.where, what, text));
  }
  return value;
}

// Whether the file lies below the folder once every symlink is followed.
bool Below(const std::filesystem::path& folder, const std::filesystem::path& file) {
  std::error_code ignored;
  const auto real_folder = std::filesystem::weakly_canonical(folder, ignored);
  const auto real_file = std::filesystem::weakly_canonical(file, ignored);
  return std::mismatch(real_folder.begin(), real_folder.end(), real_file.begin(), real_file.end()).first ==
         real_folder.end();
}

// The specification keeps external files below the model's own folder (docs/ExternalData.md). A model that is
// itself a symlink, as in the caches of model hubs, may also have them below the folder that it leads to.
std::string ReadExternal(const TensorProto& proto, const Source& source, const std::string& what,
                         size_t bytes) {
  if (!source.folder) {
    throw Error(Code::kUnsupported,
                fmt::format("{}: {} lies in external data, which a model in memory does not have; "
                            "load it from its file",
                            source.where, what));
  }
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = ReadNumber(entry.value(), source, what);
    if (entry.key() == "length") length = ReadNumber(entry.value(), source, what);
  }
  const std::filesystem::path relative = std::filesystem::path(location).lexically_normal();
  if (location.empty() || relative.is_absolute() || *relative.begin() == "..") {
    throw Error(Code::kCorrupt,
                fmt::format("{} is not a valid ONNX model: the external data of {} lies in \"{}\", "
                            "expected a file in the model's folder",
                            source.where, what, location));
  }
  if (length && *length != bytes) {
    throw Error(Code::kCorrupt,
                fmt::format("{} is not a valid ONNX model: the external data of {} has {} bytes, "
                            "expected {}",
                            source.where, what, *length, bytes));
  }
  const std::filesystem::path path = *source.folder / relative;
  if (!Below(*source.folder, path) &&
      !Below(std::filesystem::weakly_canonical(source.where).parent_path(), path)) {
    throw Error(Code::kCorrupt,
                fmt::format("{} is not a valid ONNX model: the external data {} of {} is a link that leaves "
                            "the model's folder",
                            source.where, path.string(), what));
  }
  std::error_code status;
  const uint64_t size = std::filesystem::file_size(path, status);
  if (status) {
    throw Error(Code::kNotFound,
                fmt::format("{}: the external data {} of {} is missing; it must lie beside the model",
                            source.where, path.string(), what));
  }
  if (offset > size || bytes > size - offset) {
    throw Error(Code::kCorrupt,
                fmt::format("{}: the external data {} of {} is cut short: {} bytes, expected {} from "
                            "offset {}",
                            source.where, path.string(), what, size, bytes, offset));
  }
  std::string data(bytes, '\0');
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  if (!file.read(data.data(), static_cast<std::streamsize>(bytes))) {
    throw Error(Code::kIo,
                fmt::format("cannot read the external data {} of {}", path.string(), source.where));
  }
  return data;
}

template <class To, class Field>
Tensor FromField(DType dtype, Shape shape, const Field& field, const Source& source,
                 const std::string& what) {
  const auto count = static_cast<size_t>(ElementCount(shape));
  if (static_cast<size_t>(field.size()) != count) {
    ThrowSize(source, what, shape, static_cast<size_t>(field.size()), count, "elements");
  }
  Tensor tensor = Tensor::New(dtype, std::move(shape));
  auto* out = static_cast<To*>(tensor.data());
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<To>(field[static_cast<int>(i)]);
  return tensor;
}

Tensor FromTypedField(const TensorProto& proto, DType dtype, Shape shape, const Source& source,
                      const std::string& what) {
  const auto from = [&]<class To>(To, const auto& field) {
    return FromField<To>(dtype, std::move(shape), field, source, what);
  };
  switch (dtype) {
    case DType::kF32:
      return from(float{}, proto.float_data());
    case DType::kF64:
      return from(double{}, proto.double_data());
    case DType::kF16:
      return from(uint16_t{}, proto.int32_data());
    case DType::kU8:
      return from(uint8_t{}, proto.int32_data());
    case DType::kI8:
      return from(int8_t{}, proto.int32_data());
    case DType::kU16:
      return from(uint16_t{}, proto.int32_data());
    case DType::kI16:
      return from(int16_t{}, proto.int32_data());
    case DType::kU32:
      return from(uint32_t{}, proto.uint64_data());
    case DType::kI32:
      return from(int32_t{}, proto.int32_data());
    case DType::kU64:
      return from(uint64_t{}, proto.uint64_data());
    case DType::kI64:
      return from(int64_t{}, proto.int64_data());
    case DType::kBool:
      return from(bool{}, proto.int32_data());
  }
  throw Error(Code::kInternal, "a dtype without a field");
}

// Two elements a byte, the first in the low half (onnx.proto, TensorProto.raw_data).
Tensor Unpack4(const std::string& bytes, bool is_signed, Shape shape) {
  Tensor tensor = Tensor::New(is_signed ? DType::kI8 : DType::kU8, std::move(shape));
  auto* out = static_cast<uint8_t*>(tensor.data());
  const int64_t count = tensor.size();
  for (int64_t i = 0; i < count; ++i) {
    const auto byte = static_cast<uint8_t>(bytes[static_cast<size_t>(i / 2)]);
    const auto half = static_cast<uint8_t>(i % 2 == 0 ? byte & 15 : byte >> 4);
    out[i] = is_signed && half > 7 ? static_cast<uint8_t>(half | 0xf0) : half;
  }
  return tensor;
}

std::string Pack4(const Tensor& tensor) {
  const int64_t count = tensor.size();
  const auto* in = static_cast<const uint8_t*>(tensor.data());
  std::string bytes(static_cast<size_t>((count + 1) / 2), '\0');
  for (int64_t i = 0; i < count; ++i) {
    char& byte = bytes[static_cast<size_t>(i / 2)];
    byte = static_cast<char>(static_cast<uint8_t>(byte) | (i % 2 == 0 ? in[i] & 15 : (in[i] & 15) << 4));
  }
  return bytes;
}

}  // namespace

ReadResult ReadTensor(const TensorProto& proto, const Source& source, const std::string& what) {
  const int32_t type = proto.data_type();
  const bool packed4 = type == TensorProto::INT4 || type == TensorProto::UINT4;
  const std::optional<DType> dtype = packed4 ? DType::kI8 : FromOnnxType(type);
  if (!dtype) {
    throw Error(
        Code::kUnsupported,
        fmt::format("{}: {} has the type {}; Strop holds float32, float64, float16, bool and the integers of "
                    "4 to 64 bits",
                    source.where, what, OnnxTypeName(type)));
  }
  if (proto.has_segment()) {
    throw Error(Code::kUnsupported, fmt::format("{}: {} is stored in segments", source.where, what));
  }
  Shape shape = ReadShape(proto, source, what);
  const auto count = static_cast<size_t>(ElementCount(shape));
  const size_t bytes = packed4 ? (count + 1) / 2 : count * SizeOf(*dtype);

  const bool external = proto.data_location() == TensorProto::EXTERNAL;
  const std::string outside = external ? ReadExternal(proto, source, what, bytes) : std::string();
  const bool raw = external || proto.has_raw_data();
  const std::string& data = external ? outside : proto.raw_data();
  if (raw && data.size() != bytes) ThrowSize(source, what, shape, data.size(), bytes, "bytes");

  if (packed4) {
    std::string halves = data;
    if (!raw) {
      if (static_cast<size_t>(proto.int32_data_size()) != bytes) {
        ThrowSize(source, what, shape, static_cast<size_t>(proto.int32_data_size()), bytes, "pairs");
      }
      halves.assign(proto.int32_data().begin(), proto.int32_data().end());
    }
    return {Unpack4(halves, type == TensorProto::INT4, std::move(shape)), true};
  }
  if (!raw) return {FromTypedField(proto, *dtype, std::move(shape), source, what), false};
  Tensor tensor = Tensor::New(*dtype, std::move(shape));
  if (bytes > 0) std::memcpy(tensor.data(), data.data(), bytes);
  return {std::move(tensor), false};
}

void WriteTensor(const Tensor& tensor, bool packed4, TensorProto& proto) {
  for (const int64_t dim : tensor.shape()) proto.add_dims(dim);
  if (packed4) {
    if (tensor.dtype() != DType::kI8 && tensor.dtype() != DType::kU8) {
      throw Error(Code::kInvalidArgument, fmt::format("a 4-bit initializer is held as int8 or uint8, not {}",
                                                      DTypeName(tensor.dtype())));
    }
    proto.set_data_type(tensor.dtype() == DType::kI8 ? TensorProto::INT4 : TensorProto::UINT4);
    proto.set_raw_data(Pack4(tensor));
    return;
  }
  proto.set_data_type(static_cast<int32_t>(OnnxType(tensor.dtype())));
  proto.set_raw_data(tensor.data(), tensor.bytes());
}

}  // namespace strop::model
