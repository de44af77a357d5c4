// Operators of the domain ai.onnx.ml.
#include <string>

#include "strop/model/dims.h"
#include "strop/model/shapes/rule.h"

namespace strop::model::shapes {
namespace {

Dim Count(const Dims& dims) { return dims.size() == 1 ? Dim{1, {}} : dims[0]; }

std::optional<Dims> Matrix(const Call& call, int64_t columns) {
  const Dims* x = call.DimsOf(0);
  if (!x || x->empty()) return std::nullopt;
  return Dims{Count(*x), {columns, {}}};
}

std::optional<Dims> Vector(const Call& call) {
  const Dims* x = call.DimsOf(0);
  if (!x || x->empty()) return std::nullopt;
  return Dims{Count(*x)};
}

int64_t Length(const Call& call, const char* attribute) {
  return static_cast<int64_t>(call.node.Ints(attribute).size());
}

void Classifier(Call& call, int64_t labels) {
  if (labels == 0) return;  // they are strings
  call.Out(0, DType::kI64, Vector(call));
  call.Out(1, DType::kF32, Matrix(call, labels));
}

void TreeEnsembleClassifier(Call& call) { Classifier(call, Length(call, "classlabels_int64s")); }
void LinearClassifier(Call& call) { Classifier(call, Length(call, "classlabels_ints")); }

void Regressor(Call& call) {
  call.Out(0, DType::kF32,
           Matrix(call, call.node.Int(call.node.op == "LinearRegressor" ? "targets" : "n_targets", 1)));
}

void TreeEnsemble(Call& call) {
  if (const Type* x = call.In(0)) call.Out(0, x->dtype, Matrix(call, call.node.Int("n_targets", 1)));
}

void ToFloat(Call& call) {
  if (const Type* x = call.In(0)) call.Out(0, DType::kF32, x->dims);
}

void SameType(Call& call) {
  if (const Type* x = call.In(0)) call.Out(0, x->dtype, x->dims);
}

void LabelEncoder(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  if (const auto tensor = call.node.attributes.find("values_tensor"); tensor != call.node.attributes.end()) {
    if (const auto* values = std::get_if<Tensor>(&tensor->second)) call.Out(0, values->dtype(), x->dims);
  } else if (call.node.attributes.contains("values_floats")) {
    call.Out(0, DType::kF32, x->dims);
  } else if (call.node.attributes.contains("values_int64s")) {
    call.Out(0, DType::kI64, x->dims);
  }
}

void OneHotEncoder(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  std::optional<Dims> dims = x->dims;
  if (dims) dims->push_back({Length(call, "cats_int64s"), {}});
  call.Out(0, DType::kF32, dims);
}

void ArrayFeatureExtractor(Call& call) {
  const Type *x = call.In(0), *columns = call.In(1);
  if (!x) return;
  if (!x->dims || x->dims->empty() || !columns || !columns->dims) return call.Out(0, x->dtype, std::nullopt);
  Dims dims = *x->dims;
  if (dims.size() == 1) dims.insert(dims.begin(), Dim{1, {}});
  dims.back() = ProductOf(*columns->dims, 0, columns->dims->size());
  call.Out(0, x->dtype, dims);
}

constexpr Rule kRules[] = {
    {"ArrayFeatureExtractor", ArrayFeatureExtractor},
    {"Binarizer", SameType},
    {"Imputer", SameType},
    {"LabelEncoder", LabelEncoder},
    {"LinearClassifier", LinearClassifier},
    {"LinearRegressor", Regressor},
    {"Normalizer", ToFloat},
    {"OneHotEncoder", OneHotEncoder},
    {"Scaler", ToFloat},
    {"TreeEnsemble", TreeEnsemble},
    {"TreeEnsembleClassifier", TreeEnsembleClassifier},
    {"TreeEnsembleRegressor", Regressor},
};

}  // namespace

std::span<const Rule> MlRules() { return kRules; }

}  // namespace strop::model::shapes
