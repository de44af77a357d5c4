#include <algorithm>
#include <functional>

#include "strop/model/dims.h"
#include "strop/model/shapes/rule.h"

namespace strop::model::shapes {
namespace {

void Same(Call& call) {
  if (const Type* x = call.In(0)) call.Out(0, x->dtype, x->dims);
}

void SameAsBool(Call& call) {
  if (const Type* x = call.In(0)) call.Out(0, DType::kBool, x->dims);
}

std::optional<Dims> BroadcastAll(const Call& call, size_t first) {
  std::optional<Dims> dims;
  for (size_t i = first; i < call.inputs.size(); ++i) {
    const Dims* given = call.DimsOf(i);
    if (!given) return std::nullopt;
    dims = dims ? BroadcastDims(call.node, *dims, *given) : *given;
  }
  return dims;
}

void Broadcast(Call& call) {
  if (const Type* x = call.In(0)) call.Out(0, x->dtype, BroadcastAll(call, 0));
}

// The slope may repeat, the input may not.
void PRelu(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  const Dims* slope = call.DimsOf(1);
  if (call.opset >= 7 && x->dims && slope) {
    const Shape whole = SizesOf(BroadcastDims(call.node, *x->dims, *slope)), own = SizesOf(*x->dims);
    const auto differs = [](int64_t a, int64_t b) { return a >= 0 && b >= 0 && a != b; };
    if (whole.size() != own.size() ||
        !std::equal(whole.begin(), whole.end(), own.begin(), std::not_fn(differs)))
      ThrowNode(call.node, "its slope is larger than its input");
  }
  call.Out(0, x->dtype, x->dims);
}

void Compare(Call& call) { call.Out(0, DType::kBool, BroadcastAll(call, 0)); }

void Where(Call& call) {
  if (const Type* x = call.In(1)) call.Out(0, x->dtype, BroadcastAll(call, 0));
}

void Dropout(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  call.Out(0, x->dtype, x->dims);
  call.Out(1, call.opset < 10 ? x->dtype : DType::kBool, x->dims);
}

constexpr Rule kRules[] = {
    {"Abs", Same},
    {"Acos", Same},
    {"Acosh", Same},
    {"Add", Broadcast},
    {"And", Compare},
    {"Asin", Same},
    {"Asinh", Same},
    {"Atan", Same},
    {"Atanh", Same},
    {"BitShift", Broadcast},
    {"BitwiseAnd", Broadcast},
    {"BitwiseNot", Same},
    {"BitwiseOr", Broadcast},
    {"BitwiseXor", Broadcast},
    {"Ceil", Same},
    {"Celu", Same},
    {"Clip", Same},
    {"Cos", Same},
    {"Cosh", Same},
    {"CumProd", Same},
    {"CumSum", Same},
    {"Div", Broadcast},
    {"Dropout", Dropout},
    {"Elu", Same},
    {"Equal", Compare},
    {"Erf", Same},
    {"Exp", Same},
    {"Floor", Same},
    {"Gelu", Same},
    {"Greater", Compare},
    {"GreaterOrEqual", Compare},
    {"GroupNormalization", Same},
    {"HardSigmoid", Same},
    {"HardSwish", Same},
    {"Hardmax", Same},
    {"Identity", Same},
    {"IsInf", SameAsBool},
    {"IsNaN", SameAsBool},
    {"LRN", Same},
    {"LeakyRelu", Same},
    {"Less", Compare},
    {"LessOrEqual", Compare},
    {"Log", Same},
    {"LogSoftmax", Same},
    {"LpNormalization", Same},
    {"Max", Broadcast},
    {"Mean", Broadcast},
    {"MeanVarianceNormalization", Same},
    {"Min", Broadcast},
    {"Mish", Same},
    {"Mod", Broadcast},
    {"Mul", Broadcast},
    {"Neg", Same},
    {"Not", Same},
    {"Or", Compare},
    {"PRelu", PRelu},
    {"Pow", Broadcast},
    {"RMSNormalization", Same},
    {"Reciprocal", Same},
    {"Relu", Same},
    {"ReverseSequence", Same},
    {"RotaryEmbedding", Same},
    {"Round", Same},
    {"ScatterElements", Same},
    {"ScatterND", Same},
    {"Selu", Same},
    {"Shrink", Same},
    {"Sigmoid", Same},
    {"Sign", Same},
    {"Sin", Same},
    {"Sinh", Same},
    {"Softmax", Same},
    {"Softplus", Same},
    {"Softsign", Same},
    {"Sqrt", Same},
    {"Sub", Broadcast},
    {"Sum", Broadcast},
    {"Swish", Same},
    {"Tan", Same},
    {"Tanh", Same},
    {"TensorScatter", Same},
    {"ThresholdedRelu", Same},
    {"Trilu", Same},
    {"Where", Where},
    {"Xor", Compare},
};

}  // namespace

std::span<const Rule> ElementwiseRules() { return kRules; }

}  // namespace strop::model::shapes
