#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <new>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/engine/session.h"
#include "strop/engine/test_graphs.h"

namespace {

thread_local int64_t allocations = 0;  // of this thread, by new

}  // namespace

// The sanitizers have their own, which the others of the C++ library's pair with.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(std::max<size_t>(size, 1))) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
#endif

namespace strop::engine {
namespace {

using Ints = std::vector<int64_t>;
using Sizes = std::vector<int64_t>;  // of a run: batch, then what else is dynamic

struct Model {
  std::string name;
  model::Graph graph;
  std::function<TensorMap(const Sizes&)> inputs;
};

model::Graph Named(const std::string& name) {
  model::Graph graph;
  graph.name = name;
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  return graph;
}

Tensor List(const Ints& ints) {
  return Values<int64_t>(DType::kI64, ints, {static_cast<int64_t>(ints.size())});
}

uint64_t SeedOf(const Sizes& sizes) {
  return static_cast<uint64_t>(std::accumulate(sizes.begin(), sizes.end(), int64_t{7},
                                               [](int64_t a, int64_t b) { return a * 131 + b; }));
}

// x [batch, length, 12] through so many layers of a transformer: attention of three heads with a mask, sums,
// LayerNormalization. `flat`: the last product has rows of batch · length.
Model Transformer(int64_t layers, bool flat) {
  model::Graph graph = Named("transformer");
  graph.inputs = {{"x0", DType::kF32, {-1, -1, 12}, {"batch", "length", ""}},
                  {"mask", DType::kF32, {-1, 1, 1, -1}, {"batch", "", "", "length"}}};
  graph.initializers["split"] = List({0, 0, 3, 4});
  graph.initializers["join"] = List({0, 0, 12});
  graph.initializers["rows"] = List({-1, 12});
  graph.initializers["root"] = Values<float>(DType::kF32, {2}, {});
  graph.initializers["gamma"] = RandomF32({12}, 1);
  graph.initializers["beta"] = RandomF32({12}, 2);
  const auto add = [&](const std::string& op, std::vector<std::string> inputs, const std::string& output,
                       std::map<std::string, model::Attribute> attributes = {}) {
    graph.nodes.push_back(MakeNode(op, output, std::move(inputs), {output}, std::move(attributes)));
    return output;
  };
  std::string x = "x0";
  for (int64_t i = 0; i < layers; ++i) {
    const std::string at = fmt::format("/{}", i);
    const auto dense = [&](const std::string& from, const std::string& to) {
      graph.initializers[to + "_w"] = RandomF32({12, 12}, graph.initializers.size());
      return add("MatMul", {from, to + "_w"}, to);
    };
    const auto heads = [&](const std::string& to, const Ints& perm) {
      return add("Transpose", {add("Reshape", {dense(x, to), "split"}, to + "r")}, to + "t",
                 {{"perm", perm}});
    };
    const std::string q = heads("q" + at, {0, 2, 1, 3}), k = heads("k" + at, {0, 2, 3, 1}),
                      v = heads("v" + at, {0, 2, 1, 3});
    const std::string scores = add("Div", {add("MatMul", {q, k}, "s" + at), "root"}, "d" + at);
    const std::string shares = add("Softmax", {add("Add", {scores, "mask"}, "m" + at)}, "p" + at);
    const std::string mix =
        add("Transpose", {add("MatMul", {shares, v}, "mix" + at)}, "back" + at, {{"perm", Ints{0, 2, 1, 3}}});
    const std::string sum =
        add("Add", {dense(add("Reshape", {mix, "join"}, "j" + at), "o" + at), x}, "r" + at);
    x = add("LayerNormalization", {sum, "gamma", "beta"}, "x" + at);
  }
  graph.initializers["last"] = RandomF32({12, 5}, 3);
  if (flat) x = add("Tanh", {add("Reshape", {x, "rows"}, "flat")}, "tanh");
  add("MatMul", {x, "last"}, "y");
  graph.outputs = {{"y", DType::kF32, {}, {}, false}};
  return {flat ? "flat transformer" : "transformer", graph, [](const Sizes& sizes) {
            return TensorMap{{"x0", RandomF32({sizes[0], sizes[1], 12}, SeedOf(sizes))},
                             {"mask", RandomF32({sizes[0], 1, 1, sizes[1]}, SeedOf(sizes) + 1)}};
          }};
}

// x [batch, 6, side, side] through so many blocks: convolutions, residuals (of images of any size over a half
// of them), depthwise, pooling, a transpose there and back. Then the mean of every channel.
Model Images(int64_t blocks, bool any_size) {
  model::Graph graph = Named("images");
  const int64_t side = any_size ? -1 : 9;
  graph.inputs = {{"x0", DType::kF32, {-1, 6, side, side}, {"", "", "", ""}}};
  const auto add = [&](const std::string& op, std::vector<std::string> inputs, const std::string& output,
                       std::map<std::string, model::Attribute> attributes = {}) {
    graph.nodes.push_back(MakeNode(op, output, std::move(inputs), {output}, std::move(attributes)));
    return output;
  };
  const model::Attribute around = Ints{1, 1, 1, 1}, three = Ints{3, 3};
  graph.initializers["w"] = RandomF32({6, 6, 3, 3}, 1);
  graph.initializers["point"] = RandomF32({6, 6, 1, 1}, 2);
  graph.initializers["depthwise"] = RandomF32({6, 1, 3, 3}, 3);
  graph.initializers["fc"] = RandomF32({6, 4}, 4);
  std::string x = "x0";
  for (int64_t i = 0; i < blocks; ++i) {
    const std::string at = fmt::format("/{}", i);
    const std::string a = add("Relu", {add("Conv", {x, "w"}, "a" + at, {{"pads", around}})}, "b" + at);
    std::string c = add("Add", {add("Conv", {a, "point"}, "c" + at), x}, "d" + at);
    if (any_size) {
      const model::Attribute two = Ints{2, 2};
      const std::string half = add("Conv", {c, "w"}, "half" + at, {{"pads", around}, {"strides", two}});
      c = add("Add", {half, add("Conv", {c, "point"}, "short" + at, {{"strides", two}})}, "sum" + at);
    }
    std::string deep = add("Conv", {c, "depthwise"}, "e" + at,
                           {{"pads", around}, {"group", int64_t{6}}, {"strides", Ints{1, 1}}});
    if (!any_size) deep = add("Conv", {deep, "point"}, "separable" + at);
    const std::string most = add("MaxPool", {deep}, "f" + at, {{"kernel_shape", three}, {"pads", around}});
    const std::string there = add("Transpose", {most}, "g" + at, {{"perm", Ints{0, 2, 3, 1}}});
    x = add("Transpose", {add("Tanh", {there}, "h" + at)}, "i" + at, {{"perm", Ints{0, 3, 1, 2}}});
  }
  add("MatMul", {add("Flatten", {add("GlobalAveragePool", {x}, "mean")}, "flat"), "fc"}, "y");
  graph.outputs = {{"y", DType::kF32, {}, {}, false}, {x, DType::kF32, {}, {}, false}};
  return {any_size ? "images of any size" : "images", graph, [any_size](const Sizes& sizes) {
            const int64_t side_of = any_size ? sizes[1] : 9;
            return TensorMap{{"x0", RandomF32({sizes[0], 6, side_of, side_of}, SeedOf(sizes))}};
          }};
}

// Images twice as high and wide, by OpenVINO between own layers, and joined to others of their size.
Model Grown() {
  model::Graph graph = Named("grown");
  graph.inputs = {{"x0", DType::kF32, {-1, 6, -1, -1}, {"", "", "", ""}}};
  graph.initializers["w"] = RandomF32({6, 6, 3, 3}, 1);
  graph.initializers["scales"] = Values<float>(DType::kF32, {1, 1, 2, 2}, {4});
  const std::map<std::string, model::Attribute> around = {{"pads", Ints{1, 1, 1, 1}}};
  graph.nodes = {
      MakeNode("Conv", "a", {"x0", "w"}, {"a"}, around),
      MakeNode("Resize", "up", {"a", "", "scales"}, {"up"}, {{"mode", std::string("nearest")}}),
      MakeNode("Conv", "b", {"up", "w"}, {"b"}, around),
      MakeNode("Add", "add", {"b", "up"}, {"sum"}),
      MakeNode("Concat", "concat", {"sum", "up"}, {"y"}, {{"axis", int64_t{1}}}),
  };
  graph.outputs = {{"y", DType::kF32, {}, {}, false}};
  return {"grown", graph, [](const Sizes& sizes) {
            return TensorMap{{"x0", RandomF32({sizes[0], 6, sizes[1], 7}, SeedOf(sizes))}};
          }};
}

Model Rows(const std::string& name, model::Graph graph) {
  return {name, std::move(graph), [](const Sizes& sizes) {
            return TensorMap{{"x", RandomF32({sizes[0], 12}, SeedOf(sizes))}};
          }};
}

// Rows of 12 as rows of 36: only batches that three divides.
Model Threes() {
  model::Graph graph = TwoDenseLayers();
  graph.initializers["rows"] = List({-1, 36});
  graph.initializers["back"] = List({-1, 12});
  graph.initializers["w3"] = RandomF32({36, 36}, 1);
  graph.nodes[0].inputs[0] = "b";
  graph.nodes.insert(graph.nodes.begin(), {MakeNode("Reshape", "three", {"x", "rows"}, {"r"}),
                                           MakeNode("MatMul", "wide", {"r", "w3"}, {"m"}),
                                           MakeNode("Reshape", "back", {"m", "back"}, {"b"})});
  return Rows("threes", graph);
}

SessionOptions With(const std::string& prefer, int threads = 2) {
  SessionOptions options;
  options.prefer = prefer;
  options.threads = threads;
  return options;
}

void ExpectSame(const TensorMap& found, const TensorMap& wanted, const std::string& what) {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  for (const auto& [name, tensor] : wanted) {
    const Tensor& other = found.at(name);
    ASSERT_EQ(other.shape(), tensor.shape()) << what << " " << name;
    ASSERT_EQ(other.dtype(), tensor.dtype()) << what << " " << name;
    ASSERT_EQ(std::memcmp(other.data(), tensor.data(), tensor.bytes()), 0) << what << " " << name;
  }
}

// One session for all sizes, in each order, answers as a fresh one for each does; and what it has answered is
// not written again.
void ExpectAsFresh(const Model& model, const std::string& prefer,
                   const std::vector<std::vector<Sizes>>& orders) {
  std::map<Sizes, TensorMap> fresh;
  for (const std::vector<Sizes>& order : orders) {
    const auto session = Session::Make(model.graph, With(prefer));
    std::vector<TensorMap> found;
    for (const Sizes& sizes : order) {
      const TensorMap inputs = model.inputs(sizes);
      if (!fresh.contains(sizes)) fresh[sizes] = Session::Make(model.graph, With(prefer))->Run(inputs);
      found.push_back(session->Run(inputs));
      ExpectSame(session->Run(inputs), found.back(), "once more");
    }
    for (size_t i = 0; i < order.size(); ++i)
      ExpectSame(found[i], fresh.at(order[i]),
                 fmt::format("{} {} {}", model.name, prefer, ShapeText(order[i])));
  }
}

std::vector<Sizes> Shuffled(std::vector<Sizes> order) {
  Rng rng(5);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.Below(i)]);
  return order;
}

TEST(SessionShapes, EveryBatchAnswersAsAFreshSessionInAnyOrder) {
  std::vector<Sizes> rising;
  for (int64_t batch = 1; batch <= 40; ++batch) rising.push_back({batch, 3});
  const std::vector<Sizes> falling(rising.rbegin(), rising.rend());
  const std::vector<std::vector<Sizes>> orders = {rising, falling, Shuffled(rising)};
  for (const char* prefer : {"strop", "openvino", "reference"})
    ExpectAsFresh(Rows("dense", TwoDenseLayers()), prefer, orders);
  for (const Model& model :
       {Rows("int8", TwoInt8Layers(DType::kU8, DType::kI8)), Transformer(1, false), Images(1, false)})
    ExpectAsFresh(model, "strop", orders);
}

TEST(SessionShapes, EverySizeOfTwoAnswersAsAFreshSession) {
  std::vector<Sizes> order;
  for (const int64_t batch : {1, 9, 10, 17})
    for (const int64_t size : {1, 5, 11, 12}) order.push_back({batch, size});
  for (const Model& model : {Transformer(2, false), Transformer(1, true), Images(2, true), Grown()})
    for (const char* prefer : {"strop", "openvino", "reference"})
      ExpectAsFresh(model, prefer, {Shuffled(order)});
}

TEST(SessionShapes, ASizeThatMustBeAMultipleIsStillChecked) {
  const Model model = Threes();
  for (const char* prefer : {"strop", "openvino", "reference"}) {
    ExpectAsFresh(model, prefer, {{{9}, {12}, {36}, {3}, {39}, {9}}});
    const auto session = Session::Make(model.graph, With(prefer));
    for (const int64_t batch : {12, 9, 10, 12, 11, 9}) {
      const TensorMap inputs = model.inputs({batch});
      if (batch % 3 == 0)
        EXPECT_EQ(session->Run(inputs).at("y").shape(), (Shape{batch, 5})) << prefer;
      else
        EXPECT_THROW(session->Run(inputs), Error) << prefer << " " << batch;
    }
  }
}

TEST(SessionShapes, ConcurrentRunsOfOtherSizesDoNotMix) {
  for (const Model& model : {Transformer(1, false), Transformer(1, true), Images(1, true)}) {
    for (const char* prefer : {"strop", "openvino"}) {
      const auto session = Session::Make(model.graph, With(prefer));
      std::vector<Sizes> order;
      std::vector<TensorMap> inputs, wanted;
      for (const int64_t batch : {1, 3, 9, 10, 12})
        for (const int64_t size : {2, 11}) order.push_back({batch, size});
      for (const Sizes& sizes : order) {
        inputs.push_back(model.inputs(sizes));
        wanted.push_back(Session::Make(model.graph, With(prefer))->Run(inputs.back()));
      }
      std::vector<std::thread> threads;
      for (size_t thread = 0; thread < 6; ++thread) {
        threads.emplace_back([&, thread] {
          for (size_t i = 0; i < 4 * order.size(); ++i) {
            const size_t at = (i * (2 * thread + 1) + thread) % order.size();
            ExpectSame(session->Run(inputs[at]), wanted[at],
                       fmt::format("{} {} {}", model.name, prefer, ShapeText(order[at])));
          }
        });
      }
      for (std::thread& thread : threads) thread.join();
    }
  }
}

// What a run of known sizes allocates does not grow with the steps.
TEST(SessionShapes, StepsAllocateNothingWhenTheSizesAreThoseOfTheLastRun) {
  using Of = std::function<Model(int64_t)>;
  for (const Of& model : {Of([](int64_t layers) { return Transformer(layers, false); }),
                          Of([](int64_t layers) { return Transformer(layers, true); }),
                          Of([](int64_t blocks) { return Images(blocks, true); })}) {
    std::vector<int64_t> counts;
    std::vector<size_t> steps;
    for (const int64_t layers : {1, 4}) {
      const Model some = model(layers);
      const auto session = Session::Make(some.graph, With("strop", 1));
      for (const LayerPlan& layer : session->plan()) ASSERT_NE(layer.kernel, "openvino") << layer.op;
      steps.push_back(session->plan().size());
      const TensorMap inputs = some.inputs({9, 11});
      for (int run = 0; run < 3; ++run) {
        const int64_t before = allocations;
        const TensorMap answers = session->Run(inputs);
        if (run == 2) counts.push_back(allocations - before);
      }
    }
    if (counts[0] == 0)
      GTEST_SKIP() << "a tool has put an operator new of its own in place of the one that counts";
    EXPECT_GT(steps[1], steps[0] + 6);
    EXPECT_EQ(counts[1], counts[0]) << model(1).name;
  }
}

}  // namespace
}  // namespace strop::engine
