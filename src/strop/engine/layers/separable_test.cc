#include "strop/engine/layers/separable.h"

#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/engine/layers/against_reference.h"
#include "strop/engine/layers/search.h"

namespace strop::engine {
namespace {

using testing::StartsWith;
using Ints = std::vector<int64_t>;
using Attributes = std::map<std::string, model::Attribute>;

struct Form {
  int64_t height = 20, width = 17;
  bool expands = true, residual = false, bytes = false;
  int64_t channels = 5, wide = 30, n = 7;
  Attributes kernel = {{"pads", Ints{1, 1, 1, 1}}};
  int64_t kernel_h = 3, kernel_w = 3;
  bool last_first = false;  // another convolution before and behind, so that images come channels last
};

// Nodes of a model of floats, or of one whose every value between layers is bytes.
class Builder {
 public:
  explicit Builder(const Form& form) : bytes_(form.bytes) {
    graph_.name = "separable";
    graph_.ir_version = 8;
    graph_.opsets[""] = 17;
    graph_.inputs = {
        {"x", bytes_ ? DType::kU8 : DType::kF32, {-1, form.channels, form.height, form.width}, {}}};
    graph_.inputs[0].dim_names = {"n", "", "", ""};
    graph_.initializers["low"] = Values<float>(DType::kF32, {-2.0f}, {});
    graph_.initializers["high"] = Values<float>(DType::kF32, {2.5f}, {});
    graph_.initializers["scale"] = Values<float>(DType::kF32, {0.02f}, {});
    graph_.initializers["zero"] = Values<uint8_t>(DType::kU8, {120}, {});
    graph_.initializers["weight_scale"] = Values<float>(DType::kF32, {0.003f}, {});
  }

  // A convolution and Clip, into `name`.
  void Conv(const std::string& name, const std::string& input, Shape weight, Attributes attributes) {
    const uint64_t seed = graph_.nodes.size() * 10 + 1;
    std::string w = name + "_w";
    if (bytes_) {
      graph_.initializers[w] = RandomBytes(DType::kI8, weight, seed);
      w = Add("DequantizeLinear", {w, "weight_scale"}, w + "_d");
    } else {
      graph_.initializers[w] = RandomF32(weight, seed);
    }
    graph_.initializers[name + "_b"] = RandomF32({weight[0]}, seed + 1);
    const std::string conv =
        Add("Conv", {Floats(input, name), w, name + "_b"}, name + "_conv", std::move(attributes));
    Quantize(Add("Clip", {conv, "low", "high"}, bytes_ ? name + "_clip" : name), name);
  }
  void Sum(const std::string& name, const std::string& a, const std::string& b) {
    Quantize(Add("Add", {Floats(a, name + "_0"), Floats(b, name + "_1")}, bytes_ ? name + "_sum" : name),
             name);
  }
  model::Graph End(const std::string& output) {
    const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph_);
    graph_.outputs.push_back(values.at(output));
    return graph_;
  }

 private:
  std::string Add(const std::string& op, std::vector<std::string> inputs, const std::string& output,
                  Attributes attributes = {}) {
    graph_.nodes.push_back(MakeNode(op, output, std::move(inputs), {output}, std::move(attributes)));
    return output;
  }
  std::string Floats(const std::string& value, const std::string& reader) {
    return bytes_ ? Add("DequantizeLinear", {value, "scale", "zero"}, reader + "_in") : value;
  }
  void Quantize(const std::string& value, const std::string& name) {
    if (bytes_) Add("QuantizeLinear", {value, "scale", "zero"}, name);
  }

  const bool bytes_;
  model::Graph graph_;
};

// x (-> f) -> expand e -> depthwise d -> project p (+ what came in) -> y or l.
model::Graph Separable(const Form& form) {
  Builder builder(form);
  std::string in = "x";
  if (form.last_first) {
    builder.Conv("f", in, {form.channels, form.channels, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}});
    in = "f";
  }
  const int64_t wide = form.expands ? form.wide : form.channels;
  if (form.expands) builder.Conv("e", in, {wide, form.channels, 1, 1}, {});
  Attributes kernel = form.kernel;
  kernel["group"] = wide;
  builder.Conv("d", form.expands ? "e" : in, {wide, 1, form.kernel_h, form.kernel_w}, kernel);
  const int64_t n = form.residual ? form.channels : form.n;
  builder.Conv("p", "d", {n, wide, 1, 1}, {});
  std::string out = "p";
  if (form.residual) {
    builder.Sum("y", "p", in);
    out = "y";
  }
  if (form.last_first) {
    builder.Conv("l", out, {3, n, 3, 3}, {});
    out = "l";
  }
  return builder.End(out);
}

std::vector<SeparableLayer> Find(const model::Graph& graph, std::set<std::string> kept) {
  const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph);
  for (const model::ValueInfo& output : graph.outputs) kept.insert(output.name);
  Search search(graph, values, kept);
  std::vector<ConvLayer> convs = FindConv(search);
  return JoinSeparable(search, convs);
}

TEST(JoinSeparable, TakesTheExpansionAndTheResidual) {
  const std::vector<SeparableLayer> layers = Find(Separable({.residual = true}), {});
  ASSERT_EQ(layers.size(), 1u);
  ASSERT_TRUE(layers[0].expand);
  EXPECT_EQ(layers[0].expand->input, "x");
  EXPECT_EQ(layers[0].project.output, "y");
}

TEST(JoinSeparable, AValueThatMustComeOutIsNotHidden) {
  EXPECT_TRUE(Find(Separable({}), {"d"}).empty());
  const std::vector<SeparableLayer> layers = Find(Separable({}), {"e"});
  ASSERT_EQ(layers.size(), 1u);
  EXPECT_FALSE(layers[0].expand);
}

TEST(JoinSeparable, ImagesThatTheCachesHoldStayLayerByLayer) {
  EXPECT_TRUE(Find(Separable({.height = 7, .width = 7}), {}).empty());
}

void ExpectJoinedAsReference(const Form& form, const std::string& what) {
  const model::Graph graph = Separable(form);
  SessionOptions options;
  options.prefer = "strop";
  const auto session = Session::Make(graph, options);
  ASSERT_EQ(session->plan().size(), form.last_first ? 3u : 1u) << what;
  EXPECT_THAT(session->plan()[form.last_first ? 1 : 0].kernel, StartsWith("separable_gemm")) << what;
  for (const int64_t images : {1, 3}) {
    for (const int threads : {1, 2}) {
      const Shape shape = {images, form.channels, form.height, form.width};
      const Tensor x = form.bytes ? RandomBytes(DType::kU8, shape, 5) : RandomF32(shape, 5);
      AgainstReference how{.threads = threads, .tolerance = 1e-4};  // four layers, one behind another
      if (form.bytes) how.share_off = 0.01;
      ExpectAsReference(graph, {{"x", x}}, how,
                        fmt::format("{}, {} images, {} threads", what, images, threads));
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Separable, AnswersAsTheReference) {
  const std::map<std::string, Form> forms = {
      {"expands", {}},
      {"residual", {.residual = true}},
      {"two", {.expands = false, .channels = 20}},
      {"two, residual", {.expands = false, .residual = true, .channels = 20}},
      {"strides", {.kernel = {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}}}},
      {"upper", {.kernel = {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}}}},
      {"uneven", {.kernel = {{"pads", Ints{0, 1, 2, 0}}, {"strides", Ints{1, 3}}}}},
      {"dilated", {.kernel = {{"pads", Ints{2, 2, 2, 2}}, {"dilations", Ints{2, 2}}}}},
      {"skips rows", {.kernel = {{"strides", Ints{5, 5}}}}},
      {"only padding", {.kernel = {{"pads", Ints{7, 0, 7, 0}}}}},
      {"5 x 5", {.kernel = {{"pads", Ints{2, 2, 2, 2}}}, .kernel_h = 5, .kernel_w = 5}},
  };
  for (Form form :
       std::vector<Form>{{}, {.bytes = true}, {.last_first = true}, {.bytes = true, .last_first = true}}) {
    for (const auto& [name, of] : forms) {
      Form each = of;
      each.bytes = form.bytes;
      each.last_first = form.last_first;
      ExpectJoinedAsReference(each, fmt::format("{}{}{}", name, each.bytes ? ", bytes" : "",
                                                each.last_first ? ", channels last" : ""));
      if (HasFatalFailure()) return;
    }
  }
}

// Rows of 60 KB: several strips an image, which keep what they share.
TEST(Separable, OfManyStripsAnswersAsTheReference) {
  for (const Ints& strides : {Ints{1, 1}, Ints{2, 2}})
    ExpectJoinedAsReference({.height = 40,
                             .width = 50,
                             .wide = 300,
                             .kernel = {{"pads", Ints{1, 1, 1, 1}}, {"strides", strides}},
                             .last_first = true},
                            fmt::format("stride {}", strides[0]));
}

}  // namespace
}  // namespace strop::engine
