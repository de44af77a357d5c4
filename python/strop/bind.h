#pragma once

// What every extension shares: strop::Error as Python exceptions, and tensors across the border without a
// copy.

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include "strop/base/error.h"
#include "strop/base/tensor.h"

namespace strop::bind {

namespace nb = nanobind;

// Call first in every NB_MODULE: a strop::Error that leaves a bound function is raised as the class of its
// code (strop.NotFound, which is a FileNotFoundError, …; they are defined in strop/__init__.py).
inline void RegisterErrors(nb::module_&) {
  nb::register_exception_translator([](const std::exception_ptr& pointer, void*) {
    try {
      std::rethrow_exception(pointer);
    } catch (const Error& error) {
      const std::string code(CodeName(error.code()));
      const nb::object errors = nb::module_::import_("strop").attr("_errors");
      // Names of files need not be UTF-8: as os.fsdecode gives them.
      const nb::object message = nb::steal(PyUnicode_DecodeUTF8(
          error.what(), static_cast<Py_ssize_t>(std::strlen(error.what())), "surrogateescape"));
      PyErr_SetObject(nb::object(errors[code.c_str()]).ptr(), message.ptr());
    }
  });
}

inline nb::dlpack::dtype ToDlpackType(DType dtype) {
  using Kind = nb::dlpack::dtype_code;
  Kind kind = Kind::Float;
  switch (dtype) {
    case DType::kF32:
    case DType::kF64:
    case DType::kF16:
      kind = Kind::Float;
      break;
    case DType::kU8:
    case DType::kU16:
    case DType::kU32:
    case DType::kU64:
      kind = Kind::UInt;
      break;
    case DType::kI8:
    case DType::kI16:
    case DType::kI32:
    case DType::kI64:
      kind = Kind::Int;
      break;
    case DType::kBool:
      kind = Kind::Bool;
      break;
  }
  nb::dlpack::dtype out{};
  out.code = static_cast<uint8_t>(kind);
  out.bits = static_cast<uint8_t>(SizeOf(dtype) * 8);
  out.lanes = 1;
  return out;
}

// Throws kUnsupported for what no Tensor holds (complex numbers, bfloat16, vectors).
inline DType FromDlpackType(const nb::dlpack::dtype& dtype) {
  for (int i = 0; i <= static_cast<int>(DType::kBool); ++i) {
    if (ToDlpackType(static_cast<DType>(i)) == dtype) return static_cast<DType>(i);
  }
  throw Error(
      Code::kUnsupported,
      fmt::format("an array of DLPack type code {}, {} bits: expected float16, 32 or 64, an integer or bool",
                  dtype.code, dtype.bits));
}

// The tensor's own memory as an array of a framework (nb::numpy; nb::array_api speaks DLPack and the buffer
// protocol and imports nothing). The array takes part in the ownership of the memory: it may outlive the
// tensor.
template <class Framework>
nb::object ToArray(const Tensor& tensor) {
  if (!tensor) throw Error(Code::kInternal, "an empty tensor has no array");
  auto* owned = new std::shared_ptr<void>(tensor.memory());
  const nb::capsule owner(
      owned, [](void* pointer) noexcept { delete static_cast<std::shared_ptr<void>*>(pointer); });
  const std::vector<size_t> sizes(tensor.shape().begin(), tensor.shape().end());
  const nb::ndarray<Framework> array(tensor.data(), sizes.size(), sizes.data(), owner, nullptr,
                                     ToDlpackType(tensor.dtype()), nb::device::cpu::value, 0);
  return nb::cast(array);
}

inline nb::object ToNumpy(const Tensor& tensor) { return ToArray<nb::numpy>(tensor); }

// For torch.from_dlpack, numpy.from_dlpack, memoryview.
inline nb::object ToDlpack(const Tensor& tensor) { return ToArray<nb::array_api>(tensor); }

// The memory of a NumPy, torch or other DLPack or buffer array on the CPU; copied only when it is not
// row-major and dense. `name` is what the error calls it. The tensor keeps the array alive and may be dropped
// on any thread. It must be treated as read-only: the array may be.
inline Tensor FromArray(nb::handle source, const std::string& name) {
  using Array = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
  Array array;
  if (!nb::try_cast(source, array, true)) {
    const std::string type = nb::type_name(source.type()).c_str();
    throw Error(
        Code::kInvalidArgument,
        fmt::format(
            "{}: a {} is not an array in CPU memory; expected a NumPy array, a torch tensor or another "
            "that speaks DLPack",
            name, type));
  }
  Shape shape;
  for (size_t i = 0; i < array.ndim(); ++i) shape.push_back(static_cast<int64_t>(array.shape(i)));
  const DType dtype = FromDlpackType(array.dtype());
  auto* data = const_cast<void*>(static_cast<const void*>(array.data()));
  if (data == nullptr) return Tensor::New(dtype, std::move(shape));  // an empty array may have no address
  const std::shared_ptr<void> memory(new Array(std::move(array)), [](void* pointer) {
    if (!Py_IsInitialized()) return;  // the interpreter is gone, and the array with it
    const nb::gil_scoped_acquire gil;
    delete static_cast<Array*>(pointer);
  });
  return Tensor::Wrap(dtype, std::move(shape), data, memory);
}

inline nb::dict ToNumpy(const TensorMap& tensors) {
  nb::dict out;
  for (const auto& [name, tensor] : tensors) out[name.c_str()] = ToNumpy(tensor);
  return out;
}

inline TensorMap FromArrays(const nb::dict& arrays) {
  TensorMap out;
  for (const auto& [key, value] : arrays) {
    const std::string name = nb::str(key).c_str();
    out[name] = FromArray(value, name);
  }
  return out;
}

}  // namespace strop::bind
