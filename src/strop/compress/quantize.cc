#include "strop/compress/quantize.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::compress {
namespace {

int64_t OutputAxis(const model::Node& node) {
  if (node.op == "Conv") return 0;
  return node.op == "Gemm" && node.Int("transB", 0) != 0 ? 0 : 1;
}

float WeightFactor(const model::Node& node) { return node.op == "Gemm" ? node.Float("alpha", 1) : 1.F; }

// The bias of a Conv or Gemm as one value a channel, times beta; nullopt when it varies along the rows.
std::optional<Tensor> ChannelBias(const model::Node& node, const Tensor& bias, int64_t channels) {
  if (bias.dtype() != DType::kF32) return std::nullopt;
  if (bias.size() != 1 && (bias.size() != channels || bias.shape().back() != channels)) return std::nullopt;
  const float beta = node.op == "Gemm" ? node.Float("beta", 1) : 1.F;
  Tensor result = Tensor::New(DType::kF32, {channels});
  for (int64_t i = 0; i < channels; ++i) {
    result.As<float>()[static_cast<size_t>(i)] =
        beta * bias.As<float>()[static_cast<size_t>(bias.size() == 1 ? 0 : i)];
  }
  return result;
}

template <class T>
Tensor Scalar(T value) {
  return Tensor::From<T>({}, std::span<const T>(&value, 1));
}

// Writes the nodes of a graph anew, with Q and DQ between them.
class Rewriter {
 public:
  explicit Rewriter(const model::Graph& graph) : graph_(graph) { graph_.nodes.clear(); }

  std::string Constant(const std::string& base, Tensor value) {
    const std::string name = graph_.FreshName(base);
    graph_.initializers[name] = std::move(value);
    return name;
  }

  std::string Emit(const std::string& op, std::vector<std::string> inputs, const std::string& output,
                   std::map<std::string, model::Attribute> attributes = {}) {
    model::Node node;
    node.op = op;
    node.name = output;
    node.inputs = std::move(inputs);
    node.outputs = {output};
    node.attributes = std::move(attributes);
    graph_.nodes.push_back(std::move(node));
    return output;
  }

  std::string Dequantize(const std::string& stored, const std::string& value,
                         const Quantization& quantization) {
    return Emit("DequantizeLinear",
                {stored, Constant(value + "_scale", Scalar(quantization.scale)),
                 Constant(value + "_zero_point", Scalar(quantization.zero_point))},
                graph_.FreshName(value + "_dequantized"));
  }

  std::string QuantizeAndBack(const std::string& value, const Quantization& quantization) {
    const std::string scale = Constant(value + "_scale", Scalar(quantization.scale));
    const std::string zero_point = Constant(value + "_zero_point", Scalar(quantization.zero_point));
    const std::string stored =
        Emit("QuantizeLinear", {value, scale, zero_point}, graph_.FreshName(value + "_quantized"));
    return Emit("DequantizeLinear", {stored, scale, zero_point}, graph_.FreshName(value + "_dequantized"));
  }

  // Constant integers and their scales along an axis.
  std::string DequantizedConstant(const std::string& name, Tensor values, Tensor scales, int64_t axis) {
    Tensor zeros = Tensor::New(values.dtype(), scales.shape());
    std::fill_n(static_cast<std::byte*>(zeros.data()), zeros.bytes(), std::byte{0});
    const std::string stored = Constant(name + "_quantized", std::move(values));
    return Emit("DequantizeLinear",
                {stored, Constant(name + "_scale", std::move(scales)),
                 Constant(name + "_zero_point", std::move(zeros))},
                graph_.FreshName(name + "_dequantized"), {{"axis", axis}});
  }

  void Add(model::Node node) { graph_.nodes.push_back(std::move(node)); }
  model::Graph Take() { return std::move(graph_); }

 private:
  model::Graph graph_;
};

// Drops what the rewriting left without a reader: the float weights, and the chain that scaled a uint8 input.
void DropUnread(model::Graph& graph) {
  std::set<std::string> read;
  for (const model::ValueInfo& output : graph.outputs) read.insert(output.name);
  std::vector<model::Node> kept;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (std::ranges::none_of(node->outputs, [&](const std::string& value) { return read.contains(value); }))
      continue;
    read.insert(node->inputs.begin(), node->inputs.end());
    kept.push_back(std::move(*node));
  }
  graph.nodes.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
  std::erase_if(graph.initializers, [&](const auto& entry) { return !read.contains(entry.first); });
}

}  // namespace

void QuantizeOptions::Validate() const {
  if (weight_limit < 1 || weight_limit > 127) {
    throw Error(Code::kInvalidArgument, fmt::format("weight_limit = {}: expected 1 to 127", weight_limit));
  }
}

Quantization Quantization::From(const Range& range) {
  const float low = std::min(range.low, 0.F), high = std::max(range.high, 0.F);
  if (!(high > low)) return {1.F / 255, 0};
  Quantization result;
  result.scale = (high - low) / 255;
  result.zero_point = static_cast<uint8_t>(std::clamp(std::nearbyint(-low / result.scale), 0.F, 255.F));
  return result;
}

void RaiseOpset(model::Graph& graph) {
  constexpr int64_t kWanted = 13;
  if (graph.opset() >= kWanted) return;
  // Between 9 and 13 these only gained element types.
  static const std::set<std::string> kSame = {"Add",       "AveragePool",
                                              "Cast",      "Concat",
                                              "Conv",      "Div",
                                              "Flatten",   "Gemm",
                                              "MatMul",    "MaxPool",
                                              "Mul",       "Relu",
                                              "Reshape",   "Sigmoid",
                                              "Sub",       "Tanh",
                                              "Transpose", "Shape",
                                              "Gather",    "Constant",
                                              "Identity",  "GlobalAveragePool"};
  for (const model::Node& node : graph.nodes) {
    if (graph.opset() >= 9 && node.domain.empty() && kSame.contains(node.op)) continue;
    throw Error(
        Code::kUnsupported,
        fmt::format("the model is of opset {} and has {} '{}', whose meaning changed before opset 13, which "
                    "INT8 needs: export it with opset 13 or newer",
                    graph.opset(), node.op, node.name));
  }
  graph.opsets[""] = kWanted;
  graph.ir_version = std::max<int64_t>(graph.ir_version, 7);
}

Quantizer::Quantizer(model::Graph graph, const QuantizeOptions& options)
    : graph_(std::move(graph)),
      options_(options),
      layers_(WeightedLayers(graph_)),
      types_(model::InferShapes(graph_)) {
  options_.Validate();
}

std::vector<std::string> Quantizer::ActivationsToCalibrate() const {
  std::set<std::string> all;
  for (const Layer& layer : layers_) all.insert(layer.name);
  std::vector<std::string> values;
  for (const ScaleGroup& group : MakeScheme(graph_, types_, layers_, all).groups) {
    if (!group.exact) values.insert(values.end(), group.values.begin(), group.values.end());
  }
  return values;
}

const Weights& Quantizer::WeightsOf(const model::Node& node) const {
  const auto found = weights_.find(node.name);
  if (found != weights_.end()) return found->second;
  return weights_
      .emplace(node.name, QuantizeWeights(graph_.initializers.at(node.inputs[1]), OutputAxis(node),
                                          options_.weight_limit, WeightFactor(node)))
      .first->second;
}

model::Graph Quantizer::Build(const std::set<std::string>& names) const {
  for (const std::string& name : names) {
    if (std::ranges::find(layers_, name, &Layer::name) == layers_.end()) {
      throw Error(Code::kInvalidArgument, fmt::format("'{}' is not a layer that can be quantised", name));
    }
  }
  const Scheme scheme = MakeScheme(graph_, types_, layers_, names);
  std::vector<Quantization> quantizations;
  for (const ScaleGroup& group : scheme.groups) {
    if (group.exact) {
      quantizations.push_back({group.exact->scale, group.exact->zero_point});
      continue;
    }
    Range joined;
    for (const std::string& value : group.calibrated) {
      const auto range = ranges_.find(value);
      if (range == ranges_.end()) {
        throw Error(Code::kInvalidArgument, fmt::format("the value '{}' was not calibrated", value));
      }
      joined.low = std::min(joined.low, range->second.low);
      joined.high = std::max(joined.high, range->second.high);
    }
    quantizations.push_back(Quantization::From(joined));
  }

  Rewriter rewriter(graph_);
  std::map<std::string, std::string> renamed;  // value -> what its readers read instead
  const auto quantize = [&](const std::string& value) {
    const auto index = scheme.group_of.find(value);
    if (index == scheme.group_of.end()) return;
    const std::optional<ExactInput>& exact = scheme.groups[index->second].exact;
    const Quantization& quantization = quantizations[index->second];
    // The bytes of the image are the stored activation; only the value next to them is taken from the input.
    const bool from_input = exact && FindExactInput(graph_, value);
    renamed[value] = from_input ? rewriter.Dequantize(exact->input, value, quantization)
                                : rewriter.QuantizeAndBack(value, quantization);
  };
  for (const model::ValueInfo& input : graph_.inputs) quantize(input.name);
  for (const model::Node& original : graph_.nodes) {
    model::Node node = original;
    if (names.contains(node.name)) {
      const float activation_scale = quantizations[scheme.group_of.at(node.inputs[0])].scale;
      const Tensor& weight = graph_.initializers.at(node.inputs[1]);
      Weights weights = WeightsOf(node);
      weights.scales = weights.scales.Clone();
      weights.values = weights.values.Clone();
      const auto correction = corrections_.find(node.name);
      const bool has_bias = node.inputs.size() > 2 && !node.inputs[2].empty();
      std::optional<Tensor> bias;
      if (has_bias) {
        bias = ChannelBias(node, graph_.initializers.at(node.inputs[2]), weights.scales.size());
      } else if (node.op != "MatMul" && correction != corrections_.end()) {
        bias = Tensor::From<float>({weights.scales.size()},
                                   std::vector<float>(weights.scales.As<float>().size(), 0));
      }
      if (bias && correction != corrections_.end()) {
        for (size_t i = 0; i < bias->As<float>().size(); ++i)
          bias->As<float>()[i] += correction->second.As<float>()[i];
      }
      if (bias) {
        Tensor stored = QuantizeBias(*bias, activation_scale, weight, options_.weight_limit,
                                     WeightFactor(node), &weights);
        Tensor scales = weights.scales.Clone();
        for (float& scale : scales.As<float>()) scale *= activation_scale;
        node.inputs.resize(3);
        const std::string base = has_bias ? original.inputs[2] : original.inputs[1] + "_bias";
        node.inputs[2] = rewriter.DequantizedConstant(base, std::move(stored), std::move(scales), 0);
        if (node.op == "Gemm") node.attributes["beta"] = 1.F;
      }
      node.inputs[1] =
          rewriter.DequantizedConstant(original.inputs[1], weights.values, weights.scales, weights.axis);
      if (node.op == "Gemm") node.attributes["alpha"] = 1.F;
    }
    for (std::string& input : node.inputs) {
      if (const auto found = renamed.find(input); found != renamed.end()) input = found->second;
    }
    const std::vector<std::string> outputs = node.outputs;
    rewriter.Add(std::move(node));
    for (const std::string& output : outputs) quantize(output);
  }
  model::Graph result = rewriter.Take();
  DropUnread(result);
  result.Validate();
  return result;
}

}  // namespace strop::compress
