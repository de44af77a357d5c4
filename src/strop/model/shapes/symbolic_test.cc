#include <cstdlib>

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
    Shape x = {1 + i % 4, 3, i, 1 + i * 7 % 24};
    for (size_t axis = 0; axis < x.size(); ++axis)
      if (graph.inputs[0].shape[axis] >= 0) x[axis] = graph.inputs[0].shape[axis];
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

// The number of what is behind Shape, at places of x's shape.
std::vector<Node> SizeAt(const std::string& place, const std::string& to) {
  return {MakeNode("Shape", {"x"}, {to + "_shape"}), MakeNode("Gather", {to + "_shape", place}, {to})};
}

Graph With(std::map<std::string, Tensor> constants, std::vector<Node> nodes) {
  Graph graph = Begun(std::move(nodes), 18);
  graph.initializers = std::move(constants);
  return graph;
}

Tensor Scalar(int64_t value) { return Tensor::From<int64_t>({}, List{value}); }

TEST(SymbolicSizes, OfRowsAreProducts) {
  for (const auto& [target, text] : std::map<List, std::string>{{{-1, 3}, "batch*height*width"},
                                                                {{0, -1}, "3*height*width"},
                                                                {{-1, 0, 1}, "batch*height*width"},
                                                                {{0, 3, -1}, "height*width"}}) {
    const Graph graph = With({{"to", Ints(target)}}, {MakeNode("Reshape", {"x", "to"}, {"y"})});
    EXPECT_EQ(ExpectTold(graph), 45);
    const ValueInfo y = InferShapes(graph).at("y");
    std::vector<std::string> texts;
    for (const SymbolicSize& size : y.sizes) texts.push_back(size.Text());
    EXPECT_THAT(texts, testing::Contains(text));
  }
  for (const int64_t axis : {0, 1, 2, 3, 4})
    EXPECT_EQ(ExpectTold(Begun({MakeNode("Flatten", {"x"}, {"y"}, {{"axis", axis}})})), 45);

  // There and back, and in parts that need not come out even.
  Graph back = With({{"to", Ints({-1, 3})}},
                    {MakeNode("Reshape", {"x", "to"}, {"y"}), MakeNode("Shape", {"x"}, {"shape"}),
                     MakeNode("Reshape", {"y", "shape"}, {"z"}), MakeNode("Add", {"z", "x"}, {"sum"})});
  EXPECT_EQ(ExpectTold(back), 45);
  EXPECT_TRUE(SameSize(InferShapes(back).at("sum"), 2, InferShapes(back).at("x"), 2));
  back.initializers["to"] = Ints({-1, 5});
  EXPECT_LT(ExpectTold(back, false), 45);
  EXPECT_THAT(Told(back, "y", 0), "y\n0");
}

TEST(SymbolicSizes, FollowIntegersThatAreCalculated) {
  for (const char* count : {"wide", "wider", "less", "half", "h"}) {
    Graph graph = With({{"place", Ints({2})}, {"one", Ints({1})}, {"two", Ints({2})}}, SizeAt("place", "h"));
    for (const Node& node :
         {MakeNode("Mul", {"h", "two"}, {"wide"}), MakeNode("Add", {"wide", "two"}, {"wider"}),
          MakeNode("Sub", {"wider", "one"}, {"less"}), MakeNode("Div", {"less", "two"}, {"half"}),
          MakeNode("ConstantOfShape", {count}, {"y"}),
          MakeNode("Concat", {"two", count, "one"}, {"to"}, {{"axis", int64_t{0}}}),
          MakeNode("Reshape", {"y", "of_y"}, {"z"}), MakeNode("Expand", {"z", "to"}, {"e"})})
      graph.nodes.push_back(node);
    graph.initializers["of_y"] = Ints({1, -1, 1});
    EXPECT_EQ(ExpectTold(graph), 45);
    EXPECT_THAT(Told(graph, "e", 1), testing::HasSubstr("height"));
  }
}

TEST(SymbolicSizes, OfARangeAreItsEnd) {
  Graph graph = With({{"place", Scalar(2)}, {"zero", Scalar(0)}, {"one", Scalar(1)}}, SizeAt("place", "h"));
  graph.nodes.push_back(MakeNode("Range", {"zero", "h", "one"}, {"y"}));
  EXPECT_EQ(ExpectTold(graph), 45);
  EXPECT_EQ(Told(graph, "y", 0), "height");
}

TEST(SymbolicSizes, OfWhatIsJoinedPaddedAndCut) {
  Graph joined = With({{"w", Tensor::New(DType::kF32, {1, 3, 5, 1})}},
                      {MakeNode("Concat", {"x", "x", "w"}, {"y"}, {{"axis", int64_t{2}}})});
  joined.inputs[0].shape = {1, 3, -1, 1};
  EXPECT_EQ(ExpectTold(joined), 45);
  EXPECT_EQ(Told(joined, "y", 2), "2*height+5");
  EXPECT_EQ(ExpectTold(With({{"n", Ints({2, 1, 3, 1})}}, {MakeNode("Tile", {"x", "n"}, {"y"})})), 45);
  for (const List& pads : {List{0, 0, 1, 2, 0, 0, 3, 0}, {0, 0, -4, 0, 0, 0, 1, 0}})
    EXPECT_GT(ExpectTold(With({{"n", Ints(pads)}}, {MakeNode("Pad", {"x", "n"}, {"y"})})), 40);
  const Node split = MakeNode("Split", {"x"}, {"y", "z"}, {{"axis", int64_t{2}}});
  EXPECT_EQ(ExpectTold(Begun({split}), false), 45);
  Node halves = split;
  halves.inputs = {"twice"};
  EXPECT_EQ(ExpectTold(Begun({MakeNode("Concat", {"x", "x"}, {"twice"}, {{"axis", int64_t{2}}}), halves})),
            45);
  constexpr int64_t kMost = INT64_MAX;
  for (const List& cut : {List{0, kMost, 1},
                          {0, kMost, 3},
                          {-1, -kMost, -1},
                          {kMost, -kMost, -2},  // whole
                          {1, kMost, 1},
                          {0, 7, 1},
                          {0, -1, 1},
                          {-3, kMost, 1},
                          {-2, -kMost, -1}}) {
    const bool whole = cut[0] != 1 && cut[0] > -2 && std::abs(cut[1]) == kMost;
    const Graph graph = With(
        {{"from", Ints({cut[0]})}, {"to", Ints({cut[1]})}, {"axis", Ints({2})}, {"step", Ints({cut[2]})}},
        {MakeNode("Slice", {"x", "from", "to", "axis", "step"}, {"y"})});
    EXPECT_EQ(ExpectTold(graph, whole), 45);
  }
}

TEST(SymbolicSizes, OfImagesThatGrowAndShrink) {
  for (const int64_t block : {1, 2, 3}) {
    const Attributes size = {{"blocksize", block}};
    EXPECT_GT(ExpectTold(Begun({MakeNode("SpaceToDepth", {"x"}, {"s"}, size),
                                MakeNode("DepthToSpace", {"s"}, {"y"}, size)})),
              20);
  }
  for (const int64_t kernel : {1, 2, 4}) {
    for (const int64_t stride : {1, 2, 3}) {
      for (const List& pads : {List{0, 0, 0, 0}, {1, 0, 1, 2}}) {
        for (const char* auto_pad : {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"}) {
          Attributes attributes = {{"strides", List{stride, stride}},
                                   {"dilations", List{1, 2}},
                                   {"output_padding", List{stride - 1, 0}},
                                   {"auto_pad", std::string(auto_pad)}};
          if (std::string(auto_pad) == "NOTSET") attributes["pads"] = pads;
          const Graph graph = With({{"w", Tensor::New(DType::kF32, {3, 4, kernel, kernel})}},
                                   {MakeNode("ConvTranspose", {"x", "w"}, {"y"}, attributes)});
          EXPECT_GT(ExpectTold(graph), 20);
        }
      }
    }
  }
  for (const float scale : {0.25f, 0.5f, 0.75f, 1.0f, 1.5f, 2.0f, 2.125f, 3.0f, 0.3f}) {
    Graph resized =
        With({{"by", Floats({4}, {1, 1, scale, 2})}}, {MakeNode("Resize", {"x", "", "by"}, {"y"})});
    EXPECT_GT(ExpectTold(resized, scale != 0.3f), 40);
    resized.nodes[0].attributes["axes"] = List{1, 0, 2, 3};
    EXPECT_EQ(ExpectTold(resized, false), 45);
  }
  Graph graph = With({{"places", Ints({2, 3})}, {"two", Ints({2})}, {"front", Ints({1, 3})}},
                     SizeAt("places", "sides"));
  graph.inputs[0].shape[0] = 1;
  for (const Node& node : {MakeNode("Mul", {"sides", "two"}, {"wide"}),
                           MakeNode("Concat", {"front", "wide"}, {"to"}, {{"axis", int64_t{0}}}),
                           MakeNode("Resize", {"x", "", "", "to"}, {"y"})})
    graph.nodes.push_back(node);
  EXPECT_EQ(Told(graph, "y", 2), "2*height");
  EXPECT_EQ(ExpectTold(graph, false), 45);
}

}  // namespace
}  // namespace strop::model
