#include "strop/engine/session.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/engine/border.h"
#include "strop/engine/plan.h"
#include "strop/engine/test_graphs.h"
#include "strop/model/reference/evaluator.h"
#include "strop_onnx.pb.h"

namespace strop::engine {
namespace {

using testing::HasSubstr;

SessionOptions With(const std::string& prefer, std::vector<std::string> taps = {}, int threads = 2) {
  SessionOptions options;
  options.prefer = prefer;
  options.taps = std::move(taps);
  options.threads = threads;
  return options;
}

void ExpectNear(const Tensor& found, const Tensor& wanted, const std::string& what) {
  ASSERT_EQ(found.shape(), wanted.shape()) << what;
  for (size_t i = 0; i < wanted.As<float>().size(); ++i) {
    ASSERT_NEAR(found.As<float>()[i], wanted.As<float>()[i], 1e-5) << what << " at " << i;
  }
}

template <class Function>
std::string MessageOf(Function function, Code code) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

// A rounding that ends on a tie may fall to the other side, which is a step of h and moves y by up to 0.004.
TEST(Session, LayersOfIntegersAnswerAsTheReferenceAtAnyBatch) {
  for (const DType bytes : {DType::kU8, DType::kI8}) {
    for (const DType weights : {DType::kU8, DType::kI8}) {
      const model::Graph graph = TwoInt8Layers(bytes, weights);
      const auto session = Session::Make(graph, With("strop"));
      const std::vector<LayerPlan> plan = session->plan();
      const auto first = std::find_if(plan.begin(), plan.end(),
                                      [](const LayerPlan& layer) { return layer.layer == "matmul"; });
      ASSERT_NE(first, plan.end());
      EXPECT_EQ(first->bits, 8);
      EXPECT_THAT(first->kernel, testing::StartsWith("gemm_u8s8"));
      for (const int64_t batch : {1, 7, 256}) {
        const Tensor x = RandomF32({batch, 12}, 100 + static_cast<uint64_t>(batch));
        const Tensor wanted = model::reference::Evaluate(graph, {{"x", x}}, {"y"}).at("y");
        const Tensor found = session->Run({{"x", x}}).at("y");
        ASSERT_EQ(found.shape(), wanted.shape());
        size_t ties = 0;
        for (size_t i = 0; i < wanted.As<float>().size(); ++i) {
          const float off = std::abs(found.As<float>()[i] - wanted.As<float>()[i]);
          ASSERT_LT(off, 0.015f) << batch << " at " << i;
          if (off > 1e-5f) ++ties;
        }
        EXPECT_LE(ties, wanted.As<float>().size() / 50) << batch;
      }
    }
  }
}

TEST(Session, EveryCandidateAnswersAsTheReferenceAtAnyBatch) {
  const model::Graph graph = TwoDenseLayers();
  for (const char* candidate : {"openvino", "strop", "reference"}) {
    const auto session = Session::Make(graph, With(candidate, {"h1", "h3"}));
    for (const int64_t batch : {1, 7, 256, 3}) {
      const Tensor x = RandomF32({batch, 12}, 100 + static_cast<uint64_t>(batch));
      const TensorMap wanted = model::reference::Evaluate(graph, {{"x", x}}, {"y", "h1", "h3"});
      const TensorMap found = session->Run({{"x", x}});
      ASSERT_EQ(found.size(), 3u);
      for (const auto& [name, tensor] : wanted)
        ExpectNear(found.at(name), tensor, std::string(candidate) + " " + name);
    }
  }
}

TEST(Session, IdentityCostsNoStepAndKeepsItsNames) {
  model::Graph graph = TwoDenseLayers();
  graph.nodes.push_back(MakeNode("Identity", "same", {"y"}, {"z"}));
  graph.nodes.push_back(MakeNode("Identity", "again", {"z"}, {"w"}));
  graph.outputs[0].name = "w";
  const Tensor x = RandomF32({3, 12}, 1);
  const TensorMap wanted = model::reference::Evaluate(graph, {{"x", x}}, {"w", "y"});
  const auto session = Session::Make(graph, With("strop"));
  EXPECT_EQ(session->plan().size(), 3u);
  ExpectNear(session->Run({{"x", x}}).at("w"), wanted.at("w"), "w");
  const TensorMap tapped = Session::Make(graph, With("strop", {"y"}))->Run({{"x", x}});
  ExpectNear(tapped.at("y"), wanted.at("y"), "y");
  ExpectNear(tapped.at("w"), wanted.at("w"), "w");
}

TEST(Session, PlanNamesTheKernelsOfThisCpu) {
  const auto session = Session::Make(TwoDenseLayers(), With("strop"));
  const std::vector<LayerPlan> plan = session->plan();
  ASSERT_EQ(plan.size(), 3u);
  EXPECT_EQ(plan[0].op, "MatMul+Add+Relu");
  EXPECT_EQ(plan[0].isa, HighestIsa(Cpu()) >= Isa::kAvx512 ? "avx512" : IsaName(HighestIsa(Cpu())));
  EXPECT_THAT(plan[0].kernel, HasSubstr(plan[0].isa));
  EXPECT_EQ(plan[1].kernel, "openvino");
}

TEST(Session, ProfileCountsRuns) {
  const auto session = Session::Make(TwoDenseLayers(), With("strop"));
  for (int i = 0; i < 3; ++i) session->Run({{"x", RandomF32({1, 12}, 1)}});
  for (const LayerProfile& layer : session->profile()) {
    EXPECT_EQ(layer.calls, 3) << layer.layer;
    EXPECT_GT(layer.seconds, 0) << layer.layer;
  }
  EXPECT_THAT(session->profile()[0].kernel, HasSubstr("gemv_f32"));
}

TEST(Session, ConcurrentRunsDoNotMix) {
  const model::Graph graph = TwoDenseLayers();
  for (const char* candidate : {"openvino", "strop"}) {
    const auto session = Session::Make(graph, With(candidate));
    std::vector<Tensor> inputs, wanted;
    for (uint64_t i = 0; i < 4; ++i) {
      inputs.push_back(RandomF32({static_cast<int64_t>(3 * i + 1), 12}, i));
      wanted.push_back(model::reference::Evaluate(graph, {{"x", inputs.back()}}).at("y"));
    }
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (size_t i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        for (int round = 0; round < 50; ++round) {
          const Tensor y = session->Run({{"x", inputs[i]}}).at("y");
          for (size_t at = 0; at < y.As<float>().size(); ++at) {
            if (std::abs(y.As<float>()[at] - wanted[i].As<float>()[at]) > 1e-5f) ++wrong;
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0) << candidate;
  }
}

TEST(Session, AnswersOnlyWhatIsWanted) {
  const auto session = Session::Make(TwoDenseLayers(), With("openvino", {"h3"}));
  EXPECT_EQ(session->outputs().size(), 2u);
  const TensorMap found = session->Run({{"x", RandomF32({2, 12}, 1)}}, {"h3"});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found.at("h3").shape(), (Shape{2, 40}));
}

TEST(Session, BadInputsAreNamedWithWhatWasFoundAndWanted) {
  const auto session = Session::Make(TwoDenseLayers(), With("strop"));
  const auto run = [&](const TensorMap& inputs, const std::vector<std::string>& wanted = {}) {
    return MessageOf([&] { session->Run(inputs, wanted); }, Code::kInvalidArgument);
  };
  const Tensor good = RandomF32({2, 12}, 1);
  EXPECT_EQ(run({}), "input x is missing: wanted float32 [?,12]");
  EXPECT_EQ(run({{"x", RandomF32({2, 13}, 1)}}), "input x is float32 [2,13]: wanted float32 [?,12]");
  EXPECT_EQ(run({{"x", RandomF32({12}, 1)}}), "input x is float32 [12]: wanted float32 [?,12]");
  EXPECT_EQ(run({{"x", good.Cast(DType::kF64)}}), "input x is float64 [2,12]: wanted float32 [?,12]");
  EXPECT_EQ(run({{"x", Tensor::New(DType::kF32, {0, 12})}}),
            "input x is float32 [0,12]: wanted float32 [?,12]");
  EXPECT_EQ(run({{"x", good}, {"z", good}}), "the model has no input z: it has x");
  EXPECT_THAT(run({{"x", good}}, {"h3"}), HasSubstr("the session answers no h3: it answers y"));
}

TEST(Session, SizesOfOneNameMustAgree) {
  model::Graph graph = TwoDenseLayers();
  graph.inputs.push_back({"z", DType::kF32, {-1, 5}, {"batch", ""}});
  graph.nodes.push_back(MakeNode("Add", "sum", {"y", "z"}, {"s"}));
  graph.outputs = {{"s", DType::kF32, {-1, 5}, {"batch", ""}}};
  const auto session = Session::Make(graph, With("strop"));
  EXPECT_EQ(MessageOf(
                [&] {
                  session->Run({{"x", RandomF32({2, 12}, 1)}, {"z", RandomF32({3, 5}, 1)}});
                },
                Code::kInvalidArgument),
            "input z is float32 [3,5]: its size \"batch\" must be 2, as in input x");
}

TEST(Session, UnknownTapAndPreferenceAreRefused) {
  EXPECT_THAT(
      MessageOf([] { Session::Make(TwoDenseLayers(), With("", {"nothing"})); }, Code::kInvalidArgument),
      HasSubstr("tap nothing: the model has no value of that name"));
  EXPECT_THAT(MessageOf([] { Session::Make(TwoDenseLayers(), With("fastest")); }, Code::kInvalidArgument),
              HasSubstr("expected openvino, strop, reference"));
}

TEST(Session, AnOperatorThatNothingRunsIsNamedWithItsNode) {
  model::Graph graph = TwoDenseLayers();
  graph.opsets["com.example"] = 1;
  graph.nodes[3] = MakeNode("Mystery", "odd one", {"h2"}, {"h3"});
  graph.nodes[3].domain = "com.example";
  EXPECT_THAT(MessageOf([&] { Session::Make(graph, With("")); }, Code::kUnsupported),
              HasSubstr("operator com.example::Mystery of node odd one is not supported"));
}

// x -> node -> y, both of any batch.
model::Graph OneNode(model::Node node, std::vector<model::ValueInfo> inputs, model::ValueInfo output) {
  model::Graph graph;
  graph.name = "one";
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  graph.inputs = std::move(inputs);
  graph.outputs = {std::move(output)};
  graph.nodes = {std::move(node)};
  return graph;
}

TEST(Session, AnInputThatPassesThroughIsAnsweredInMemoryOfItsOwn) {
  for (const char* op : {"Max", "Sum", "Mean", "Dropout", "Identity"}) {
    for (const int64_t rows : {-1, 2}) {
      const model::ValueInfo x{"x", DType::kF32, {rows, 3}, {}}, y{"y", DType::kF32, {rows, 3}, {}};
      const auto session = Session::Make(OneNode(MakeNode(op, "pass", {"x"}, {"y"}), {x}, y), With(""));
      for (uint64_t seed = 0; seed < 3; ++seed) {
        const Tensor in = RandomF32({2, 3}, seed), copy = in.Clone();
        const Tensor out = session->Run({{"x", in}}).at("y");
        ExpectNear(out, copy, op);
        ExpectNear(in, copy, op);
        EXPECT_NE(out.data(), in.data()) << op;
      }
    }
  }
}

TEST(Session, AShapeThatOnlyTheRunKnowsIsReadWhole) {
  const model::ValueInfo x{"x", DType::kF32, {2, 6}, {}};
  const auto reshape = Session::Make(
      OneNode(MakeNode("Reshape", "reshape", {"x", "shape"}, {"y"}), {x, {"shape", DType::kI64, {3}, {}}},
              {"y", DType::kF32, {-1, -1, -1}, {"", "", ""}}),
      With(""));
  const std::vector<int64_t> wanted = {3, 2, 2};
  const Tensor in = RandomF32({2, 6}, 1);
  ExpectNear(reshape->Run({{"x", in}, {"shape", Tensor::From<int64_t>({3}, wanted)}}).at("y"),
             in.Reshaped(wanted), "reshape");

  const auto nonzero = Session::Make(
      OneNode(MakeNode("NonZero", "nonzero", {"x"}, {"y"}), {x}, {"y", DType::kI64, {2, -1}, {"", ""}}),
      With(""));
  Tensor sparse = Tensor::New(DType::kF32, {2, 6});
  for (float& value : sparse.As<float>()) value = 0;
  sparse.As<float>()[4] = 1;
  sparse.As<float>()[7] = -2;
  sparse.As<float>()[11] = 3;
  const Tensor places = nonzero->Run({{"x", sparse}}).at("y");
  EXPECT_EQ(places.shape(), (Shape{2, 3}));
  EXPECT_THAT(places.As<int64_t>(), testing::ElementsAre(0, 1, 1, 4, 1, 5));
}

TEST(Session, AnOutputMayHaveAnotherShapeThanTheModelDeclares) {
  const auto session = Session::Make(OneNode(MakeNode("NonZero", "nonzero", {"x"}, {"y"}),
                                             {{"x", DType::kF32, {4}, {}}}, {"y", DType::kI64, {1, 4}, {}}),
                                     With(""));
  Tensor x = RandomF32({4}, 3);
  x.As<float>()[0] = x.As<float>()[2] = 0;
  EXPECT_THAT(session->Run({{"x", x}}).at("y").As<int64_t>(), testing::ElementsAre(1, 3));
}

// OpenVINO would answer the largest float32.
TEST(Session, InfinitiesOfFloat64StayInfinite) {
  const auto session = Session::Make(OneNode(MakeNode("Neg", "negate", {"x"}, {"y"}),
                                             {{"x", DType::kF64, {3}, {}}}, {"y", DType::kF64, {3}, {}}),
                                     With(""));
  const std::vector<double> x = {HUGE_VAL, -HUGE_VAL, 1e300};
  EXPECT_THAT(session->Run({{"x", Tensor::From<double>({3}, x)}}).at("y").As<double>(),
              testing::ElementsAre(-HUGE_VAL, HUGE_VAL, -1e300));
}

TEST(Session, AnOpsetOfTheFutureIsRefused) {
  model::Graph graph = TwoDenseLayers();
  graph.opsets[""] = 99;
  EXPECT_THAT(MessageOf([&] { Session::Make(graph, With("")); }, Code::kUnsupported),
              HasSubstr("opset 99 of ai.onnx is newer than"));
}

TEST(Session, AFileThatIsNoModelIsRefused) {
  const std::string path = testing::TempDir() + "/not_a_model.onnx";
  WriteFileAtomically(path, "PK\x03\x04 a zip file, say");
  EXPECT_THAT(MessageOf([&] { Session::Load(path); }, Code::kCorrupt), HasSubstr("not_a_model.onnx"));
  EXPECT_THAT(MessageOf([&] { Session::Load(path + ".gone"); }, Code::kNotFound),
              HasSubstr("not_a_model.onnx.gone"));
}

class PlanTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::path(testing::TempDir()) / "plan_test.onnx";
    TwoDenseLayers().Save(path_);
    std::filesystem::remove(PlanPath(path_));
    options_.threads = 2;
    options_.seconds = 0.05;
    options_.batch = 4;
  }
  std::filesystem::path path_;
  TuneOptions options_;
};

TEST_F(PlanTest, TunedPlanIsReadBackAndFollowed) {
  const size_t float_isas =
      HighestIsa(Cpu()) >= Isa::kAvx512 ? 2 : 1;  // scalar only where it is all there is
  SavedPlan made = TunePlan(path_, options_);
  ASSERT_EQ(made.layers.size(), 2u);
  EXPECT_EQ(made.layers[0].candidates.size(), float_isas);
  for (const auto& candidate : made.layers[0].candidates) EXPECT_GT(candidate.seconds, 0) << candidate.kernel;
  const auto read = LoadPlan(PlanPath(path_), made.key);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->ToJson(), made.ToJson());

  made.candidate = "strop";
  made.layers[0].isa = "scalar";
  SavePlan(made, PlanPath(path_));
  SessionOptions session_options;
  session_options.threads = 2;
  const auto session = Session::Load(path_, session_options);
  ASSERT_EQ(session->plan().size(), 3u);
  EXPECT_EQ(session->plan()[0].kernel, "gemm_f32_4x4_scalar");
  EXPECT_EQ(session->plan()[0].candidates.size(), float_isas);
}

TEST_F(PlanTest, APlanForAnythingElseIsIgnored) {
  SavedPlan made = MakePlan(path_, options_);
  EXPECT_FALSE(std::filesystem::exists(PlanPath(path_)));
  made.candidate = "strop";
  SessionOptions session_options;
  session_options.threads = 2;
  const auto steps = [&] { return Session::Load(path_, session_options)->plan().size(); };
  SavePlan(made, PlanPath(path_));
  EXPECT_EQ(steps(), 3u);
  const PlanKey right = made.key;
  for (const auto& change : std::vector<std::function<void(PlanKey&)>>{
           [](PlanKey& key) { key.model[0] = key.model[0] == '0' ? '1' : '0'; },
           [](PlanKey& key) { key.cpu += "X"; }, [](PlanKey& key) { key.isa = "none"; },
           [](PlanKey& key) { key.threads = 3; }}) {
    made.key = right;
    change(made.key);
    SavePlan(made, PlanPath(path_));
    EXPECT_EQ(steps(), 1u);
  }
  WriteFileAtomically(PlanPath(path_), "{\"format\": 1, \"model\":");
  EXPECT_EQ(steps(), 1u);
  made.key = right;
  made.layers[0].isa = "avx9000";
  SavePlan(made, PlanPath(path_));
  EXPECT_EQ(steps(), 1u);
}

TEST_F(PlanTest, ABrokenPlanSaysWhere) {
  EXPECT_THAT(MessageOf([] { SavedPlan::FromJson("[1]", "m.plan.json"); }, Code::kCorrupt),
              HasSubstr("m.plan.json is not a plan"));
  EXPECT_THAT(MessageOf([] { SavedPlan::FromJson("{\"format\": 9}", "m.plan.json"); }, Code::kCorrupt),
              HasSubstr("format 9"));
}

TEST(Plan, TheDefaultIsOwnLayersWhereTheyHaveTheWholeModel) {
  const auto kernels = [](const model::Graph& graph) {
    std::vector<std::string> names;
    for (const LayerPlan& layer : Session::Make(graph, {})->plan()) names.push_back(layer.kernel);
    return names;
  };
  EXPECT_THAT(kernels(TwoDenseLayers()), testing::ElementsAre("openvino"));  // a Sin lies between them
  model::Graph whole = TwoDenseLayers();
  std::erase_if(whole.nodes, [](const model::Node& node) { return node.op == "Sin"; });
  whole.nodes.back().inputs[0] = "h2";
  if (HighestIsa(Cpu()) < Isa::kAvx2) {
    EXPECT_THAT(kernels(whole), testing::ElementsAre("openvino"));
  } else {
    EXPECT_THAT(kernels(whole), testing::ElementsAre(testing::StartsWith("gem"), testing::StartsWith("gem")));
  }
}

// A node that nothing reads is no region of its own, which would have no answer.
TEST(Session, ADeadNodeIsLeftOut) {
  model::Graph graph = TwoDenseLayers();
  graph.nodes.push_back(MakeNode("Softsign", "dead", {"h1"}, {"nobody"}));
  for (const char* candidate : {"strop", "openvino", "reference"})
    EXPECT_EQ(Session::Make(graph, With(candidate))->Run({{"x", RandomF32({3, 12}, 1)}}).size(), 1u)
        << candidate;
}

TEST(Plan, InputsWithOtherDynamicSizesMustBeGiven) {
  const std::vector<model::ValueInfo> inputs = {{"text", DType::kI64, {-1, -1}, {"batch", "length"}}};
  EXPECT_THAT(MessageOf([&] { RandomInputs(inputs, 2); }, Code::kInvalidArgument),
              HasSubstr("--shape text="));
  EXPECT_EQ(RandomInputs(inputs, 2, {{"text", {2, 9}}}).at("text").shape(), (Shape{2, 9}));
}

// x [2, 3] -> op -> y, in opset 17.
model::Graph OneNode(const std::string& op, std::vector<std::string> inputs, Shape declared,
                     std::map<std::string, model::Attribute> attributes = {}) {
  model::Graph graph;
  graph.name = "one";
  graph.ir_version = 8;
  graph.opsets[""] = 17;
  graph.inputs = {{"x", DType::kF32, {2, 3}, {"", ""}}};
  graph.outputs = {{"y", DType::kF32, std::move(declared), {"", ""}}};
  graph.nodes = {MakeNode(op, "node", std::move(inputs), {"y"}, std::move(attributes))};
  return graph;
}

TEST(DamagedModels, AnOutputThatIsDeclaredWrongHasItsTrueShape) {
  for (const Shape& declared : {Shape{5, 5}, Shape{int64_t{1} << 20, 1 << 12}}) {
    const auto session = Session::Make(OneNode("Softsign", {"x"}, declared), With("openvino"));
    EXPECT_EQ(session->Run({{"x", RandomF32({2, 3}, 1)}}).at("y").shape(), (Shape{2, 3}));
  }
}

TEST(DamagedModels, AValueBeyondTheMemoryIsRefusedBeforeItIsMade) {
  model::Graph graph = OneNode("ConstantOfShape", {"shape"}, {-1, -1});
  const std::vector<int64_t> sizes = {int64_t{1} << 31, int64_t{1} << 28};
  graph.initializers["shape"] = Tensor::From<int64_t>({2}, sizes);
  EXPECT_THAT(MessageOf([&] { Session::Make(graph, With("openvino")); }, Code::kUnsupported),
              HasSubstr("the value y of shape [2147483648,268435456] takes 2.31e+09 GB"));
}

TEST(DamagedModels, OpenVinoIsGivenNoEmptyValues) {
  model::Graph graph = OneNode("Softmax", {"x"}, {0, 3});
  graph.inputs[0].shape = {0, 3};
  const auto session = Session::Make(graph, With("openvino"));
  EXPECT_EQ(session->plan()[0].kernel, "reference");
  EXPECT_EQ(session->Run({{"x", Tensor::New(DType::kF32, {0, 3})}}).at("y").shape(), (Shape{0, 3}));
  graph.nodes[0].op = "RandomNormalLike";
  EXPECT_THAT(MessageOf([&] { Session::Make(graph, With("openvino")); }, Code::kUnsupported),
              HasSubstr("node node (RandomNormalLike): empty tensors are not supported"));
}

TEST(DamagedModels, ALoopThatNeverGoesRoundIsRefused) {
  model::Graph body = OneNode("Neg", {"x"}, {2, 3});
  body.inputs.insert(body.inputs.begin(), {{"at", DType::kI64, {}, {}}, {"go", DType::kBool, {}, {}}});
  body.outputs.insert(body.outputs.begin(), {"on", DType::kBool, {}, {}});
  body.nodes.push_back(MakeNode("Identity", "pass", {"go"}, {"on"}));
  strop_onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(body.Serialize()));
  model::Graph graph = OneNode("Loop", {"trips", "", "x"}, {2, 3},
                               {{"body", model::SubgraphBytes{proto.graph().SerializeAsString()}}});
  const auto trips = [&](int64_t count) {
    graph.initializers["trips"] = Tensor::From<int64_t>({}, std::span<const int64_t>(&count, 1));
    return Session::Make(graph, With("openvino"));
  };
  EXPECT_EQ(trips(1)->Run({{"x", RandomF32({2, 3}, 1)}}).at("y").shape(), (Shape{2, 3}));
  MessageOf([&] { trips(0); }, Code::kUnsupported);
}

TEST(DamagedModels, WhatOthersThrowBecomesAnErrorAtTheBorder) {
  const auto memory = [] { AtBorder("the run", []() -> int { throw std::bad_alloc(); }); };
  EXPECT_EQ(MessageOf(memory, Code::kUnsupported), "the run takes more memory than there is");
  const auto other = [] { AtBorder("the run", []() -> int { throw std::out_of_range("at"); }); };
  EXPECT_EQ(MessageOf(other, Code::kInternal), "the run failed: at");
}

}  // namespace
}  // namespace strop::engine
