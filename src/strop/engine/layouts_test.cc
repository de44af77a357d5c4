#include "strop/engine/layouts.h"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/engine/test_graphs.h"

namespace strop::engine {
namespace {

using testing::ElementsAre;
using Sizes = std::vector<int64_t>;

// x [batch, length, 4] and what nodes make of it.
model::Graph Begun(std::vector<model::Node> nodes) {
  model::Graph graph;
  graph.name = "layouts";
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  graph.inputs = {{"x", DType::kF32, {-1, -1, 4}, {"batch", "", ""}}};
  graph.nodes = std::move(nodes);
  graph.outputs = {{graph.nodes.back().outputs[0], DType::kF32, {}, {}, false}};
  return graph;
}

// Each node a step: of own kernels, or of others.
Layouts Of(const model::Graph& graph, bool own) {
  std::vector<PlannedValue> values = {{.name = "x"}};
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    values.push_back({.name = graph.nodes[i].outputs[0],
                      .made = true,
                      .fitted = own,
                      .in_arena = i + 1 < graph.nodes.size(),
                      .first = i,
                      .last = i + 1});
  return Layouts(graph, values);
}

const std::vector<model::Node> kTwo = {MakeNode("Abs", "abs", {"x"}, {"a"}),
                                       MakeNode("Neg", "neg", {"a"}, {"y"})};

// x as rows of so many, and on.
model::Graph Rows(int64_t size) {
  model::Graph graph =
      Begun({MakeNode("Reshape", "reshape", {"x", "rows"}, {"a"}), MakeNode("Neg", "neg", {"a"}, {"y"})});
  graph.initializers["rows"] = Values<int64_t>(DType::kI64, {-1, size}, {2});
  return graph;
}

TEST(BucketOf, IsFourStepsAnOctave) {
  Sizes ends;
  for (int64_t size = 1; size <= 70; ++size) {
    const int64_t end = BucketOf(size);
    EXPECT_GE(end, size);
    EXPECT_LT(end, size + (size + 3) / 4 + 1);
    EXPECT_EQ(BucketOf(end), end);
    if (ends.empty() || ends.back() != end) ends.push_back(end);
  }
  EXPECT_THAT(ends, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80));
  EXPECT_EQ(BucketOf(1025), 1280);
  EXPECT_EQ(BucketOf(INT64_MAX), INT64_MAX);
}

TEST(Layouts, ServeEverySizeOfTheirBucket) {
  for (const bool own : {true, false}) {
    Layouts layouts = Of(Begun(kTwo), own);
    EXPECT_TRUE(layouts.by_bucket());
    const Sizes sizes = layouts.SizesOf({{"x", RandomF32({9, 17, 4}, 1)}});
    EXPECT_EQ(sizes, (Sizes{9, 17}));
    const auto layout = layouts.For(sizes);
    EXPECT_EQ(layout->sizes, (Sizes{10, 20}));
    EXPECT_EQ(layout->shapes[1], (Shape{10, 20, 4}));
    EXPECT_GE(layout->arena_bytes, 10u * 20 * 4 * sizeof(float));
    EXPECT_FALSE(layout->offsets[2].has_value());
    EXPECT_THAT(layouts.ShapesAt(sizes, *layout),
                ElementsAre(std::nullopt, Shape{9, 17, 4}, Shape{9, 17, 4}));
    EXPECT_EQ(layouts.For({10, 18}), layout);
    EXPECT_EQ(layouts.held(), 1u);
    EXPECT_NE(layouts.For({11, 18}), layout);
    EXPECT_EQ(layouts.held(), 2u);
  }
}

// That a layout of 10 rows exists does not say that one of 9 is sound.
TEST(Layouts, AreOfExactSizesWhereTheModelDependsOnThem) {
  model::Graph fixed = Begun({MakeNode("Add", "add", {"x", "ten"}, {"a"}), kTwo[1]});
  fixed.initializers["ten"] = RandomF32({10, 1, 4}, 1);
  model::Graph slope = Begun({MakeNode("PRelu", "prelu", {"x", "slope"}, {"y"})});
  slope.initializers["slope"] = RandomF32({10, 1, 4}, 1);
  for (const model::Graph& graph : {fixed, slope, Rows(24)}) {
    Layouts layouts = Of(graph, true);
    EXPECT_FALSE(layouts.by_bucket()) << graph.nodes[0].op;
    EXPECT_EQ(layouts.For({10, 30})->sizes, (Sizes{10, 30})) << graph.nodes[0].op;
    EXPECT_THROW(layouts.For({9, 9}), Error) << graph.nodes[0].op;
  }
}

// x [batch, length, 4] as rows, and the images x [batch, 3, height, width] halved twice.
TEST(Layouts, TellSizesThatFollowFromTheInputs) {
  for (const bool own : {true, false}) {
    Layouts rows = Of(Rows(4), own);
    EXPECT_TRUE(rows.by_bucket());
    const auto layout = rows.For({9, 9});
    EXPECT_EQ(layout->shapes[1], (Shape{100, 4}));
    EXPECT_EQ(rows.ShapesAt({9, 9}, *layout)[1], (Shape{81, 4}));
    EXPECT_EQ(rows.ShapesAt({10, 10}, *layout)[1], (Shape{100, 4}));

    const std::map<std::string, model::Attribute> half = {{"pads", std::vector<int64_t>{1, 1, 1, 1}},
                                                          {"strides", std::vector<int64_t>{2, 2}}};
    model::Graph graph = Begun(
        {MakeNode("Conv", "a", {"x", "w"}, {"a"}, half), MakeNode("Conv", "y", {"a", "w"}, {"y"}, half)});
    graph.inputs = {{"x", DType::kF32, {-1, 3, -1, -1}, {"", "", "", ""}}};
    graph.initializers["w"] = RandomF32({3, 3, 3, 3}, 1);
    Layouts images = Of(graph, own);
    EXPECT_TRUE(images.by_bucket());
    const Sizes sizes = {1, 33, 41};
    EXPECT_EQ(images.For(sizes)->shapes[1], (Shape{1, 3, 20, 24}));
    EXPECT_EQ(images.ShapesAt(sizes, *images.For(sizes))[1], (Shape{1, 3, 17, 21}));
    EXPECT_EQ(images.ShapesAt(sizes, *images.For(sizes))[2], (Shape{1, 3, 9, 11}));
  }
}

TEST(Layouts, TellImagesThatConstantsScale) {
  model::Graph graph = Begun({MakeNode("Resize", "up", {"x", "", "scales"}, {"a"}), kTwo[1]});
  graph.initializers["scales"] = Values<float>(DType::kF32, {1, 1.5f, 1}, {3});
  Layouts layouts = Of(graph, false);
  EXPECT_TRUE(layouts.by_bucket());
  EXPECT_EQ(layouts.ShapesAt({1, 9}, *layouts.For({1, 9}))[1], (Shape{1, 13, 4}));
}

// Of the first five, or as many as there are, no name tells; a step that fits its answer needs none.
TEST(Layouts, GiveRoomToWhatOnlyItsStepTells) {
  model::Graph graph = Begun({MakeNode("Slice", "slice", {"x", "first", "five", "one"}, {"a"}), kTwo[1]});
  for (const auto& [name, value] : {std::pair<const char*, int64_t>{"first", 0}, {"five", 5}, {"one", 1}})
    graph.initializers[name] = Values<int64_t>(DType::kI64, {value}, {1});
  Layouts own = Of(graph, true);
  EXPECT_TRUE(own.by_bucket());
  const auto layout = own.For({9, 3});
  EXPECT_EQ(layout->shapes[1], (Shape{10, 3, 4}));
  EXPECT_TRUE(layout->offsets[1].has_value());
  EXPECT_EQ(own.ShapesAt({9, 3}, *layout)[1], std::nullopt);
  EXPECT_EQ(own.ShapesAt({10, 3}, *layout)[1], (Shape{10, 3, 4}));

  Layouts others = Of(graph, false);
  EXPECT_FALSE(others.by_bucket());
  EXPECT_EQ(others.ShapesAt({9, 9}, *others.For({9, 9}))[1], (Shape{9, 5, 4}));
}

TEST(Layouts, ABucketBeyondTheMemoryIsTriedAtItsExactSizes) {
  model::Graph graph = Begun({MakeNode("Expand", "expand", {"x", "to"}, {"y"})});
  graph.inputs[0].shape = {-1, 1, 1};
  graph.initializers["to"] = Values<int64_t>(DType::kI64, {1, int64_t{1} << 20, 1 << 6}, {3});
  Layouts layouts = Of(graph, true);
  ASSERT_TRUE(layouts.by_bucket());
  EXPECT_THROW(layouts.For({int64_t{1} << 30}), Error);
  int64_t size = 1;  // the largest that there is memory for
  for (int64_t bit = int64_t{1} << 30; bit > 0; bit /= 2) {
    try {
      layouts.For({size + bit});
      size += bit;
    } catch (const Error&) {
    }
  }
  EXPECT_EQ(layouts.For({size})->sizes, Sizes{size});
}

TEST(Layouts, TheLeastRecentlyUsedIsDropped) {
  Layouts layouts = Of(Begun(kTwo), true);
  const auto first = layouts.For({1, 1}), second = layouts.For({2, 1});
  for (int64_t batch = 3; batch <= 8; ++batch) {
    for (int64_t length = 1; length <= 1 << 16; length *= 2) {
      EXPECT_EQ(layouts.For({1, 1}), first);
      layouts.For({batch, length});
    }
  }
  EXPECT_EQ(layouts.held(), Layouts::kMost);
  EXPECT_EQ(layouts.For({1, 1}), first);
  EXPECT_NE(layouts.For({2, 1}), second);
}

}  // namespace
}  // namespace strop::engine
