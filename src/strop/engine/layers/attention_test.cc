#include "strop/engine/layers/attention.h"

#include <cmath>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/engine/kernels/int8_gemm/int8_gemm.h"
#include "strop/engine/layers/search.h"
#include "strop/engine/session.h"
#include "strop/engine/test_graphs.h"
#include "strop/model/reference/evaluator.h"

namespace strop::engine {
namespace {

struct Form {
  int64_t queries = 7, keys = 7, heads = 3, depth = 5, value_depth = 5;
  bool mask = true, full_mask = false, two_transposes = false, scaled_first = false;
  DType dtype = DType::kF32;  // of query, key and value; of bytes, the shares pass through them too
  int value_zero = 120, share_zero = 0;
  bool into_bytes = false;  // the answer
};

Tensor Sizes(std::vector<int64_t> sizes) {
  return Values<int64_t>(DType::kI64, sizes, {static_cast<int64_t>(sizes.size())});
}

// The nodes of exporters.
model::Graph Attention(const Form& form) {
  model::Graph graph;
  graph.name = "attention";
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  const int64_t width = form.heads * form.depth, value_width = form.heads * form.value_depth;
  graph.inputs = {{"q", form.dtype, {-1, form.queries, width}, {"batch", "", ""}},
                  {"k", form.dtype, {-1, form.keys, width}, {"batch", "", ""}},
                  {"v", form.dtype, {-1, form.keys, value_width}, {"batch", "", ""}}};
  if (form.mask)
    graph.inputs.push_back(
        {"mask", DType::kF32, {-1, 1, form.full_mask ? form.queries : 1, form.keys}, {"batch", "", "", ""}});
  graph.outputs = {
      {"y", form.into_bytes ? DType::kU8 : DType::kF32, {-1, form.queries, value_width}, {"batch", "", ""}}};
  graph.initializers["heads"] = Sizes({0, 0, form.heads, form.depth});
  graph.initializers["value_heads"] = Sizes({0, 0, form.heads, form.value_depth});
  graph.initializers["width"] = Sizes({0, 0, value_width});
  graph.initializers["root"] = Values<float>(DType::kF32, {std::sqrt(static_cast<float>(form.depth))}, {});
  graph.initializers["part"] =
      Values<float>(DType::kF32, {std::pow(static_cast<float>(form.depth), -0.25f)}, {});
  const auto bytes = [&](const std::string& name, float scale, int zero) {  // `zero` of uint8
    graph.initializers[name + "_scale"] = Values<float>(DType::kF32, {scale}, {});
    graph.initializers[name + "_zero"] =
        form.dtype == DType::kI8 ? Values<int8_t>(DType::kI8, {static_cast<int8_t>(zero - 128)}, {})
                                 : Values<uint8_t>(DType::kU8, {static_cast<uint8_t>(zero)}, {});
  };
  bytes("q", 0.01f, 131);
  bytes("k", 0.02f, 117);
  bytes("v", 0.015f, form.value_zero);
  bytes("shares", 1 / 240.0f, form.share_zero);
  graph.initializers["y_scale"] = Values<float>(DType::kF32, {0.01f}, {});
  graph.initializers["y_zero"] = Values<uint8_t>(DType::kU8, {128}, {});
  const auto add = [&](std::string op, std::vector<std::string> inputs, const std::string& output,
                       std::map<std::string, model::Attribute> attributes = {}) {
    graph.nodes.push_back(
        MakeNode(std::move(op), output, std::move(inputs), {output}, std::move(attributes)));
    return output;
  };
  const auto numbers = [&](const std::string& value, const std::string& of) {
    if (form.dtype == DType::kF32) return value;
    return add("DequantizeLinear", {value, of + "_scale", of + "_zero"}, value + "_d");
  };
  const std::vector<int64_t> first = {0, 2, 1, 3}, depth = {0, 2, 3, 1}, last = {0, 1, 3, 2};
  std::string q = add("Transpose", {add("Reshape", {"q", "heads"}, "qr")}, "qt", {{"perm", first}});
  std::string k = add("Reshape", {"k", "heads"}, "kr");
  if (form.two_transposes) {
    k = add("Transpose", {add("Transpose", {k}, "kt0", {{"perm", first}})}, "kt", {{"perm", last}});
  } else {
    k = add("Transpose", {k}, "kt", {{"perm", depth}});
  }
  if (form.scaled_first) {  // as scaled_dot_product_attention is exported
    q = add("Mul", {q, "part"}, "q_part");
    k = add("Mul", {k, "part"}, "k_part");
  }
  const std::string v =
      add("Transpose", {add("Reshape", {"v", "value_heads"}, "vr")}, "vt", {{"perm", first}});
  std::string scores = add("MatMul", {numbers(q, "q"), numbers(k, "k")}, "scores");
  if (!form.scaled_first) scores = add("Div", {scores, "root"}, "scaled");
  if (form.mask) scores = add("Add", {scores, "mask"}, "masked");
  std::string shares = add("Softmax", {scores}, "shares");
  if (form.dtype != DType::kF32)
    shares = numbers(add("QuantizeLinear", {shares, "shares_scale", "shares_zero"}, "shares_q"), "shares");
  std::string mix = add("MatMul", {shares, numbers(v, "v")}, "mix");
  if (form.into_bytes) mix = add("QuantizeLinear", {mix, "y_scale", "y_zero"}, "mix_q");
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
  const model::Graph scaled_first = Attention({.scaled_first = true});
  const std::vector<AttentionLayer> same = Find(scaled_first, {"y"});
  ASSERT_EQ(same.size(), 1u);
  EXPECT_EQ(same[0].nodes.size(), scaled_first.nodes.size());
  EXPECT_FLOAT_EQ(same[0].scale, 1 / std::sqrt(5.0f));
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

// Sizes of a model's inputs that differ are broadcast, or widened by a mask, or nothing is there.
TEST(FindAttention, WhatIsBroadcastStaysWithOpenVino) {
  const std::vector<std::pair<size_t, Shape>> others = {
      {0, {1, 7, 15}}, {1, {1, 7, 15}}, {2, {1, 7, 15}}, {3, {2, 1, 1, 7}}};
  for (const auto& [input, shape] : others) {
    model::Graph graph = Attention({});
    graph.inputs[input].shape = shape;
    EXPECT_TRUE(Find(graph, {"y"}).empty()) << graph.inputs[input].name << " " << ShapeText(shape);
  }
  model::Graph widened = Attention({.queries = 1, .full_mask = true});
  widened.inputs[3].shape[2] = 9;
  EXPECT_TRUE(Find(widened, {"y"}).empty());
  EXPECT_TRUE(Find(Attention({.keys = 0}), {"y"}).empty());
}

TEST(FindAttention, ADivisorWithoutAReciprocalStaysWithOpenVino) {
  model::Graph graph = Attention({});
  for (const float divisor : {1e-39f, 0.0f}) {
    graph.initializers["root"] = Values<float>(DType::kF32, {divisor}, {});
    EXPECT_TRUE(Find(graph, {"y"}).empty()) << divisor;
  }
}

TEST(FindAttention, BytesBackByAnotherScaleStayWithOpenVino) {
  model::Graph graph = Attention({.dtype = DType::kU8});
  for (model::Node& node : graph.nodes)
    if (node.outputs[0] == "shares_q_d") node.inputs[1] = "v_scale";
  EXPECT_TRUE(Find(graph, {"y"}).empty());
}

// On one and two threads, of one and three images, as the kernel says.
void ExpectAsReference(const Form& form, const std::string& kernel) {
  const model::Graph graph = Attention(form);
  for (const int threads : {1, 2}) {
    SessionOptions options;
    options.prefer = "strop";
    options.threads = threads;
    const auto session = Session::Make(graph, options);
    ASSERT_EQ(session->plan().size(), 1u);
    EXPECT_THAT(session->plan()[0].kernel, testing::StartsWith(kernel));
    for (const int64_t batch : {1, 3}) {
      TensorMap inputs;
      for (const model::ValueInfo& input : graph.inputs) {
        Shape shape = input.shape;
        shape[0] = batch;
        inputs[input.name] = input.dtype == DType::kF32 ? RandomF32(shape, 5 + inputs.size())
                                                        : RandomBytes(input.dtype, shape, 5 + inputs.size());
      }
      const Tensor wanted = model::reference::Evaluate(graph, inputs).at("y").Cast(DType::kF32),
                   found = session->Run(inputs).at("y").Cast(DType::kF32);
      ASSERT_EQ(found.shape(), wanted.shape());
      // A share on a tie may fall to the other side, which is 1 / 240 of a value up to 136 · 0.015.
      const float tolerance = form.into_bytes ? 1.0f : form.dtype == DType::kF32 ? 1e-5f : 0.009f;
      int64_t off = 0;
      for (size_t i = 0; i < wanted.As<float>().size(); ++i) {
        const float x = found.As<float>()[i], y = wanted.As<float>()[i];
        ASSERT_NEAR(x, y, tolerance) << i << " of " << form.queries << " x " << form.keys;
        off += std::abs(x - y) > 1e-5f ? 1 : 0;
      }
      EXPECT_LE(off, static_cast<int64_t>(wanted.size()) / 50) << form.queries << " x " << form.keys;
    }
  }
}

TEST(Attention, AnswersAsTheReference) {
  const std::vector<Form> forms = {
      {},
      {.mask = false},
      {.full_mask = true},
      {.two_transposes = true},
      {.scaled_first = true},
      {.mask = false, .scaled_first = true},
      {.queries = 130, .keys = 33, .heads = 2, .depth = 32, .value_depth = 40},
      {.queries = 1, .keys = 300, .heads = 4, .depth = 64, .value_depth = 64},
  };
  for (const Form& form : forms) ExpectAsReference(form, "attention_f32");
}

TEST(Attention, OfBytesAnswersAsTheReference) {
  std::vector<Form> forms = {
      {.depth = 8},
      {.depth = 8, .mask = false, .value_zero = 128},
      {.depth = 12, .full_mask = true, .into_bytes = true},
      {.depth = 4, .two_transposes = true, .share_zero = 10},
      {.queries = 130, .keys = 33, .heads = 2, .depth = 32, .value_depth = 40},
      {.queries = 1, .keys = 300, .heads = 4, .depth = 64, .value_depth = 64, .into_bytes = true},
      {.queries = 70, .keys = 128, .heads = 2, .depth = 32, .value_depth = 32, .share_zero = 3},
      {.queries = 3, .keys = 1, .heads = 1, .depth = 132, .value_depth = 70},
  };
  const bool saturates = PickInt8Gemm({64, 64, 64}, Cpu()).rest_lanes > 0;
  for (Form& form : forms) {
    for (const DType dtype : {DType::kU8, DType::kI8}) {
      form.dtype = dtype;
      ExpectAsReference(form, saturates ? "attention_f32" : "attention_u8s8");
    }
  }
  // A scale whose products may be infinite.
  model::Graph hostile = Attention({.depth = 8, .dtype = DType::kU8});
  hostile.initializers["k_scale"] = Values<float>(DType::kF32, {1e30f}, {});
  SessionOptions own;
  own.prefer = "strop";
  EXPECT_THAT(Session::Make(hostile, own)->plan()[0].kernel, testing::StartsWith("attention_f32"));
  // Heads whose depth is no whole group of four.
  ExpectAsReference({.depth = 6, .dtype = DType::kU8}, "attention_f32");
  ExpectAsReference({.depth = 6, .dtype = DType::kI8, .into_bytes = true}, "attention_f32");
}

}  // namespace
}  // namespace strop::engine
