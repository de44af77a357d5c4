#include "strop/engine/layers/idioms.h"

#include <algorithm>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/engine/layers/against_reference.h"
#include "strop/engine/test_graphs.h"

namespace strop::engine {
namespace {

using testing::ElementsAre;

model::Graph Begun(int64_t opset) {
  model::Graph graph;
  graph.name = "idioms";
  graph.ir_version = 8;
  graph.opsets[""] = opset;
  graph.inputs = {{"x", DType::kF32, {-1, 5, 24}, {"batch", "", ""}}};
  graph.outputs = {{"y", DType::kF32, {-1, 5, 24}, {"batch", "", ""}}};
  const auto scalar = [&](const char* name, float value) {
    graph.initializers[name] = Values<float>(DType::kF32, {value}, {1});
  };
  scalar("root", 1.41421356f);
  scalar("root_half", 0.70710678f);
  scalar("one", 1);
  scalar("half", 0.5f);
  scalar("two", 2);
  scalar("epsilon", 1e-5f);
  graph.initializers["gamma"] = RandomF32({24}, 2);
  graph.initializers["beta"] = RandomF32({24}, 3);
  graph.initializers["last"] = Values<int64_t>(DType::kI64, {-1}, {1});
  return graph;
}

// x · (1 + erf(x / √2)) / 2, as PyTorch exports it.
model::Graph HalvedLast() {
  model::Graph graph = Begun(14);
  graph.nodes = {MakeNode("Div", "div", {"x", "root"}, {"d"}), MakeNode("Erf", "erf", {"d"}, {"e"}),
                 MakeNode("Add", "plus", {"e", "one"}, {"p"}), MakeNode("Mul", "mul", {"x", "p"}, {"m"}),
                 MakeNode("Mul", "halve", {"m", "half"}, {"y"})};
  return graph;
}

// x / 2 · (1 + erf(x · √½)), with every operand on the other side.
model::Graph HalvedFirst() {
  model::Graph graph = Begun(14);
  graph.nodes = {MakeNode("Mul", "halve", {"half", "x"}, {"h"}),
                 MakeNode("Mul", "scale", {"root_half", "x"}, {"d"}), MakeNode("Erf", "erf", {"d"}, {"e"}),
                 MakeNode("Add", "plus", {"one", "e"}, {"p"}), MakeNode("Mul", "mul", {"p", "h"}, {"y"})};
  return graph;
}

// As PyTorch exports it below opset 17.
model::Graph Norm(int64_t opset = 14, bool power = true) {
  model::Graph graph = Begun(opset);
  const auto mean = [&](const char* name, const char* of, const char* answer) {
    return opset < 18 ? MakeNode("ReduceMean", name, {of}, {answer}, {{"axes", std::vector<int64_t>{-1}}})
                      : MakeNode("ReduceMean", name, {of, "last"}, {answer});
  };
  graph.nodes = {
      mean("mean", "x", "m"),
      MakeNode("Sub", "centre", {"x", "m"}, {"c"}),
      power ? MakeNode("Pow", "square", {"c", "two"}, {"s"}) : MakeNode("Mul", "square", {"c", "c"}, {"s"}),
      mean("variance", "s", "v"),
      MakeNode("Add", "shift", {"v", "epsilon"}, {"w"}),
      MakeNode("Sqrt", "root", {"w"}, {"r"}),
      MakeNode("Div", "div", {"c", "r"}, {"n"}),
      MakeNode("Mul", "mul", {"n", "gamma"}, {"g"}),
      MakeNode("Add", "add", {"g", "beta"}, {"y"})};
  return graph;
}

using Finder = std::optional<Idiom> (*)(const Search&, size_t);

std::optional<Idiom> Found(Finder find, const model::Graph& graph, size_t node,
                           const std::set<std::string>& kept = {"y"}) {
  const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph);
  return find(Search(graph, values, kept), node);
}

TEST(FindGelu, FromEachNodeThatReadsItsInput) {
  for (const size_t node : {0u, 3u}) {
    const std::optional<Idiom> gelu = Found(FindGelu, HalvedLast(), node);
    ASSERT_TRUE(gelu) << node;
    EXPECT_THAT(gelu->nodes, ElementsAre(0, 1, 2, 3, 4));
    EXPECT_EQ(gelu->input, "x");
    EXPECT_EQ(gelu->output, "y");
  }
  for (const size_t node : {0u, 1u}) {
    const std::optional<Idiom> gelu = Found(FindGelu, HalvedFirst(), node);
    ASSERT_TRUE(gelu) << node;
    EXPECT_THAT(gelu->nodes, ElementsAre(0, 1, 2, 3, 4));
    EXPECT_EQ(gelu->output, "y");
  }
}

TEST(FindGelu, NotOfOtherNumbersNorWhereAValueWithinIsRead) {
  const auto refused = [](const model::Graph& begun, const std::function<void(model::Graph&)>& change,
                          const std::set<std::string>& kept = {"y"}) {
    model::Graph graph = begun;
    change(graph);
    for (size_t node = 0; node < graph.nodes.size(); ++node)
      if (Found(FindGelu, graph, node, kept)) return false;
    return true;
  };
  const auto number = [](const char* name, float value, Shape shape = {1}) {
    return
        [=](model::Graph& graph) { graph.initializers[name] = Values<float>(DType::kF32, {value}, shape); };
  };
  const auto nothing = [](model::Graph&) {};
  for (const model::Graph& graph : {HalvedLast(), HalvedFirst()}) {
    EXPECT_FALSE(refused(graph, nothing));
    EXPECT_TRUE(refused(graph, number("one", 2)));
    EXPECT_TRUE(refused(graph, number("half", 0.25f)));
    EXPECT_TRUE(refused(graph, nothing, {"y", "e"}));
    EXPECT_TRUE(refused(graph, number("half", 0.5f, {1, 1, 1, 1}))) << "the answer has a dimension more";
    EXPECT_TRUE(
        refused(graph, [](model::Graph& g) { g.nodes.push_back(MakeNode("Neg", "neg", {"p"}, {"z"})); }));
    EXPECT_TRUE(refused(graph, [](model::Graph& g) { g.nodes[g.nodes[2].op == "Add" ? 2 : 3].op = "Sub"; }));
  }
  EXPECT_TRUE(refused(HalvedLast(), number("root", 1.5f)));
  EXPECT_TRUE(refused(HalvedLast(), [](model::Graph& g) {
    std::swap(g.nodes[0].inputs[0], g.nodes[0].inputs[1]);
  })) << "√2 / x";
  EXPECT_TRUE(refused(HalvedFirst(), [](model::Graph& g) { g.nodes[4].inputs = {"p", "p"}; }));
}

TEST(FindLayerNorm, OfEitherSquareAndOfAxesAsAttributeOrInput) {
  for (const int64_t opset : {11, 14, 18}) {
    for (const bool power : {true, false}) {
      const std::optional<Idiom> norm = Found(FindLayerNorm, Norm(opset, power), 0);
      ASSERT_TRUE(norm) << opset;
      EXPECT_THAT(norm->nodes, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
      EXPECT_EQ(norm->input, "x");
      EXPECT_EQ(norm->output, "y");
      EXPECT_EQ(norm->gamma, "gamma");
      EXPECT_EQ(norm->beta, "beta");
      EXPECT_EQ(norm->epsilon, 1e-5f);
    }
  }
}

TEST(FindLayerNorm, EndsBeforeASumThatIsNotItsOwn) {
  model::Graph graph = Norm();
  graph.nodes.back().inputs = {"g", "x"};
  const std::optional<Idiom> norm = Found(FindLayerNorm, graph, 0);
  ASSERT_TRUE(norm);
  EXPECT_EQ(norm->output, "g");
  EXPECT_EQ(norm->beta, "");
}

TEST(FindLayerNorm, NotOfOtherFormulas) {
  const auto refused = [](const std::function<void(model::Graph&)>& change,
                          const std::set<std::string>& kept = {"y"}) {
    model::Graph graph = Norm();
    change(graph);
    return !Found(FindLayerNorm, graph, 0, kept);
  };
  EXPECT_TRUE(refused([](model::Graph& g) { std::swap(g.nodes[1].inputs[0], g.nodes[1].inputs[1]); }));
  EXPECT_TRUE(refused([](model::Graph& g) { std::swap(g.nodes[6].inputs[0], g.nodes[6].inputs[1]); }));
  EXPECT_TRUE(refused([](model::Graph& g) { g.nodes[3].attributes["axes"] = std::vector<int64_t>{1}; }));
  EXPECT_TRUE(refused([](model::Graph& g) { g.nodes[0].attributes["axes"] = std::vector<int64_t>{1, 2}; }));
  EXPECT_TRUE(refused([](model::Graph& g) {
    g.inputs[0] = {"x", DType::kF32, {24, 24}, {"", ""}};  // where the means would go along the rows
    g.nodes[0].attributes["keepdims"] = int64_t{0};
  }));
  EXPECT_TRUE(refused([](model::Graph& g) { g.initializers["two"] = Values<float>(DType::kF32, {3}, {1}); }));
  EXPECT_TRUE(refused([](model::Graph& g) { g.initializers["gamma"] = RandomF32({5, 24}, 2); }));
  EXPECT_TRUE(refused([](model::Graph& g) { g.nodes[5].op = "Exp"; }));
  EXPECT_TRUE(refused([](model::Graph& g) { g.nodes.push_back(MakeNode("Neg", "neg", {"c"}, {"z"})); }));
  EXPECT_TRUE(refused([](model::Graph&) {}, {"y", "c"}));
  EXPECT_TRUE(refused([](model::Graph&) {}, {"y", "v"}));
}

// Alone beside a product, with what a transformer of opset 14 has between.
TEST(Idioms, AnswerAsTheReference) {
  for (const bool power : {true, false}) {
    model::Graph graph = Norm(14, power);
    graph.initializers["weights"] = RandomF32({24, 24}, 4);
    graph.initializers["half"] = Values<float>(DType::kF32, {0.5f}, {});
    graph.nodes.insert(graph.nodes.begin(), MakeNode("MatMul", "product", {"in", "weights"}, {"t"}));
    const model::Graph gelu = power ? HalvedLast() : HalvedFirst();
    size_t at = 1;
    for (model::Node node : gelu.nodes) {
      node.name += "_gelu";
      for (std::string& value : node.inputs)
        if (!graph.initializers.contains(value)) value = value == "x" ? "t" : value + "_gelu";
      for (std::string& value : node.outputs) value += "_gelu";
      graph.nodes.insert(graph.nodes.begin() + static_cast<ptrdiff_t>(at++), node);
    }
    graph.nodes.insert(graph.nodes.begin() + static_cast<ptrdiff_t>(at),
                       MakeNode("Add", "residual", {"y_gelu", "in"}, {"x"}));
    graph.inputs[0].name = "in";
    for (const int64_t batch : {1, 3}) {
      ExpectAsReference(graph, {{"in", RandomF32({batch, 5, 24}, 5)}}, {.threads = 2},
                        power ? "power" : "product");
    }
  }
}

}  // namespace
}  // namespace strop::engine
