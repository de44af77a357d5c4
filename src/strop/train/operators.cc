#include "strop/train/operators.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>

#include <ATen/ops/add.h>
#include <ATen/ops/avg_pool1d.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/div.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/max_pool1d.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::train {
namespace {

[[noreturn]] void Unsupported(const OperatorCall& call, const std::string& what) {
  throw Error(Code::kUnsupported, fmt::format("strop train cannot do {} with {} (node '{}')", call.node.op,
                                              what, call.node.name));
}

// Types of TensorProto.DataType (onnx.proto) that Cast may name.
DType FromOnnxType(const OperatorCall& call, int64_t type) {
  static const std::map<int64_t, DType> kTypes = {{1, DType::kF32},  {2, DType::kU8},   {3, DType::kI8},
                                                  {4, DType::kU16},  {5, DType::kI16},  {6, DType::kI32},
                                                  {7, DType::kI64},  {9, DType::kBool}, {10, DType::kF16},
                                                  {11, DType::kF64}, {12, DType::kU32}, {13, DType::kU64}};
  const auto found = kTypes.find(type);
  if (found == kTypes.end()) Unsupported(call, fmt::format("element type {}", type));
  return found->second;
}

std::vector<int64_t> ReadInts(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kLong).contiguous();
  return {flat.const_data_ptr<int64_t>(), flat.const_data_ptr<int64_t>() + flat.numel()};
}

// Where a sliding window goes. Spatial sizes in the order of the dimensions.
struct Window {
  std::vector<int64_t> kernel, strides, dilations, begin, end;
  bool symmetric() const { return begin == end; }
};

// Pads and auto_pad as the Conv and pooling specifications write them (onnx/docs/Operators.md).
Window ReadWindow(const OperatorCall& call, const at::Tensor& input, std::vector<int64_t> kernel) {
  const model::Node& node = call.node;
  const size_t rank = kernel.size();
  if (rank == 0 || rank != static_cast<size_t>(input.dim()) - 2) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} '{}': a kernel of {} dimensions does not fit an input of {}", node.op,
                            node.name, rank, input.dim()));
  }
  Window window;
  window.strides = node.Ints("strides", std::vector<int64_t>(rank, 1));
  window.dilations = node.Ints("dilations", std::vector<int64_t>(rank, 1));
  const std::vector<int64_t> pads = node.Ints("pads", std::vector<int64_t>(2 * rank, 0));
  window.begin.assign(pads.begin(), pads.begin() + static_cast<int64_t>(rank));
  window.end.assign(pads.begin() + static_cast<int64_t>(rank), pads.end());
  const std::string automatic = node.Text("auto_pad", "NOTSET");
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    for (size_t axis = 0; axis < rank; ++axis) {
      const int64_t size = input.size(static_cast<int64_t>(axis) + 2);
      const int64_t outputs = (size + window.strides[axis] - 1) / window.strides[axis];
      const int64_t extent = (kernel[axis] - 1) * window.dilations[axis] + 1;
      const int64_t total = std::max<int64_t>(0, (outputs - 1) * window.strides[axis] + extent - size);
      const int64_t smaller = total / 2;
      window.begin[axis] = automatic == "SAME_UPPER" ? smaller : total - smaller;
      window.end[axis] = total - window.begin[axis];
    }
  } else if (automatic == "VALID") {
    window.begin.assign(rank, 0);
    window.end.assign(rank, 0);
  }
  window.kernel = std::move(kernel);
  return window;
}

// Pads the spatial dimensions itself; torch's operators only know symmetric padding.
at::Tensor Padded(const at::Tensor& input, Window& window, double value) {
  std::vector<int64_t> pads;  // torch lists them from the last dimension
  for (size_t axis = window.kernel.size(); axis-- > 0;) {
    pads.push_back(window.begin[axis]);
    pads.push_back(window.end[axis]);
  }
  window.begin.assign(window.kernel.size(), 0);
  window.end = window.begin;
  return at::constant_pad_nd(input, pads, value);
}

at::Tensor Conv(const OperatorCall& call) {
  at::Tensor input = call.Input(0);
  const at::Tensor& weight = call.Input(1);
  Window window = ReadWindow(call, input, weight.sizes().slice(2).vec());
  if (!window.symmetric()) input = Padded(input, window, 0);
  return at::convolution(input, weight, call.Has(2) ? call.Input(2) : at::Tensor(), window.strides,
                         window.begin, window.dilations, false, std::vector<int64_t>(window.kernel.size(), 0),
                         call.node.Int("group", 1));
}

at::Tensor MaxPool(const OperatorCall& call) {
  at::Tensor input = call.Input(0);
  if (call.node.outputs.size() > 1 && !call.node.outputs[1].empty()) Unsupported(call, "the output Indices");
  Window window = ReadWindow(call, input, call.node.Ints("kernel_shape"));
  if (!window.symmetric()) input = Padded(input, window, -std::numeric_limits<double>::infinity());
  const bool ceil = call.node.Int("ceil_mode", 0) != 0;
  if (window.kernel.size() == 1) {
    return at::max_pool1d(input, window.kernel, window.strides, window.begin, window.dilations, ceil);
  }
  if (window.kernel.size() != 2)
    Unsupported(call, fmt::format("{} spatial dimensions", window.kernel.size()));
  return at::max_pool2d(input, window.kernel, window.strides, window.begin, window.dilations, ceil);
}

at::Tensor AveragePool(const OperatorCall& call) {
  at::Tensor input = call.Input(0);
  Window window = ReadWindow(call, input, call.node.Ints("kernel_shape"));
  const bool count_pads = call.node.Int("count_include_pad", 0) != 0;
  if (std::ranges::any_of(window.dilations, [](int64_t d) { return d != 1; })) Unsupported(call, "dilations");
  const bool ceil = call.node.Int("ceil_mode", 0) != 0;
  if (!window.symmetric()) {
    if (!count_pads) Unsupported(call, "pads that differ at both ends and are not counted");
    input = Padded(input, window, 0);
  }
  if (window.kernel.size() == 1) {
    return at::avg_pool1d(input, window.kernel, window.strides, window.begin, ceil, count_pads);
  }
  if (window.kernel.size() != 2)
    Unsupported(call, fmt::format("{} spatial dimensions", window.kernel.size()));
  return at::avg_pool2d(input, window.kernel, window.strides, window.begin, ceil, count_pads);
}

at::Tensor GlobalAveragePool(const OperatorCall& call) {
  std::vector<int64_t> axes;
  for (int64_t axis = 2; axis < call.Input(0).dim(); ++axis) axes.push_back(axis);
  return call.Input(0).mean(axes, true);
}

at::Tensor Flattened(const at::Tensor& input, int64_t axis) {
  if (axis < 0) axis += input.dim();
  int64_t rows = 1;
  for (int64_t i = 0; i < axis; ++i) rows *= input.size(i);
  return input.reshape({rows, rows == 0 ? 0 : input.numel() / rows});
}

at::Tensor Flatten(const OperatorCall& call) { return Flattened(call.Input(0), call.node.Int("axis", 1)); }

at::Tensor Reshape(const OperatorCall& call) {
  std::vector<int64_t> sizes = ReadInts(call.Input(1));
  if (call.node.Int("allowzero", 0) == 0) {
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i] == 0) sizes[i] = call.Input(0).size(static_cast<int64_t>(i));
    }
  }
  return call.Input(0).reshape(sizes);
}

at::Tensor Gemm(const OperatorCall& call) {
  const float alpha = call.node.Float("alpha", 1), beta = call.node.Float("beta", 1);
  const at::Tensor a = call.node.Int("transA", 0) ? call.Input(0).t() : call.Input(0);
  const at::Tensor b = call.node.Int("transB", 0) ? call.Input(1).t() : call.Input(1);
  at::Tensor product = at::matmul(a, b);
  if (alpha != 1) product = at::mul(product, alpha);
  return call.Has(2) ? at::add(product, call.Input(2), beta) : product;
}

at::Tensor BatchNormalization(const OperatorCall& call) {
  const double keep = call.node.Float("momentum", 0.9F);
  // ONNX: running = running * momentum + batch * (1 - momentum); torch's momentum is the other share.
  return at::batch_norm(call.Input(0), call.Input(1), call.Input(2), call.Input(3), call.Input(4),
                        call.training, 1 - keep, call.node.Float("epsilon", 1e-5F), false);
}

at::Tensor Dropout(const OperatorCall& call) {
  double ratio = call.node.Float("ratio", 0.5F);
  if (call.Has(1)) ratio = call.Input(1).item<double>();
  return at::dropout(call.Input(0), ratio, call.training);
}

template <class Apply>
at::Tensor AlongAxis(const OperatorCall& call, Apply apply) {
  const at::Tensor& input = call.Input(0);
  if (call.opset >= 13) return apply(input, call.node.Int("axis", -1));
  // Before opset 13 the input counts as a matrix split at the axis.
  return apply(Flattened(input, call.node.Int("axis", 1)), 1).reshape(input.sizes());
}

at::Tensor Softmax(const OperatorCall& call) {
  return AlongAxis(call, [](const at::Tensor& x, int64_t axis) { return at::softmax(x, axis); });
}
at::Tensor LogSoftmax(const OperatorCall& call) {
  return AlongAxis(call, [](const at::Tensor& x, int64_t axis) { return at::log_softmax(x, axis); });
}

at::Tensor Clip(const OperatorCall& call) {
  std::optional<at::Scalar> low, high;
  if (call.opset >= 11) {
    if (call.Has(1)) low = call.Input(1).item();
    if (call.Has(2)) high = call.Input(2).item();
  } else {
    if (call.node.attributes.contains("min")) low = call.node.Float("min", 0);
    if (call.node.attributes.contains("max")) high = call.node.Float("max", 0);
  }
  return low || high ? at::clamp(call.Input(0), low, high) : call.Input(0);
}

at::Tensor Transpose(const OperatorCall& call) {
  std::vector<int64_t> order = call.node.Ints("perm");
  if (order.empty()) {
    for (int64_t axis = call.Input(0).dim(); axis-- > 0;) order.push_back(axis);
  }
  return call.Input(0).permute(order);
}

at::Tensor Cast(const OperatorCall& call) {
  return call.Input(0).to(ToTorch(FromOnnxType(call, call.node.Int("to", 1))));
}

at::Tensor Constant(const OperatorCall& call) {
  for (const auto& [name, value] : call.node.attributes) {
    if (const auto* tensor = std::get_if<Tensor>(&value)) return ToTorch(*tensor);
    if (const auto* number = std::get_if<float>(&value)) return at::tensor(*number);
    if (const auto* number = std::get_if<int64_t>(&value)) return at::tensor(*number);
    if (const auto* numbers = std::get_if<std::vector<float>>(&value)) return at::tensor(*numbers);
    if (const auto* numbers = std::get_if<std::vector<int64_t>>(&value)) return at::tensor(*numbers);
  }
  Unsupported(call, "a value that is not a number");
}

// From opset 13 the axes of Squeeze and Unsqueeze are an input.
std::vector<int64_t> Axes(const OperatorCall& call) {
  return call.Has(1) ? ReadInts(call.Input(1)) : call.node.Ints("axes");
}

at::Tensor Unsqueeze(const OperatorCall& call) {
  std::vector<int64_t> axes = Axes(call);
  const int64_t rank = call.Input(0).dim() + static_cast<int64_t>(axes.size());
  for (int64_t& axis : axes) axis += axis < 0 ? rank : 0;
  std::ranges::sort(axes);
  at::Tensor result = call.Input(0);
  for (const int64_t axis : axes) result = result.unsqueeze(axis);
  return result;
}

at::Tensor Squeeze(const OperatorCall& call) {
  const std::vector<int64_t> axes = Axes(call);
  return axes.empty() ? call.Input(0).squeeze() : call.Input(0).squeeze(axes);
}

at::Tensor ShapeOf(const OperatorCall& call) {
  const std::vector<int64_t> sizes = call.Input(0).sizes().vec();
  if (call.node.attributes.contains("start") || call.node.attributes.contains("end"))
    Unsupported(call, "start and end");
  return at::tensor(sizes);
}

at::Tensor Gather(const OperatorCall& call) {
  const at::Tensor& data = call.Input(0);
  int64_t axis = call.node.Int("axis", 0);
  if (axis < 0) axis += data.dim();
  at::Tensor indices = call.Input(1).to(at::kLong);
  indices = at::add(indices, indices.lt(0).to(at::kLong), data.size(axis));
  std::vector<int64_t> shape = data.sizes().slice(0, static_cast<size_t>(axis)).vec();
  shape.insert(shape.end(), indices.sizes().begin(), indices.sizes().end());
  for (int64_t i = axis + 1; i < data.dim(); ++i) shape.push_back(data.size(i));
  return at::index_select(data, axis, indices.reshape({-1})).reshape(shape);
}

at::Tensor Concat(const OperatorCall& call) { return at::cat(call.inputs, call.node.Int("axis", 0)); }

at::Tensor Add(const OperatorCall& call) { return at::add(call.Input(0), call.Input(1)); }
at::Tensor Sub(const OperatorCall& call) { return at::sub(call.Input(0), call.Input(1)); }
at::Tensor Mul(const OperatorCall& call) { return at::mul(call.Input(0), call.Input(1)); }
at::Tensor Div(const OperatorCall& call) {
  const at::Tensor &a = call.Input(0), &b = call.Input(1);
  return a.is_floating_point() ? at::div(a, b) : at::div(a, b, "trunc");
}
at::Tensor MatMul(const OperatorCall& call) { return at::matmul(call.Input(0), call.Input(1)); }
at::Tensor Relu(const OperatorCall& call) { return at::relu(call.Input(0)); }
at::Tensor Sigmoid(const OperatorCall& call) { return at::sigmoid(call.Input(0)); }
at::Tensor Tanh(const OperatorCall& call) { return at::tanh(call.Input(0)); }
at::Tensor Identity(const OperatorCall& call) { return call.Input(0); }

const std::map<std::string, Operator, std::less<>>& Operators() {
  static const std::map<std::string, Operator, std::less<>> kOperators = {
      {"Add", Add},
      {"AveragePool", AveragePool},
      {"BatchNormalization", BatchNormalization},
      {"Cast", Cast},
      {"Clip", Clip},
      {"Concat", Concat},
      {"Constant", Constant},
      {"Conv", Conv},
      {"Div", Div},
      {"Dropout", Dropout},
      {"Flatten", Flatten},
      {"Gather", Gather},
      {"Gemm", Gemm},
      {"GlobalAveragePool", GlobalAveragePool},
      {"Identity", Identity},
      {"LogSoftmax", LogSoftmax},
      {"MatMul", MatMul},
      {"MaxPool", MaxPool},
      {"Mul", Mul},
      {"Relu", Relu},
      {"Reshape", Reshape},
      {"Shape", ShapeOf},
      {"Sigmoid", Sigmoid},
      {"Softmax", Softmax},
      {"Squeeze", Squeeze},
      {"Sub", Sub},
      {"Tanh", Tanh},
      {"Transpose", Transpose},
      {"Unsqueeze", Unsqueeze},
  };
  return kOperators;
}

const std::vector<std::pair<DType, at::ScalarType>>& Types() {
  static const std::vector<std::pair<DType, at::ScalarType>> kTypes = {
      {DType::kF32, at::kFloat},  {DType::kF64, at::kDouble}, {DType::kF16, at::kHalf},
      {DType::kU8, at::kByte},    {DType::kI8, at::kChar},    {DType::kU16, at::kUInt16},
      {DType::kI16, at::kShort},  {DType::kU32, at::kUInt32}, {DType::kI32, at::kInt},
      {DType::kU64, at::kUInt64}, {DType::kI64, at::kLong},   {DType::kBool, at::kBool}};
  return kTypes;
}

}  // namespace

const at::Tensor& OperatorCall::Input(size_t index) const {
  if (!Has(index)) {
    throw Error(Code::kInvalidArgument, fmt::format("{} '{}' lacks its input {}", node.op, node.name, index));
  }
  return inputs[index];
}

Operator FindOperator(const model::Node& node) {
  if (!node.domain.empty() && node.domain != "ai.onnx") return nullptr;
  const auto found = Operators().find(node.op);
  return found == Operators().end() ? nullptr : found->second;
}

std::string KnownOperators() {
  std::string names;
  for (const auto& [name, ignored] : Operators()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

at::ScalarType ToTorch(DType dtype) {
  for (const auto& [ours, theirs] : Types()) {
    if (ours == dtype) return theirs;
  }
  throw Error(Code::kInternal, fmt::format("torch has no type for {}", DTypeName(dtype)));
}

at::Tensor ToTorch(const Tensor& tensor) {
  return at::from_blob(
      tensor.data(), tensor.shape(), [keep = tensor.memory()](void*) {},
      at::TensorOptions().dtype(ToTorch(tensor.dtype())));
}

Tensor FromTorch(const at::Tensor& tensor, std::string_view where) {
  const at::Tensor dense = tensor.detach().contiguous();
  for (const auto& [ours, theirs] : Types()) {
    if (theirs != dense.scalar_type()) continue;
    Tensor result = Tensor::New(ours, dense.sizes().vec());
    if (result.bytes() > 0) std::memcpy(result.data(), dense.const_data_ptr(), result.bytes());
    return result;
  }
  throw Error(Code::kUnsupported, fmt::format("'{}' has a torch type that Strop has not", where));
}

}  // namespace strop::train
