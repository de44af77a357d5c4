#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/model/graph.h"
#include "strop/model/test_graph.h"

// What rules tell of sizes that are not known, beside what they tell of known ones.
namespace strop::model {
namespace {

using List = std::vector<int64_t>;
using Attributes = std::map<std::string, Attribute>;

// x [batch, 3, height, width] and what nodes make of it.
Graph Begun(std::vector<Node> nodes, int64_t opset = 17) {
  Graph graph = NewGraph(opset, {{"x", DType::kF32, {-1, 3, -1, -1}, {"batch", "", "height", "width"}}}, {});
  graph.nodes = std::move(nodes);
  return graph;
}

std::string TextOf(const Node& node) {
  std::string text = node.op;
  for (const auto& [name, value] : node.attributes) {
    if (const auto* ints = std::get_if<List>(&value)) text += fmt::format(" {} {}", name, ShapeText(*ints));
    if (const auto* word = std::get_if<std::string>(&value)) text += fmt::format(" {} {}", name, *word);
    if (const auto* number = std::get_if<int64_t>(&value)) text += fmt::format(" {} {}", name, *number);
  }
  return text;
}

// Every dynamic size of every value is told and has the inferred one's value wherever that exists. Answers at
// how many sizes it did.
int ExpectTold(const Graph& graph, bool all = true) {
  const auto values = InferShapes(graph);
  int holds = 0;
  for (int64_t i = 1; i <= 45; ++i) {
    const Shape x = {1 + i % 4, 3, i, 1 + i * 7 % 24};
    std::map<std::string, ValueInfo> wanted;
    try {
      wanted = InferShapes(graph, {{"x", x}});
    } catch (const Error&) {
      continue;
    }
    ++holds;
    for (const auto& [name, value] : values) {
      for (size_t axis = 0; axis < value.shape.size(); ++axis) {
        if (value.shape[axis] >= 0) continue;
        bool of_inputs = value.sizes[axis].known();
        const int64_t told = !of_inputs ? -1 : value.sizes[axis].At([&](const std::string& size) -> int64_t {
          if (size != "batch" && size != "height" && size != "width") of_inputs = false;
          return size == "batch" ? x[0] : size == "height" ? x[2] : x[3];
        });
        EXPECT_TRUE(of_inputs || !all) << TextOf(graph.nodes.back()) << ": " << name << " axis " << axis;
        if (!of_inputs) continue;
        EXPECT_EQ(told, wanted.at(name).shape[axis]) << TextOf(graph.nodes.back()) << ": " << name << " "
                                                     << value.sizes[axis].Text() << " at " << ShapeText(x);
      }
    }
  }
  return holds;
}

std::string Told(const Graph& graph, const std::string& value, size_t axis) {
  return InferShapes(graph).at(value).sizes[axis].Text();
}

TEST(SymbolicSizes, OfWindowsAreCounted) {
  for (const int64_t kernel : {1, 2, 3, 5}) {
    for (const int64_t stride : {1, 2, 3}) {
      for (const int64_t dilation : {1, 2}) {
        for (const List& pads : {List{0, 0, 0, 0}, {1, 1, 1, 1}, {0, 2, 1, 0}, {1, 0, 2, 3}}) {
          for (const char* auto_pad : {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"}) {
            for (const char* op : {"Conv", "MaxPool", "AveragePool"}) {
              for (const int64_t ceil : {0, 1}) {
                const bool conv = std::string(op) == "Conv";
                if (conv && ceil == 1) continue;
                Attributes attributes = {{"strides", List{stride, stride}},
                                         {"dilations", List{dilation, dilation}},
                                         {"auto_pad", std::string(auto_pad)}};
                if (std::string(auto_pad) == "NOTSET") attributes["pads"] = pads;
                if (!conv) attributes["kernel_shape"] = List{kernel, kernel};
                if (!conv) attributes["ceil_mode"] = ceil;
                Graph graph = Begun({MakeNode(op, {"x"}, {"y"}, attributes)}, 19);
                if (conv) {
                  graph.nodes[0].inputs.emplace_back("w");
                  graph.initializers["w"] = Tensor::New(DType::kF32, {4, 3, kernel, kernel});
                }
                const bool all = ceil == 0 || pads[3] < dilation * (kernel - 1) + 1;
                EXPECT_GT(ExpectTold(graph, all && pads[2] < dilation * (kernel - 1) + 1), 20);
                if (HasFailure()) return;
              }
            }
          }
        }
      }
    }
  }
}

TEST(SymbolicSizes, OfWindowsThatKeepThemAreTheSame) {
  Graph graph = Begun({MakeNode("Conv", {"x", "w"}, {"y"}, {{"pads", List{1, 2, 1, 2}}})});
  graph.initializers["w"] = Tensor::New(DType::kF32, {4, 3, 3, 5});
  const auto values = InferShapes(graph);
  EXPECT_THAT(values.at("y").dim_names, testing::ElementsAre("batch", "", "height", "width"));
  graph.inputs[0].dim_names.assign(4, "");
  EXPECT_TRUE(SameSize(InferShapes(graph).at("x"), 3, InferShapes(graph).at("y"), 3));
  EXPECT_FALSE(SameSize(InferShapes(graph).at("x"), 2, InferShapes(graph).at("y"), 3));
  EXPECT_THAT(InferShapes(graph).at("y").dim_names, testing::Each(""));
}

// The long way and the short one of a residual block, and both of the next.
TEST(SymbolicSizes, OfBranchesMeet) {
  const List two = {2, 2}, pads = {1, 1, 1, 1};
  const auto conv = [](const char* from, const char* to, const char* weight, Attributes attributes) {
    return MakeNode("Conv", {from, weight}, {to}, std::move(attributes));
  };
  Graph graph =
      Begun({conv("x", "a", "w3", {{"strides", two}, {"pads", pads}}),
             conv("a", "b", "w3", {{"strides", two}, {"pads", pads}}), conv("b", "c", "w3", {{"pads", pads}}),
             conv("x", "s", "w1", {{"strides", List{4, 4}}}), MakeNode("Add", {"c", "s"}, {"y"})});
  graph.initializers["w3"] = Tensor::New(DType::kF32, {3, 3, 3, 3});
  graph.initializers["w1"] = Tensor::New(DType::kF32, {3, 3, 1, 1});
  EXPECT_EQ(ExpectTold(graph), 45);
  EXPECT_EQ(Told(graph, "y", 2), "((height+3)/4)");
  EXPECT_EQ(Told(graph, "s", 3), "((width+3)/4)");
  EXPECT_THAT(InferShapes(graph).at("y").dim_names, testing::ElementsAre("batch", "", "", ""));
}

}  // namespace
}  // namespace strop::model
