#include "strop/engine/layers/attention.h"

#include <cmath>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/engine/layers/search.h"
#include "strop/engine/session.h"
#include "strop/engine/test_graphs.h"
#include "strop/model/reference/evaluator.h"

namespace strop::engine {
namespace {

struct Form {
  int64_t queries = 7, keys = 7, heads = 3, depth = 5, value_depth = 5;
  bool mask = true, full_mask = false, rounded = false, two_transposes = false;
};

Tensor Sizes(std::vector<int64_t> sizes) {
  return Values<int64_t>(DType::kI64, sizes, {static_cast<int64_t>(sizes.size())});
}

// The nodes of exporters. Where it is rounded, each operand of a product passes QuantizeLinear and
// DequantizeLinear.
model::Graph Attention(const Form& form) {
  model::Graph graph;
  graph.name = "attention";
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  const int64_t width = form.heads * form.depth, value_width = form.heads * form.value_depth;
  graph.inputs = {{"q", DType::kF32, {-1, form.queries, width}, {"batch", "", ""}},
                  {"k", DType::kF32, {-1, form.keys, width}, {"batch", "", ""}},
                  {"v", DType::kF32, {-1, form.keys, value_width}, {"batch", "", ""}}};
  if (form.mask)
    graph.inputs.push_back(
        {"mask", DType::kF32, {-1, 1, form.full_mask ? form.queries : 1, form.keys}, {"batch", "", "", ""}});
  graph.outputs = {{"y", DType::kF32, {-1, form.queries, value_width}, {"batch", "", ""}}};
  graph.initializers["heads"] = Sizes({0, 0, form.heads, form.depth});
  graph.initializers["value_heads"] = Sizes({0, 0, form.heads, form.value_depth});
  graph.initializers["width"] = Sizes({0, 0, value_width});
  graph.initializers["root"] = Values<float>(DType::kF32, {std::sqrt(static_cast<float>(form.depth))}, {});
  graph.initializers["scale"] = Values<float>(DType::kF32, {0.01f}, {});
  graph.initializers["zero"] = Values<uint8_t>(DType::kU8, {128}, {});
  const auto add = [&](std::string op, std::vector<std::string> inputs, const std::string& output,
                       std::map<std::string, model::Attribute> attributes = {}) {
    graph.nodes.push_back(
        MakeNode(std::move(op), output, std::move(inputs), {output}, std::move(attributes)));
    return output;
  };
  const auto round = [&](const std::string& value) {
    if (!form.rounded) return value;
    return add("DequantizeLinear",
               {add("QuantizeLinear", {value, "scale", "zero"}, value + "_q"), "scale", "zero"},
               value + "_d");
  };
  const std::vector<int64_t> first = {0, 2, 1, 3}, depth = {0, 2, 3, 1}, last = {0, 1, 3, 2};
  const std::string q = add("Transpose", {add("Reshape", {"q", "heads"}, "qr")}, "qt", {{"perm", first}});
  std::string k = add("Reshape", {"k", "heads"}, "kr");
  if (form.two_transposes) {
    k = add("Transpose", {add("Transpose", {k}, "kt0", {{"perm", first}})}, "kt", {{"perm", last}});
  } else {
    k = add("Transpose", {k}, "kt", {{"perm", depth}});
  }
  const std::string v =
      add("Transpose", {add("Reshape", {"v", "value_heads"}, "vr")}, "vt", {{"perm", first}});
  std::string scores = add("Div", {add("MatMul", {round(q), round(k)}, "scores"), "root"}, "scaled");
  if (form.mask) scores = add("Add", {scores, "mask"}, "masked");
  const std::string shares = round(add("Softmax", {scores}, "shares"));
  const std::string mix = add("MatMul", {shares, round(v)}, "mix");
  add("Reshape", {add("Transpose", {mix}, "back", {{"perm", first}}), "width"}, "y");
  return graph;
}

std::vector<AttentionLayer> Find(const model::Graph& graph, const std::set<std::string>& kept) {
  const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph);
  Search search(graph, values, kept);
  return FindAttention(search);
}

TEST(FindAttention, TakesWhatExportersWrite) {
  const model::Graph graph = Attention({});
  const std::vector<AttentionLayer> layers = Find(graph, {"y"});
  ASSERT_EQ(layers.size(), 1u);
  EXPECT_EQ(layers[0].nodes.size(), graph.nodes.size());
  EXPECT_EQ(layers[0].query.value, "q");
  EXPECT_EQ(layers[0].key.value, "k");
  EXPECT_EQ(layers[0].mask, "mask");
  EXPECT_EQ(layers[0].heads, 3);
  EXPECT_EQ(layers[0].depth, 5);
  EXPECT_FLOAT_EQ(layers[0].scale, 1 / std::sqrt(5.0f));
}

TEST(FindAttention, AValueThatMustComeOutIsNotHidden) {
  for (const char* value : {"shares", "qt", "scores", "mix"})
    EXPECT_TRUE(Find(Attention({}), {"y", value}).empty()) << value;
}

TEST(FindAttention, AMaskOfItsOwnForEachHeadStaysWithOpenVino) {
  model::Graph graph = Attention({});
  graph.inputs[3].shape[1] = 3;
  EXPECT_TRUE(Find(graph, {"y"}).empty());
}

TEST(FindAttention, BytesBackByAnotherScaleStayWithOpenVino) {
  model::Graph graph = Attention({.rounded = true});
  graph.initializers["other"] = Values<float>(DType::kF32, {0.02f}, {});
  for (model::Node& node : graph.nodes)
    if (node.outputs[0] == "kt_d") node.inputs[1] = "other";
  EXPECT_TRUE(Find(graph, {"y"}).empty());
}

TEST(Attention, AnswersAsTheReference) {
  const std::vector<Form> forms = {
      {},
      {.mask = false},
      {.full_mask = true},
      {.two_transposes = true},
      {.queries = 130, .keys = 33, .heads = 2, .depth = 32, .value_depth = 40},
      {.queries = 1, .keys = 300, .heads = 4, .depth = 64, .value_depth = 64},
      {.queries = 64, .keys = 64, .heads = 2, .depth = 32, .value_depth = 32, .rounded = true},
  };
  for (const Form& form : forms) {
    const model::Graph graph = Attention(form);
    for (const int threads : {1, 2}) {
      SessionOptions options;
      options.prefer = "strop";
      options.threads = threads;
      const auto session = Session::Make(graph, options);
      ASSERT_EQ(session->plan().size(), 1u);
      EXPECT_THAT(session->plan()[0].kernel, testing::StartsWith("attention"));
      for (const int64_t batch : {1, 3}) {
        TensorMap inputs;
        for (const model::ValueInfo& input : graph.inputs) {
          Shape shape = input.shape;
          shape[0] = batch;
          inputs[input.name] = RandomF32(shape, 5 + inputs.size());
        }
        const Tensor wanted = model::reference::Evaluate(graph, inputs).at("y"),
                     found = session->Run(inputs).at("y");
        ASSERT_EQ(found.shape(), wanted.shape());
        // A share on a tie may fall to the other side, which is a step of 0.01.
        const float tolerance = form.rounded ? 0.012f : 1e-5f;
        for (size_t i = 0; i < wanted.As<float>().size(); ++i)
          ASSERT_NEAR(found.As<float>()[i], wanted.As<float>()[i], tolerance)
              << i << " of " << form.queries << " x " << form.keys;
      }
    }
  }
}

}  // namespace
}  // namespace strop::engine
