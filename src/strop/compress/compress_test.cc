#include "strop/compress/compress.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/compress/latency.h"
#include "strop/compress/predict.h"
#include "strop/compress/report.h"
#include "strop/compress/test_support.h"
#include "strop/engine/session.h"

namespace strop::compress {
namespace {

// Rows labelled by the float model itself: its accuracy is 1, and every drop is the compressed model's.
struct World {
  model::Graph graph = SmallNetwork(5);
  TensorMap calibration, evaluation;
  Tensor labels;

  explicit World(int64_t rows) {
    Rng rng(12);
    calibration = {{"image", RandomBytes({200, 1, 8, 8}, rng)}};
    evaluation = {{"image", RandomBytes({rows, 1, 8, 8}, rng)}};
    const Tensor scores = engine::Session::Make(graph)->Run(evaluation).at("logits");
    labels = Tensor::New(DType::kI64, {rows});
    for (int64_t row = 0; row < rows; ++row) {
      const float* score = scores.As<float>().data() + row * 3;
      labels.As<int64_t>()[static_cast<size_t>(row)] = std::max_element(score, score + 3) - score;
    }
  }
  CompressResult Run(const CompressOptions& options) const {
    return Compress(graph, calibration, evaluation, labels, options);
  }
};

CompressOptions Options(double max_drop) {
  CompressOptions options;
  options.max_drop = max_drop;
  options.threads = 1;
  return options;
}

template <class Call>
void ExpectError(Code code, const std::string& pattern, Call call) {
  try {
    call();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), testing::ContainsRegex(pattern));
  }
}

TEST(Compress, AGenerousLimitQuantisesEveryLayer) {
  const World world(2000);
  const CompressResult result = world.Run(Options(0.1));
  EXPECT_EQ(result.metric, "accuracy");
  EXPECT_DOUBLE_EQ(result.quality.baseline, 1);
  EXPECT_GE(result.quality.interval.low, -0.1);
  ASSERT_EQ(result.layers.size(), 4U);
  for (const LayerResult& layer : result.layers) {
    EXPECT_EQ(layer.bits, 8) << layer.layer;
    EXPECT_GT(layer.sensitivity, 0) << layer.layer;
    EXPECT_LT(layer.sensitivity, 0.1) << layer.layer;
  }
  EXPECT_EQ(result.attempts.size(), 1U);
  EXPECT_EQ(result.model.metadata.at("strop.penultimate"), "r3");
  // The tap is still a value of the model.
  engine::SessionOptions tapped;
  tapped.taps = {"r3"};
  EXPECT_EQ(engine::Session::Make(result.model, tapped)->Run(world.evaluation).at("r3").shape(),
            (Shape{2000, 5}));
}

TEST(Compress, LayersGoBackToFloatMostSensitiveFirstUntilTheLimitIsMet) {
  const World world(4000);
  const CompressResult all = world.Run(Options(0.1));
  ASSERT_LT(all.quality.interval.low, -0.001);
  // A limit that the whole model just misses.
  const CompressResult some = world.Run(Options(-all.quality.interval.low * 0.9));
  EXPECT_GT(some.attempts.size(), 1U);
  EXPECT_GE(some.quality.interval.low, all.quality.interval.low * 0.9);
  double least_float = 1e9, most_int8 = 0;
  int floats = 0;
  for (const LayerResult& layer : some.layers) {
    if (layer.bits == 32) {
      ++floats;
      least_float = std::min(least_float, layer.sensitivity);
    } else {
      most_int8 = std::max(most_int8, layer.sensitivity);
    }
  }
  EXPECT_EQ(floats, static_cast<int>(some.attempts.size()) - 1);
  EXPECT_GE(least_float, most_int8);
}

TEST(Compress, TooFewRowsSaysHowManyAreNeeded) {
  const World world(100);
  ExpectError(Code::kInvalidArgument, "the evaluation has 100 rows: at least 381 are needed",
              [&] { world.Run(Options(0.01)); });
}

TEST(Compress, ATargetOutOfReachSaysWhatWasReached) {
  World world(4000);
  CompressOptions options = Options(0.001);
  options.quantize.weight_limit = 1;  // weights of -1, 0, 1 ruin every layer
  ExpectError(Code::kFailedPrecondition,
              "max drop 0.001 cannot be met.*best of 4 attempts.*layers in INT8 gave accuracy",
              [&] { world.Run(options); });
}

TEST(Compress, AModelWithoutWeightsHasNothingToQuantise) {
  World world(2000);
  world.graph.nodes = {MakeNode("Cast", {"image"}, "f", {{"to", int64_t{1}}}),
                       MakeNode("Flatten", {"f"}, "logits")};
  world.graph.initializers.clear();
  world.graph.metadata.clear();
  world.graph.outputs = {MakeValue("logits", DType::kF32, {-1, 64})};
  ExpectError(Code::kUnsupported, "nothing to quantise", [&] { world.Run(Options(0.1)); });
}

TEST(Compress, ABudgetThatEndsSaysSo) {
  const World world(2000);
  CompressOptions options = Options(0.1);
  options.budget = std::chrono::milliseconds(1);
  ExpectError(Code::kTimeout, "budget of 0.001s ended", [&] { world.Run(options); });
}

TEST(Compress, TheLimitMustBeMoreThanZero) {
  const World world(10);
  ExpectError(Code::kInvalidArgument, "max drop = 0", [&] { world.Run(Options(0)); });
}

TEST(Predict, AFixedBatchIsFilledUp) {
  Rng rng(3);
  model::Graph graph = SmallNetwork(2);
  const TensorMap rows = {{"image", RandomBytes({10, 1, 8, 8}, rng)}};
  const Tensor want = Predict(*engine::Session::Make(graph), rows, "logits");
  graph.inputs[0].shape[0] = 4;
  graph.outputs[0].shape[0] = 4;
  const Tensor got = Predict(*engine::Session::Make(graph), rows, "logits");
  ASSERT_EQ(got.shape(), (Shape{10, 3}));
  for (size_t i = 0; i < 30; ++i) EXPECT_NEAR(got.As<float>()[i], want.As<float>()[i], 1e-4);
}

TEST(Latency, TheSameModelIsAsFastAsItself) {
  Rng rng(3);
  const auto a = engine::Session::Make(SmallNetwork(2)), b = engine::Session::Make(SmallNetwork(2));
  const Latency latency = CompareLatency(*a, *b, {{"image", RandomBytes({1, 1, 8, 8}, rng)}}, 0.2);
  EXPECT_GT(latency.before, 0);
  EXPECT_GE(latency.runs, 15);
  EXPECT_DOUBLE_EQ(latency.speedup, latency.before / latency.after);
}

TEST(Report, NamesEveryLayerAndNeedsNothingElse) {
  CompressResult result;
  result.metric = "accuracy";
  result.quality = {0.9, 0.895, -0.005, {-0.009, -0.001}, 1000};
  result.layers = {{"conv<1>", "Conv", 8, 0.001}, {"fc", "Gemm", 32, 0.1}};
  result.attempts = {{{}, result.quality}};
  ReportFacts facts;
  facts.model = "a&b.onnx";
  facts.bytes_before = 400;
  facts.bytes_after = 100;
  const std::string html = ReportHtml(result, facts);
  EXPECT_THAT(html, testing::AllOf(testing::HasSubstr("a&amp;b.onnx"), testing::HasSubstr("conv&lt;1&gt;"),
                                   testing::HasSubstr("0.8950"), testing::HasSubstr("4.00x smaller")));
  EXPECT_THAT(html,
              testing::Not(testing::AnyOf(testing::HasSubstr("http://"), testing::HasSubstr("https://"))));
}

}  // namespace
}  // namespace strop::compress
