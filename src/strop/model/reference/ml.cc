// Operators of the domain ai.onnx.ml: trees, linear models and what feeds them.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <type_traits>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"
#include "strop/model/trees.h"

namespace strop::model::reference {
namespace {

// The input as rows of features: [N, F], or one row [F].
struct Rows {
  int64_t count, width;
};
Rows RowsOf(const Call& call) {
  const Shape& shape = call.In(0).shape();
  if (shape.size() == 1) return {1, shape[0]};
  if (shape.size() != 2) call.Fail(fmt::format("the input {} is no matrix", ShapeText(shape)));
  return {shape[0], shape[1]};
}

std::vector<float> Floats(const Call& call, const char* attribute) {
  const auto found = call.node.attributes.find(attribute);
  if (found == call.node.attributes.end()) return {};
  const auto* floats = std::get_if<std::vector<float>>(&found->second);
  if (!floats) call.Fail(fmt::format("the attribute {} is no list of floats", attribute));
  return *floats;
}

void RefuseStrings(const Call& call, const char* attribute) {
  if (call.node.attributes.contains(attribute)) call.Refuse(fmt::format("strings ({})", attribute));
}

struct Answers {
  Tensor labels, scores;
};

Answers RunTrees(const Call& call, const TreeEnsemble& trees) {
  const auto [count, width] = RowsOf(call);
  if (width < trees.features)
    call.Fail(fmt::format("the input has {} features, the trees split by {}", width, trees.features));
  const Tensor x = Doubles(call.In(0));
  const auto targets = static_cast<size_t>(trees.targets);
  const Tensor scores = NewDoubles({count, trees.targets}), labels = Tensor::New(DType::kI64, {count});
  for (int64_t r = 0; r < count; ++r) {
    const double* const row = x.As<double>().data() + r * width;
    const auto score = scores.As<double>().subspan(static_cast<size_t>(r) * targets, targets);
    std::ranges::fill(score, 0.0);
    std::vector<uint8_t> voted(targets, 0);
    for (const int32_t root : trees.roots) {
      const TreeEnsemble::Split& leaf = trees.splits[static_cast<size_t>(LeafOf(trees, root, row))];
      for (int32_t v = leaf.yes; v < leaf.no; ++v) {
        const auto [target, weight] = trees.votes[static_cast<size_t>(v)];
        double& sum = score[static_cast<size_t>(target)];
        uint8_t& known = voted[static_cast<size_t>(target)];
        if (trees.aggregate == TreeEnsemble::Aggregate::kMin)
          sum = known ? std::min(sum, weight) : weight;
        else if (trees.aggregate == TreeEnsemble::Aggregate::kMax)
          sum = known ? std::max(sum, weight) : weight;
        else
          sum += weight;
        known = 1;
      }
    }
    labels.As<int64_t>()[static_cast<size_t>(r)] = FinishScores(trees, score, voted);
  }
  return {labels, scores};
}

Results Classifier(const Call& call) {
  const auto [labels, scores] = RunTrees(call, ReadTrees(call.node));
  return {labels, scores.Cast(DType::kF32)};
}

Results Regressor(const Call& call) {
  return {RunTrees(call, ReadTrees(call.node)).scores.Cast(DType::kF32)};
}

Results TreeEnsembleOf(const Call& call) {
  return {RunTrees(call, ReadTrees(call.node)).scores.Cast(call.In(0).dtype())};
}

// One value a feature, or one for all.
double Of(const std::vector<float>& values, int64_t feature) {
  return static_cast<double>(values[values.size() == 1 ? 0 : static_cast<size_t>(feature)]);
}

Results Scaler(const Call& call) {
  const Shape& shape = call.In(0).shape();
  const int64_t width = shape.empty() ? 1 : shape.back();
  std::vector<float> offset = Floats(call, "offset"), scale = Floats(call, "scale");
  if (offset.empty()) offset = {0};
  if (scale.empty()) scale = {1};
  for (const auto* values : {&offset, &scale})
    if (values->size() != 1 && static_cast<int64_t>(values->size()) != width)
      call.Fail(fmt::format("{} values for {} features", values->size(), width));
  const Tensor y = Doubles(call.In(0)).Clone();
  int64_t i = 0;
  for (double& value : y.As<double>()) {
    value = (value - Of(offset, i % width)) * Of(scale, i % width);
    ++i;
  }
  return {y.Cast(DType::kF32)};
}

Results Normalizer(const Call& call) {
  const auto [count, width] = RowsOf(call);
  const std::string norm = call.node.Text("norm", "MAX");
  if (norm != "MAX" && norm != "L1" && norm != "L2") call.Fail(fmt::format("the norm {}", norm));
  const Tensor y = Doubles(call.In(0)).Clone();
  for (int64_t r = 0; r < count; ++r) {
    const auto row = y.As<double>().subspan(static_cast<size_t>(r * width), static_cast<size_t>(width));
    double divisor = norm == "MAX" ? -HUGE_VAL : 0;
    for (const double value : row) {
      if (norm == "MAX")
        divisor = std::max(divisor, value);
      else
        divisor += norm == "L1" ? std::fabs(value) : value * value;
    }
    if (norm == "L2") divisor = std::sqrt(divisor);
    if (divisor == 0) continue;
    for (double& value : row) value /= divisor;
  }
  return {y.Cast(DType::kF32)};
}

Results Binarizer(const Call& call) {
  const Tensor y = Doubles(call.In(0)).Clone();
  const auto threshold = static_cast<double>(call.node.Float("threshold", 0));
  for (double& value : y.As<double>()) value = value > threshold ? 1 : 0;
  return {y.Cast(call.In(0).dtype())};
}

template <class T>
Results ImputeAs(const Call& call, const std::vector<T>& imputed, T replaced) {
  const Shape& shape = call.In(0).shape();
  const int64_t width = shape.empty() ? 1 : shape.back();
  if (imputed.size() != 1 && static_cast<int64_t>(imputed.size()) != width)
    call.Fail(fmt::format("{} imputed values for {} features", imputed.size(), width));
  Tensor y = call.In(0).Clone();
  const auto fill = [&]<class E>(E) {
    int64_t i = 0;
    for (E& value : y.As<E>()) {
      const int64_t feature = i++ % width;
      bool same = value == static_cast<E>(replaced);
      if constexpr (std::is_floating_point_v<E>) same = same || (std::isnan(value) && std::isnan(replaced));
      if (same) value = static_cast<E>(imputed[imputed.size() == 1 ? 0 : static_cast<size_t>(feature)]);
    }
  };
  switch (y.dtype()) {
    case DType::kF32:
      fill(float{});
      break;
    case DType::kF64:
      fill(double{});
      break;
    case DType::kI32:
      fill(int32_t{});
      break;
    case DType::kI64:
      fill(int64_t{});
      break;
    default:
      call.Refuse(fmt::format("the type {}", DTypeName(y.dtype())));
  }
  return {y};
}

Results Imputer(const Call& call) {
  const std::vector<float> floats = Floats(call, "imputed_value_floats");
  const std::vector<int64_t> ints = call.node.Ints("imputed_value_int64s");
  if (floats.empty() == ints.empty()) call.Fail("imputed values of either floats or integers are expected");
  if (floats.empty() == IsFloat(call.In(0).dtype()))
    call.Fail(fmt::format("the imputed values are of another kind than the input, {}",
                          DTypeName(call.In(0).dtype())));
  if (!floats.empty()) return ImputeAs<float>(call, floats, call.node.Float("replaced_value_float", 0));
  return ImputeAs<int64_t>(call, ints, call.node.Int("replaced_value_int64", 0));
}

// Keys and values of LabelEncoder by its attributes PREFIXs_… : a list of int64, of floats, or a tensor.
Tensor EncoderList(const Call& call, const std::string& prefix) {
  RefuseStrings(call, (prefix + "_strings").c_str());
  if (const std::vector<float> floats = Floats(call, (prefix + "_floats").c_str()); !floats.empty())
    return Tensor::From<float>({static_cast<int64_t>(floats.size())}, floats);
  if (const std::vector<int64_t> ints = call.node.Ints(prefix + "_int64s"); !ints.empty())
    return Tensor::From<int64_t>({static_cast<int64_t>(ints.size())}, ints);
  const auto found = call.node.attributes.find(prefix + "_tensor");
  if (found == call.node.attributes.end() || !std::holds_alternative<Tensor>(found->second))
    call.Refuse(fmt::format("no {} that are numbers", prefix));
  return std::get<Tensor>(found->second);
}

Results LabelEncoder(const Call& call) {
  RefuseStrings(call, "classes_strings");  // of ai.onnx.ml 1
  const Tensor keys = EncoderList(call, "keys"), values = EncoderList(call, "values");
  if (keys.size() != values.size())
    call.Fail(fmt::format("{} keys and {} values", keys.size(), values.size()));
  const Tensor& x = call.In(0);
  if (keys.dtype() != x.dtype())
    call.Fail(fmt::format("the input is {}, the keys are {}", DTypeName(x.dtype()), DTypeName(keys.dtype())));
  Tensor otherwise;
  if (const auto found = call.node.attributes.find("default_tensor"); found != call.node.attributes.end()) {
    otherwise = std::get<Tensor>(found->second).Cast(values.dtype());
  } else if (values.dtype() == DType::kF32) {
    otherwise = Tensor::From<float>({1}, std::vector{call.node.Float("default_float", -0.0f)});
  } else {
    otherwise =
        Tensor::From<int64_t>({1}, std::vector{call.node.Int("default_int64", -1)}).Cast(values.dtype());
  }
  // Numbers compare by value, and NaN with NaN.
  const Tensor wide_keys = Doubles(keys), wide = Doubles(x);
  std::map<double, int64_t> places;
  int64_t nan_place = -1;
  for (int64_t i = keys.size(); i-- > 0;) {
    const double key = wide_keys.As<double>()[static_cast<size_t>(i)];
    if (std::isnan(key))
      nan_place = i;
    else
      places[key] = i;
  }
  const Tensor y = Tensor::New(values.dtype(), x.shape());
  const size_t size = SizeOf(values.dtype());
  for (int64_t i = 0; i < x.size(); ++i) {
    const double key = wide.As<double>()[static_cast<size_t>(i)];
    int64_t place = std::isnan(key) ? nan_place : -1;
    if (const auto found = places.find(key); !std::isnan(key) && found != places.end()) place = found->second;
    const char* const from = static_cast<const char*>(place < 0 ? otherwise.data() : values.data());
    std::copy_n(from + (place < 0 ? 0 : static_cast<size_t>(place) * size), size,
                static_cast<char*>(y.data()) + static_cast<size_t>(i) * size);
  }
  return {y};
}

Results OneHotEncoder(const Call& call) {
  RefuseStrings(call, "cats_strings");
  const std::vector<int64_t> categories = call.node.Ints("cats_int64s");
  if (categories.empty()) call.Fail("it has no categories");
  const bool zeros = call.node.Int("zeros", 1) != 0;
  const Tensor x = call.In(0).Cast(DType::kI64);
  Shape shape = x.shape();
  shape.push_back(static_cast<int64_t>(categories.size()));
  const Tensor y = Tensor::New(DType::kF32, shape);
  std::ranges::fill(y.As<float>(), 0.0f);
  for (size_t i = 0; i < static_cast<size_t>(x.size()); ++i) {
    const auto found = std::ranges::find(categories, x.As<int64_t>()[i]);
    if (found != categories.end())
      y.As<float>()[i * categories.size() + static_cast<size_t>(found - categories.begin())] = 1;
    else if (!zeros)
      call.Fail(fmt::format("{} is no category", x.As<int64_t>()[i]));
  }
  return {y};
}

Results ArrayFeatureExtractor(const Call& call) {
  const Tensor& x = call.In(0);
  const std::vector<int64_t> columns = call.Ints(1);
  Shape shape = x.shape();
  if (shape.empty()) call.Fail("the input is a scalar");
  const int64_t width = shape.back(), count = width == 0 ? 0 : x.size() / width;
  if (shape.size() == 1) shape = {1, 0};
  shape.back() = static_cast<int64_t>(columns.size());
  const Tensor y = Tensor::New(x.dtype(), shape);
  const size_t size = SizeOf(x.dtype());
  auto* to = static_cast<char*>(y.data());
  for (int64_t r = 0; r < count; ++r) {
    for (const int64_t column : columns) {
      if (column < 0 || column >= width) call.Fail(fmt::format("the feature {} of {}", column, width));
      to = std::copy_n(static_cast<const char*>(x.data()) + static_cast<size_t>(r * width + column) * size,
                       size, to);
    }
  }
  return {y};
}

ScoreTransform TransformOf(const Call& call) {
  return ParseTransform(call.node, call.node.Text("post_transform", "NONE"));
}

// x times the rows of `coefficients`, plus the intercepts.
Tensor Linear(const Call& call, size_t targets) {
  const auto [count, width] = RowsOf(call);
  const std::vector<float> coefficients = Floats(call, "coefficients"),
                           intercepts = Floats(call, "intercepts");
  if (coefficients.size() != targets * static_cast<size_t>(width))
    call.Fail(
        fmt::format("{} coefficients for {} features and {} targets", coefficients.size(), width, targets));
  if (!intercepts.empty() && intercepts.size() != targets)
    call.Fail(fmt::format("{} intercepts for {} targets", intercepts.size(), targets));
  const Tensor x = Doubles(call.In(0)), y = NewDoubles({count, static_cast<int64_t>(targets)});
  for (size_t r = 0; r < static_cast<size_t>(count); ++r) {
    for (size_t t = 0; t < targets; ++t) {
      double sum = intercepts.empty() ? 0 : static_cast<double>(intercepts[t]);
      for (size_t f = 0; f < static_cast<size_t>(width); ++f)
        sum += x.As<double>()[r * static_cast<size_t>(width) + f] *
               static_cast<double>(coefficients[t * static_cast<size_t>(width) + f]);
      y.As<double>()[r * targets + t] = sum;
    }
  }
  return y;
}

Results LinearRegressor(const Call& call) {
  const auto targets = static_cast<size_t>(std::max<int64_t>(1, call.node.Int("targets", 1)));
  const Tensor y = Linear(call, targets);
  const auto scores = y.As<double>();
  const ScoreTransform transform = TransformOf(call);
  for (size_t at = 0; at < scores.size(); at += targets) Apply(transform, scores.subspan(at, targets));
  return {y.Cast(DType::kF32)};
}

// One row of coefficients for two labels gives the second one's score, the logit.
Results LinearClassifier(const Call& call) {
  RefuseStrings(call, "classlabels_strings");
  const std::vector<int64_t> labels = call.node.Ints("classlabels_ints");
  const size_t targets = Floats(call, "intercepts").size();
  if (labels.size() < 2 || (targets != labels.size() && !(targets == 1 && labels.size() == 2)))
    call.Refuse(fmt::format("{} labels and {} intercepts", labels.size(), targets));
  const ScoreTransform transform = TransformOf(call);
  if (targets == 1 && transform != ScoreTransform::kNone && transform != ScoreTransform::kLogistic)
    call.Refuse("the post_transform of one score for two labels");
  const Tensor linear = Linear(call, targets);
  const auto count = static_cast<size_t>(linear.shape()[0]), classes = labels.size();
  const Tensor y = Tensor::New(DType::kI64, {linear.shape()[0]});
  const Tensor z = NewDoubles({linear.shape()[0], static_cast<int64_t>(classes)});
  for (size_t r = 0; r < count; ++r) {
    const auto given = linear.As<double>().subspan(r * targets, targets);
    const auto scores = z.As<double>().subspan(r * classes, classes);
    if (targets == 1) {
      y.As<int64_t>()[r] = labels[given[0] > 0 ? 1 : 0];
      Apply(transform, given);
      scores[0] = 1 - given[0];
      scores[1] = given[0];
      continue;
    }
    std::ranges::copy(given, scores.begin());
    y.As<int64_t>()[r] = labels[static_cast<size_t>(std::ranges::max_element(scores) - scores.begin())];
    Apply(transform, scores);
  }
  return {y, z.Cast(DType::kF32)};
}

constexpr Operator kOperators[] = {
    {"ArrayFeatureExtractor", 0, ArrayFeatureExtractor},
    {"Binarizer", 0, Binarizer},
    {"Imputer", 0, Imputer},
    {"LabelEncoder", 0, LabelEncoder},
    {"LinearClassifier", 0, LinearClassifier},
    {"LinearRegressor", 0, LinearRegressor},
    {"Normalizer", 0, Normalizer},
    {"OneHotEncoder", 0, OneHotEncoder},
    {"Scaler", 0, Scaler},
    {"TreeEnsemble", 0, TreeEnsembleOf},
    {"TreeEnsembleClassifier", 0, Classifier},
    {"TreeEnsembleRegressor", 0, Regressor},
};

}  // namespace

std::span<const Operator> MlOperators() { return kOperators; }

}  // namespace strop::model::reference
