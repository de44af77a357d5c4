#include "strop/engine/layers/conv.h"

#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/engine/layers/against_reference.h"
#include "strop/engine/layers/search.h"

namespace strop::engine {
namespace {

using testing::ElementsAre;
using Ints = std::vector<int64_t>;
using Attributes = std::map<std::string, model::Attribute>;

struct Kernel {
  int64_t height, width;
  Attributes attributes;
};

std::vector<Kernel> Kernels() {
  return {
      {1, 1, {}},
      {1, 1, {{"strides", Ints{2, 2}}}},
      {1, 1, {{"pads", Ints{1, 0, 0, 2}}}},
      {3, 3, {{"pads", Ints{1, 1, 1, 1}}}},
      {3, 3, {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}}},
      {3, 3, {{"pads", Ints{0, 1, 2, 0}}, {"strides", Ints{1, 3}}}},
      {3, 3, {{"pads", Ints{2, 2, 2, 2}}, {"dilations", Ints{2, 2}}}},
      {3, 3, {{"auto_pad", std::string("VALID")}}},
      {3, 3, {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}}},
      {3, 3, {{"auto_pad", std::string("SAME_LOWER")}, {"strides", Ints{2, 2}}}},
      {5, 1, {{"pads", Ints{2, 0, 2, 0}}}},
      {5, 1, {{"strides", Ints{1, 2}}, {"dilations", Ints{2, 1}}}},
  };
}

std::string TextOf(const Kernel& kernel) {
  std::string text = fmt::format("{} x {}", kernel.height, kernel.width);
  for (const auto& [name, value] : kernel.attributes) {
    const auto* const ints = std::get_if<Ints>(&value);
    text += fmt::format(", {} {}", name, ints != nullptr ? ShapeText(*ints) : std::get<std::string>(value));
  }
  return text;
}

model::Graph Begun(Shape x) {
  model::Graph graph;
  graph.name = "conv";
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  graph.inputs = {{"x", DType::kF32, std::move(x), {}}};
  graph.inputs[0].dim_names.resize(4);
  return graph;
}

void End(model::Graph& graph, const std::vector<std::string>& outputs) {
  const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph);
  for (const std::string& output : outputs) graph.outputs.push_back(values.at(output));
}

std::vector<ConvLayer> Find(const model::Graph& graph, const std::set<std::string>& kept) {
  const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph);
  Search search(graph, values, kept);
  return FindConv(search);
}

// Appends a convolution of floats named `name`, which is its value's too.
void AddConv(model::Graph& graph, const std::string& name, const std::string& input, Shape weight,
             Attributes attributes, bool bias = true) {
  const uint64_t seed = graph.nodes.size() * 10 + 1;
  std::vector<std::string> inputs = {input, name + "_w"};
  graph.initializers[name + "_w"] = RandomF32(weight, seed);
  if (bias) {
    graph.initializers[name + "_b"] = RandomF32({weight[0]}, seed + 1);
    inputs.push_back(name + "_b");
  }
  graph.nodes.push_back(MakeNode("Conv", name, inputs, {name}, std::move(attributes)));
}

// Plain input and output, so that both are put in order within.
TEST(Conv, OfFloatsAnswersAsTheReference) {
  int64_t number = 0;
  for (const Kernel& kernel : Kernels()) {
    for (const int64_t channels : {3, 17, 70}) {
      for (const bool depthwise : {false, true}) {
        ++number;
        const int64_t images = number % 3 == 0 ? 3 : 1, n = depthwise ? channels : channels + 6;
        model::Graph graph = Begun({images, channels, 11, 10});
        Attributes attributes = kernel.attributes;
        if (depthwise) attributes["group"] = channels;
        AddConv(graph, "y", "x", {n, depthwise ? 1 : channels, kernel.height, kernel.width}, attributes,
                number % 2 == 0);
        End(graph, {"y"});
        ExpectAsReference(
            graph, {{"x", RandomF32({images, channels, 11, 10}, 5)}}, {.threads = number % 4 < 2 ? 1 : 2},
            fmt::format("{}, {} channels{}", TextOf(kernel), channels, depthwise ? ", depthwise" : ""));
        if (HasFatalFailure()) return;
      }
    }
  }
}

// x -> a (Relu) -> b (depthwise, Clip) -> c (+ a, Relu) -> y: channels last all the way.
model::Graph Residual(bool between, int64_t height = 9, int64_t width = 14) {
  model::Graph graph = Begun({-1, 3, height, width});
  graph.inputs[0].dim_names[0] = "n";
  graph.initializers["low"] = Values<float>(DType::kF32, {-0.5f}, {});
  graph.initializers["high"] = Values<float>(DType::kF32, {1.5f}, {});
  AddConv(graph, "a", "x", {19, 3, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}});
  graph.nodes.push_back(MakeNode("Relu", "ar", {"a"}, {"ar"}));
  AddConv(graph, "b", "ar", {19, 1, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}, {"group", int64_t{19}}});
  graph.nodes.push_back(MakeNode("Clip", "bc", {"b", "low", "high"}, {"bc"}));
  if (between) graph.nodes.push_back(MakeNode("Sin", "sin", {"bc"}, {"s"}));
  AddConv(graph, "c", between ? "s" : "bc", {19, 19, 1, 1}, {});
  graph.nodes.push_back(MakeNode("Add", "add", {"c", "ar"}, {"sum"}));
  graph.nodes.push_back(MakeNode("Relu", "sr", {"sum"}, {"sr"}));
  AddConv(graph, "y", "sr", {4, 19, 3, 1}, {});
  End(graph, {"y"});
  return graph;
}

TEST(FindConv, TakesActivationsAndTheResidual) {
  const std::vector<ConvLayer> layers = Find(Residual(false), {"y"});
  ASSERT_EQ(layers.size(), 4u);
  EXPECT_THAT(layers[0].nodes, ElementsAre(0, 1));
  EXPECT_EQ(layers[0].clamp.low, 0);
  EXPECT_THAT(layers[1].nodes, ElementsAre(2, 3));
  EXPECT_TRUE(layers[1].depthwise);
  EXPECT_EQ(layers[1].clamp.high, 1.5f);
  EXPECT_THAT(layers[2].nodes, ElementsAre(4, 5, 6));
  EXPECT_EQ(layers[2].chain->inputs[1].value, "ar");
}

TEST(FindConv, AKeptValueIsNotHiddenByFusing) {
  const std::vector<ConvLayer> layers = Find(Residual(false), {"y", "b", "sum"});
  EXPECT_THAT(layers[1].nodes, ElementsAre(2));
  EXPECT_EQ(layers[2].output, "sum");
}

TEST(FindConv, GroupsThatAreNotChannelsStayWithOpenVino) {
  model::Graph graph = Begun({1, 6, 8, 8});
  AddConv(graph, "y", "x", {8, 3, 3, 3}, {{"group", int64_t{2}}});
  End(graph, {"y"});
  EXPECT_TRUE(Find(graph, {"y"}).empty());
}

TEST(Conv, AResidualBlockAnswersAsTheReference) {
  for (const bool between : {false, true}) {
    for (const std::vector<std::string>& taps :
         {std::vector<std::string>{}, {"ar"}, {"b", "sr"}, {"bc", "sum", "c"}}) {
      for (const Shape& shape : {Shape{1, 3, 9, 14}, Shape{3, 3, 30, 31}}) {
        for (const int threads : {1, 2})
          ExpectAsReference(
              Residual(between, shape[2], shape[3]), {{"x", RandomF32(shape, 9)}},
              {.threads = threads,
               .taps = taps,
               .tolerance = 5e-5,
               .openvino = between ? std::set<std::string>{"Sin"} : std::set<std::string>{}},
              fmt::format("{} taps of {}{}", taps.size(), ShapeText(shape), between ? ", Sin" : ""));
      }
    }
  }
}

// Few pixels and many weights: threads share the weights.
TEST(Conv, OfFewPixelsAnswersAsTheReference) {
  for (const int64_t kernel : {1, 3}) {
    model::Graph graph = Begun({1, 70, 3, 3});
    AddConv(graph, "a", "x", {600, 70, kernel, kernel}, {{"auto_pad", std::string("SAME_UPPER")}});
    AddConv(graph, "y", "a", {90, 600, 1, 1}, {});
    End(graph, {"y"});
    ExpectAsReference(graph, {{"x", RandomF32({1, 70, 3, 3}, 3)}}, {.threads = 2, .tolerance = 5e-4},
                      std::to_string(kernel));
  }
}

// How one quantized network differs from another.
struct Quantized {
  DType bytes = DType::kU8;
  bool by_channel = true;
  bool depthwise = false;
  bool int_bias = true;
  bool residual = false, clipped = false;
  bool ends_in_floats = false;
};

Tensor Zero(DType dtype, int value) {
  return dtype == DType::kU8 ? Values<uint8_t>(dtype, {static_cast<uint8_t>(value)}, {})
                             : Values<int8_t>(dtype, {static_cast<int8_t>(value)}, {});
}

// Bytes of `value` under a scale and a zero, and the numbers they stand for: value_q and value_d.
void AddQuantizers(model::Graph& graph, const std::string& value, DType dtype, float scale, int zero) {
  graph.initializers[value + "_scale"] = Values<float>(DType::kF32, {scale}, {});
  graph.initializers[value + "_zero"] = Zero(dtype, zero);
  const std::vector<std::string> by = {value + "_scale", value + "_zero"};
  graph.nodes.push_back(MakeNode("QuantizeLinear", value + "_q", {value, by[0], by[1]}, {value + "_q"}));
  graph.nodes.push_back(
      MakeNode("DequantizeLinear", value + "_d", {value + "_q", by[0], by[1]}, {value + "_d"}));
}

// A convolution of `input`_d by int8 weights.
void AddInt8Conv(model::Graph& graph, const std::string& name, const std::string& input, Shape shape,
                 Attributes attributes, const Quantized& how, float input_scale) {
  const uint64_t seed = graph.nodes.size() + 11;
  const int64_t n = shape[0];
  const int64_t scales = how.by_channel ? n : 1;
  std::vector<float> scale(static_cast<size_t>(scales)), bias_scale(scale.size());
  for (size_t i = 0; i < scale.size(); ++i) {
    scale[i] = 0.0031f + 0.0001f * static_cast<float>(i % 13);
    bias_scale[i] = scale[i] * input_scale;
  }
  const Shape of_scale = how.by_channel ? Shape{n} : Shape{};
  auto& constants = graph.initializers;
  constants[name + "_w"] = RandomBytes(DType::kI8, std::move(shape), seed);
  constants[name + "_ws"] = Values<float>(DType::kF32, scale, of_scale);
  const Attributes axis = {{"axis", int64_t{0}}};
  graph.nodes.push_back(
      MakeNode("DequantizeLinear", name + "_wd", {name + "_w", name + "_ws"}, {name + "_wd"}, axis));
  std::vector<std::string> inputs = {input + "_d", name + "_wd"};
  if (how.int_bias) {
    std::vector<int32_t> bias(static_cast<size_t>(n));
    Rng rng(seed);
    for (int32_t& each : bias) each = static_cast<int32_t>(rng.Below(4001)) - 2000;
    constants[name + "_b"] = Values<int32_t>(DType::kI32, bias, {n});
    constants[name + "_bs"] = Values<float>(DType::kF32, bias_scale, of_scale);
    graph.nodes.push_back(
        MakeNode("DequantizeLinear", name + "_bd", {name + "_b", name + "_bs"}, {name + "_bd"}, axis));
    inputs.push_back(name + "_bd");
  } else {
    constants[name + "_b"] = RandomF32({n}, seed);
    inputs.push_back(name + "_b");
  }
  graph.nodes.push_back(MakeNode("Conv", name, inputs, {name}, std::move(attributes)));
}

// x -> bytes -> a -> bytes (-> Clip -> bytes) -> b (-> + the bytes before) -> bytes or floats y.
model::Graph Int8Graph(const Quantized& how, const Kernel& kernel, Shape x, int64_t channels) {
  model::Graph graph = Begun(x);
  AddQuantizers(graph, "x", how.bytes, 0.0079f, how.bytes == DType::kU8 ? 119 : -7);
  AddInt8Conv(graph, "a", "x", {channels, x[1], 1, 1}, {}, how, 0.0079f);
  std::string value = "a";
  AddQuantizers(graph, "a", how.bytes, 0.031f, how.bytes == DType::kU8 ? 130 : 3);
  if (how.clipped) {
    graph.initializers["low"] = Values<float>(DType::kF32, {0}, {});
    graph.initializers["high"] = Values<float>(DType::kF32, {2.5f}, {});
    graph.nodes.push_back(MakeNode("Clip", "clip", {"a_d", "low", "high"}, {"clip"}));
    AddQuantizers(graph, "clip", how.bytes, 0.01f, how.bytes == DType::kU8 ? 0 : -128);
    value = "clip";
  }
  Attributes attributes = kernel.attributes;
  if (how.depthwise) attributes["group"] = channels;
  AddInt8Conv(graph, "b", value, {channels, how.depthwise ? 1 : channels, kernel.height, kernel.width},
              attributes, how, how.clipped ? 0.01f : 0.031f);
  std::string last = "b";
  if (how.residual) {
    AddQuantizers(graph, "b", how.bytes, 0.05f, how.bytes == DType::kU8 ? 125 : 5);
    graph.nodes.push_back(MakeNode("Add", "add", {"b_d", value + "_d"}, {"sum"}));
    graph.nodes.push_back(MakeNode("Relu", "relu", {"sum"}, {"sum_relu"}));
    last = "sum_relu";
  }
  if (how.ends_in_floats) {
    End(graph, {last});
    return graph;
  }
  AddQuantizers(graph, last, how.bytes, 0.06f, how.bytes == DType::kU8 ? 128 : 0);
  graph.nodes.pop_back();
  End(graph, {last + "_q"});
  return graph;
}

TEST(Conv, OfIntegersAnswersAsTheReference) {
  const Kernel same = {3, 3, {{"pads", Ints{1, 1, 1, 1}}}};
  int64_t number = 0;
  for (const DType bytes : {DType::kU8, DType::kI8}) {
    for (int64_t bits = 0; bits < 64; ++bits) {
      const auto has = [&](int64_t bit) { return (bits >> bit & 1) != 0; };
      const Quantized how = {bytes, has(0), has(1), has(2), has(3), has(4), has(5)};
      std::vector<Kernel> kernels = Kernels();
      const Kernel& kernel = how.residual ? same : kernels[static_cast<size_t>(++number) % kernels.size()];
      const int64_t channels = Ints{3, 17, 70}[static_cast<size_t>(number % 3)];
      const Shape x = {number % 2 == 0 ? 3 : 1, 5, 9, 8};
      // A byte of `a` on the other side of a tie moves what `b` sums by a weight.
      ExpectAsReference(
          Int8Graph(how, kernel, x, channels), {{"x", RandomF32(x, 20)}},
          {.threads = static_cast<int>(number % 2) + 1, .share_off = 0.01, .most_off = 0.1},
          fmt::format("{} {:b}, {}, {} channels", DTypeName(bytes), bits, TextOf(kernel), channels));
      if (HasFatalFailure()) return;
    }
  }
}

// As ResNet's: halved at the beginning, a long way and a short one, which is a convolution or nothing.
model::Graph ResNet(bool named) {
  model::Graph graph = Begun({-1, 3, -1, -1});
  if (named) graph.inputs[0].dim_names = {"batch", "", "height", "width"};
  const Attributes around = {{"pads", Ints{1, 1, 1, 1}}};
  const Attributes halved = {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}};
  const auto relu = [&](const std::string& value) {
    graph.nodes.push_back(MakeNode("Relu", value + "r", {value}, {value + "r"}));
  };
  AddConv(graph, "stem", "x", {20, 3, 7, 7}, {{"pads", Ints{3, 3, 3, 3}}, {"strides", Ints{2, 2}}});
  relu("stem");
  Attributes pool = halved;
  pool["kernel_shape"] = Ints{3, 3};
  graph.nodes.push_back(MakeNode("MaxPool", "p", {"stemr"}, {"p"}, pool));
  AddConv(graph, "a", "p", {20, 20, 3, 3}, around);
  relu("a");
  AddConv(graph, "b", "ar", {20, 20, 3, 3}, around);
  graph.nodes.push_back(MakeNode("Add", "sum1", {"b", "p"}, {"sum1"}));
  relu("sum1");
  AddConv(graph, "c", "sum1r", {36, 20, 3, 3}, halved);
  relu("c");
  AddConv(graph, "d", "cr", {36, 36, 3, 3}, around);
  AddConv(graph, "short", "sum1r", {36, 20, 1, 1}, {{"strides", Ints{2, 2}}});
  graph.nodes.push_back(MakeNode("Add", "sum2", {"d", "short"}, {"sum2"}));
  relu("sum2");
  graph.nodes.push_back(MakeNode("GlobalAveragePool", "y", {"sum2r"}, {"y"}));
  for (auto& [name, weights] : graph.initializers)  // so that sums are as large as what is summed
    for (float& weight : weights.As<float>()) weight *= 0.15f;
  End(graph, {"y"});
  return graph;
}

TEST(Conv, ResidualBlocksOverImagesOfAnySizeAreOwn) {
  for (const bool named : {true, false}) {
    for (const std::vector<std::string>& taps : {std::vector<std::string>{}, {"sum1", "sum2r"}}) {
      for (const Shape& shape : {Shape{1, 3, 1, 1}, Shape{2, 3, 33, 40}, Shape{1, 3, 64, 47}})
        ExpectAsReference(ResNet(named), {{"x", RandomF32(shape, 6)}},
                          {.threads = 2, .taps = taps, .tolerance = 5e-4}, ShapeText(shape));
    }
  }
  const std::vector<ConvLayer> layers = Find(ResNet(true), {"y"});
  ASSERT_EQ(layers.size(), 6u);
  EXPECT_EQ(layers[2].output, "sum1r");
  EXPECT_EQ(layers[2].chain->inputs[1].value, "p");
}

// What goes element by element keeps sizes that are known at run alone.
TEST(Conv, ChainsOverImagesOfAnySizeAreOwn) {
  Quantized how;
  how.clipped = true;
  model::Graph graph = Int8Graph(how, {3, 3, {{"strides", Ints{2, 2}}}}, {-1, 5, -1, -1}, 18);
  for (const Shape& shape : {Shape{1, 5, 9, 20}, Shape{2, 5, 30, 8}})
    ExpectAsReference(graph, {{"x", RandomF32(shape, 22)}}, {.threads = 2, .share_off = 0.01},
                      ShapeText(shape));
}

TEST(Conv, BytesWithinComeOutAsTaps) {
  for (const bool depthwise : {false, true}) {
    Quantized how;
    how.depthwise = depthwise;
    how.residual = how.clipped = true;
    const Shape x = {2, 5, 13, 8};
    const model::Graph graph = Int8Graph(how, {3, 3, {{"pads", Ints{1, 1, 1, 1}}}}, x, 18);
    for (const std::vector<std::string>& taps :
         {std::vector<std::string>{"a_q"}, {"clip_q", "b"}, {"sum", "a"}})
      ExpectAsReference(graph, {{"x", RandomF32(x, 21)}},
                        {.threads = 2, .taps = taps, .share_off = 0.01, .most_off = 0.1}, taps[0]);
  }
}

}  // namespace
}  // namespace strop::engine
