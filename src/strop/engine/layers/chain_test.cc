#include "strop/engine/layers/chain.h"

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

using testing::ElementsAre;
using testing::SizeIs;

// x [batch, 5, 12] -> MatMul by w -> h, of n columns; chains follow h.
model::Graph Begun(int64_t n) {
  model::Graph graph;
  graph.name = "chain";
  graph.ir_version = 8;
  graph.opsets[""] = 20;
  graph.inputs = {{"x", DType::kF32, {-1, 5, 12}, {"batch", "", ""}}};
  graph.initializers["w"] = RandomF32({12, n}, 1);
  graph.nodes = {MakeNode("MatMul", "matmul", {"x", "w"}, {"h"})};
  return graph;
}

void End(model::Graph& graph, const std::string& output, int64_t n, DType dtype = DType::kF32) {
  graph.outputs = {{output, dtype, {-1, 5, n}, {"batch", "", ""}}};
}

std::optional<Chain> From(const model::Graph& graph, const std::set<std::string>& kept) {
  const std::map<std::string, model::ValueInfo> values = model::InferShapes(graph);
  const Search search(graph, values, kept);
  return FindChainFrom(search, "h");
}

// GELU as exporters write it, and the residual and normalization of a transformer.
model::Graph Transformer() {
  model::Graph graph = Begun(24);
  graph.inputs.push_back({"r", DType::kF32, {-1, 5, 24}, {"batch", "", ""}});
  graph.initializers["root"] = Values<float>(DType::kF32, {1.41421356f}, {});
  graph.initializers["one"] = Values<float>(DType::kF32, {1}, {1});
  graph.initializers["half"] = Values<float>(DType::kF32, {0.5f}, {});
  graph.initializers["gamma"] = RandomF32({24}, 2);
  graph.initializers["beta"] = RandomF32({24}, 3);
  graph.nodes.insert(
      graph.nodes.end(),
      {MakeNode("Div", "div", {"h", "root"}, {"d"}), MakeNode("Erf", "erf", {"d"}, {"e"}),
       MakeNode("Add", "plus", {"e", "one"}, {"p"}), MakeNode("Mul", "mul", {"h", "p"}, {"m"}),
       MakeNode("Mul", "halve", {"m", "half"}, {"g"}), MakeNode("Add", "residual", {"r", "g"}, {"s"}),
       MakeNode("LayerNormalization", "norm", {"s", "gamma", "beta"}, {"y"}, {{"epsilon", 1e-12f}})});
  End(graph, "y", 24);
  return graph;
}

TEST(FindChain, ReachesFromAProductOverGeluAndResidualToTheNormalization) {
  const std::optional<Chain> chain = From(Transformer(), {"y"});
  ASSERT_TRUE(chain);
  EXPECT_THAT(chain->nodes, ElementsAre(1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(chain->inputs, SizeIs(2));
  EXPECT_EQ(chain->inputs[1].value, "r");
  EXPECT_EQ(chain->output, "y");
}

TEST(FindChain, AKeptValueEndsIt) {
  const std::optional<Chain> chain = From(Transformer(), {"y", "g"});
  ASSERT_TRUE(chain);
  EXPECT_EQ(chain->output, "g");
  EXPECT_FALSE(From(Transformer(), {"y", "h"})) << "the product itself must come out";
}

TEST(FindChain, AValueThatAnotherNodeReadsIsNotHidden) {
  model::Graph graph = Transformer();
  graph.nodes.push_back(MakeNode("Sin", "sin", {"m"}, {"z"}));
  graph.outputs.push_back({"z", DType::kF32, {-1, 5, 24}, {"batch", "", ""}});
  EXPECT_EQ(From(graph, {"y", "z"})->output, "m");
}

TEST(FindChain, ValuesOfSizesThatMayDifferAreNotJoined) {
  model::Graph graph = Transformer();
  graph.inputs[1].dim_names[0] = "other";
  EXPECT_EQ(From(graph, {"y"})->output, "g");
}

TEST(FindChain, ElementByElementKeepsSizesThatHaveNoName) {
  model::Graph graph = Begun(1);
  graph.initializers["scalar"] = RandomF32({1}, 4);
  graph.initializers["wide"] = RandomF32({1, 1, 1, 1}, 5);
  graph.inputs = {{"h", DType::kF32, {-1, 5, -1}, {"", "", ""}}};
  graph.nodes = {MakeNode("Mul", "mul", {"h", "scalar"}, {"m"}), MakeNode("Tanh", "tanh", {"m"}, {"t"}),
                 MakeNode("Add", "add", {"t", "wide"}, {"y"})};
  graph.outputs = {{"y", DType::kF32, {-1, -1, 5, -1}, {"", "", "", ""}}};
  EXPECT_EQ(From(graph, {"y"})->output, "t") << "the sum has a dimension more";
}

TEST(FindChain, EndsWithTheQuantizer) {
  model::Graph graph = Transformer();
  graph.initializers["scale"] = Values<float>(DType::kF32, {0.1f}, {});
  graph.initializers["zero"] = Values<uint8_t>(DType::kU8, {3}, {});
  graph.nodes.push_back(MakeNode("QuantizeLinear", "quantize", {"y", "scale", "zero"}, {"q"}));
  End(graph, "q", 24, DType::kU8);
  const std::optional<Chain> chain = From(graph, {"q"});
  ASSERT_TRUE(chain && chain->quantized);
  EXPECT_EQ(chain->quantized->zero, 3);
}

TensorMap RunWith(const model::Graph& graph, const TensorMap& inputs, int threads) {
  SessionOptions options;
  options.prefer = "strop";
  options.threads = threads;
  const auto session = Session::Make(graph, options);
  for (const LayerPlan& layer : session->plan())
    EXPECT_NE(layer.kernel, "openvino") << layer.layer << " " << layer.op;
  return session->Run(inputs);
}

void ExpectAsReference(const model::Graph& graph, int64_t batch, int threads, const std::string& what) {
  TensorMap inputs;
  uint64_t seed = 10;
  for (const model::ValueInfo& input : graph.inputs) {
    Shape shape = input.shape;
    if (shape[0] == -1) shape[0] = batch;
    inputs[input.name] = RandomF32(shape, seed++);
  }
  const TensorMap found = RunWith(graph, inputs, threads);
  for (const auto& [name, wanted] : model::reference::Evaluate(graph, inputs)) {
    ASSERT_EQ(found.at(name).shape(), wanted.shape()) << what;
    ASSERT_EQ(found.at(name).dtype(), wanted.dtype()) << what;
    const Tensor a = found.at(name).Cast(DType::kF64), b = wanted.Cast(DType::kF64);
    for (size_t i = 0; i < a.As<double>().size(); ++i) {
      const double x = a.As<double>()[i], y = b.As<double>()[i];
      if (std::isnan(y)) {
        ASSERT_TRUE(std::isnan(x)) << what << " at " << i;
      } else if (x != y) {  // bytes may fall to the other side of a tie
        ASSERT_NEAR(x, y, wanted.dtype() == DType::kF32 ? 2e-5 * std::max(1.0, std::abs(y)) : 1.0)
            << what << " at " << i;
      }
    }
  }
}

TEST(Chain, OfATransformerAnswersAsTheReference) {
  for (const int threads : {1, 2})
    for (const int64_t batch : {1, 3, 64})
      ExpectAsReference(Transformer(), batch, threads, std::to_string(batch));
}

// Random chains behind a product: unary and binary operators, constants of one element, of a row, of five
// rows, values from before, norms, and bytes at the end.
TEST(Chain, RandomOnesAnswerAsTheReference) {
  for (uint64_t seed = 0; seed < 120; ++seed) {
    Rng rng(seed);
    const int64_t n = std::vector<int64_t>{1, 7, 24, 300, 5000}[rng.Below(5)];
    model::Graph graph = Begun(n);
    graph.initializers["scalar"] = RandomF32({1}, seed + 1);
    graph.initializers["row"] = RandomF32({n}, seed + 2);
    graph.initializers["rows"] = RandomF32({5, n}, seed + 3);
    graph.initializers["scale"] = Values<float>(DType::kF32, {0.03f}, {});
    graph.initializers["zero"] = Values<int8_t>(DType::kI8, {-5}, {});
    std::string value = "h";
    const size_t count = 1 + rng.Below(8);
    for (size_t i = 0; i < count; ++i) {
      const std::string next = "v" + std::to_string(i);
      const std::vector<std::string> one = {"Abs", "Relu", "Sigmoid",   "Tanh",      "Erf",
                                            "Neg", "Gelu", "HardSwish", "LeakyRelu", "Floor"};
      const std::vector<std::string> two = {"Add", "Sub", "Mul", "Max", "Min"};
      const std::vector<std::string> other = {"scalar", "row", "rows", "h", value};
      const uint64_t kind = rng.Below(10);
      if (kind < 4) {
        graph.nodes.push_back(MakeNode(one[rng.Below(one.size())], next, {value}, {next}));
      } else if (kind < 8) {
        std::vector<std::string> operands = {value, other[rng.Below(other.size())]};
        if (rng.Below(2) == 0) std::swap(operands[0], operands[1]);
        graph.nodes.push_back(MakeNode(two[rng.Below(two.size())], next, operands, {next}));
      } else if (kind == 8) {
        graph.nodes.push_back(MakeNode("Softmax", next, {value}, {next}));
      } else {
        graph.nodes.push_back(MakeNode("LayerNormalization", next, {value, "row", "row"}, {next}));
      }
      value = next;
    }
    const bool bytes = rng.Below(3) == 0;
    if (bytes) {
      graph.nodes.push_back(MakeNode("QuantizeLinear", "q", {value, "scale", "zero"}, {"q"}));
      value = "q";
    }
    End(graph, value, n, bytes ? DType::kI8 : DType::kF32);
    ExpectAsReference(graph, 1 + static_cast<int64_t>(rng.Below(3)), 2, "seed " + std::to_string(seed));
    if (HasFatalFailure()) return;
  }
}

// As a network of images begins.
TEST(Chain, BytesAreCastAndScaled) {
  for (const DType dtype : {DType::kU8, DType::kI8}) {
    model::Graph graph = Begun(24);
    graph.inputs[0].dtype = dtype;
    graph.initializers["most"] = Values<float>(DType::kF32, {255}, {});
    graph.nodes = {MakeNode("Cast", "cast", {"x"}, {"c"}, {{"to", int64_t{1}}}),
                   MakeNode("Div", "div", {"c", "most"}, {"d"}),
                   MakeNode("MatMul", "matmul", {"d", "w"}, {"y"})};
    End(graph, "y", 24);
    const TensorMap inputs = {{"x", RandomBytes(dtype, {3, 5, 12}, 4)}};
    const Tensor found = RunWith(graph, inputs, 1).at("y"),
                 wanted = model::reference::Evaluate(graph, inputs).at("y");
    for (size_t i = 0; i < 3 * 5 * 24; ++i) ASSERT_NEAR(found.As<float>()[i], wanted.As<float>()[i], 1e-5);
  }
}

// The sum of two layers' bytes, as a quantized residual network has it.
TEST(Chain, SumsBytes) {
  model::Graph graph = Begun(24);
  graph.initializers["scale"] = Values<float>(DType::kF32, {0.02f}, {});
  graph.initializers["zero"] = Values<uint8_t>(DType::kU8, {100}, {});
  graph.nodes.insert(graph.nodes.end(),
                     {MakeNode("QuantizeLinear", "q", {"h", "scale", "zero"}, {"hq"}),
                      MakeNode("DequantizeLinear", "d", {"hq", "scale", "zero"}, {"hd"}),
                      MakeNode("Neg", "neg", {"hd"}, {"n"}),
                      MakeNode("QuantizeLinear", "nq", {"n", "scale", "zero"}, {"nq"}),
                      MakeNode("DequantizeLinear", "nd", {"nq", "scale", "zero"}, {"nd"}),
                      MakeNode("Add", "add", {"hd", "nd"}, {"s"}), MakeNode("Relu", "relu", {"s"}, {"t"}),
                      MakeNode("QuantizeLinear", "sq", {"t", "scale", "zero"}, {"y"})});
  End(graph, "y", 24, DType::kU8);
  ExpectAsReference(graph, 3, 2, "bytes");
}

// The bytes of the sum are followed by what is a function of them, or by what is not.
TEST(Chain, GoesOnFromTheBytesOfASum) {
  for (const std::string next : {"Relu", "Add"}) {
    model::Graph graph = Begun(24);
    graph.initializers["scale"] = Values<float>(DType::kF32, {0.02f}, {});
    graph.initializers["coarse"] = Values<float>(DType::kF32, {0.05f}, {});
    graph.initializers["zero"] = Values<uint8_t>(DType::kU8, {100}, {});
    const std::vector<std::string> inputs =
        next == "Relu" ? std::vector<std::string>{"sd"} : std::vector<std::string>{"sd", "nd"};
    graph.nodes.insert(graph.nodes.end(),
                       {MakeNode("QuantizeLinear", "q", {"h", "scale", "zero"}, {"hq"}),
                        MakeNode("DequantizeLinear", "d", {"hq", "scale", "zero"}, {"hd"}),
                        MakeNode("Neg", "neg", {"hd"}, {"n"}),
                        MakeNode("QuantizeLinear", "nq", {"n", "coarse", "zero"}, {"nq"}),
                        MakeNode("DequantizeLinear", "nd", {"nq", "coarse", "zero"}, {"nd"}),
                        MakeNode("Add", "add", {"hd", "nd"}, {"s"}),
                        MakeNode("QuantizeLinear", "sq", {"s", "scale", "zero"}, {"sq"}),
                        MakeNode("DequantizeLinear", "sd", {"sq", "scale", "zero"}, {"sd"}),
                        MakeNode(next, "next", inputs, {"t"}),
                        MakeNode("QuantizeLinear", "tq", {"t", "coarse", "zero"}, {"y"})});
    End(graph, "y", 24, DType::kU8);
    ExpectAsReference(graph, 3, 2, next);
  }
}

}  // namespace
}  // namespace strop::engine
