#include "strop/train/trainer.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"

namespace strop::train {
namespace {

// Two classes of points in the plane, split by a circle: a linear model cannot, a hidden layer can.
class Circle : public BatchSource {
 public:
  Circle(int64_t batches, uint64_t seed) : batches_(batches), seed_(seed) {}
  std::optional<TensorMap> Next() override {
    if (position_ == batches_) {
      position_ = 0;
      return std::nullopt;
    }
    Rng rng(seed_, static_cast<uint64_t>(position_++));
    Tensor x = Tensor::New(DType::kF32, {64, 2}), label = Tensor::New(DType::kI64, {64});
    for (size_t i = 0; i < 64; ++i) {
      const double a = rng.Uniform() * 2 - 1, b = rng.Uniform() * 2 - 1;
      x.As<float>()[2 * i] = static_cast<float>(a);
      x.As<float>()[2 * i + 1] = static_cast<float>(b);
      label.As<int64_t>()[i] = a * a + b * b < 0.5 ? 1 : 0;
    }
    return TensorMap{{"x", x}, {"label", label}};
  }
  int64_t batches() const override { return batches_; }

 private:
  int64_t batches_, position_ = 0;
  uint64_t seed_;
};

model::Graph Perceptron() {
  Rng rng(9);
  const auto random = [&](const Shape& shape) {
    Tensor tensor = Tensor::New(DType::kF32, shape);
    for (float& value : tensor.As<float>()) value = static_cast<float>(rng.Normal() * 0.5);
    return tensor;
  };
  model::Graph graph;
  graph.opsets = {{"", 17}};
  model::ValueInfo x{"x", DType::kF32, {-1, 2}, {"batch", ""}}, y{"y", DType::kF32, {-1, 2}, {"batch", ""}};
  graph.inputs = {x};
  graph.outputs = {y};
  graph.metadata = {{"strop.penultimate", "h"}, {"author", "someone"}};
  graph.initializers = {
      {"w1", random({16, 2})}, {"b1", random({16})}, {"w2", random({2, 16})}, {"b2", random({2})}};
  const auto node = [](const std::string& op, std::vector<std::string> inputs, const std::string& output) {
    model::Node made;
    made.op = op;
    made.name = output;
    made.inputs = std::move(inputs);
    made.outputs = {output};
    if (op == "Gemm") made.attributes["transB"] = int64_t{1};
    return made;
  };
  graph.nodes = {node("Gemm", {"x", "w1", "b1"}, "z"), node("Relu", {"z"}, "h"),
                 node("Gemm", {"h", "w2", "b2"}, "y")};
  return graph;
}

FitOptions Options() {
  FitOptions options;
  options.epochs = 12;
  options.learning_rate = 0.02;
  options.threads = 1;
  return options;
}

TEST(Fit, LearnsAndKeepsStructureNamesAndMetadata) {
  const model::Graph before = Perceptron();
  Circle training(20, 1), validation(10, 2);
  int64_t calls = 0;
  const FitResult result = Fit(before, training, &validation, Options(), [&](const FitProgress& now) {
    ++calls;
    EXPECT_EQ(now.steps, 240);
    EXPECT_EQ(now.epoch_over, now.validation.has_value());
    return true;
  });
  ASSERT_TRUE(result.validation);
  EXPECT_EQ(result.validation->metric, "accuracy");
  EXPECT_LT(result.validation->before, 0.8);
  EXPECT_GT(result.validation->after, 0.93);
  EXPECT_EQ(calls, 240 + 12);
  EXPECT_EQ(result.rows, 20 * 64);
  EXPECT_EQ(result.model.metadata, before.metadata);
  ASSERT_EQ(result.model.nodes.size(), before.nodes.size());
  for (const auto& [name, tensor] : before.initializers) {
    const Tensor& trained = result.model.initializers.at(name);
    EXPECT_EQ(trained.shape(), tensor.shape());
    EXPECT_NE(std::memcmp(trained.data(), tensor.data(), tensor.bytes()), 0) << name << " did not change";
  }
  Circle again(10, 2);
  EXPECT_DOUBLE_EQ(Evaluate(result.model, again, Options()), result.validation->after);
}

TEST(Fit, TheSameSeedGivesTheSameBytes) {
  Circle a(5, 1), b(5, 1);
  const FitResult first = Fit(Perceptron(), a, nullptr, Options());
  const FitResult second = Fit(Perceptron(), b, nullptr, Options());
  for (const auto& [name, tensor] : first.model.initializers) {
    EXPECT_EQ(std::memcmp(tensor.data(), second.model.initializers.at(name).data(), tensor.bytes()), 0)
        << name;
  }
}

TEST(Fit, AdamLearnsToo) {
  Circle training(20, 1), validation(10, 2);
  FitOptions options = Options();
  options.optimizer = Optimizer::kAdam;
  EXPECT_GT(Fit(Perceptron(), training, &validation, options).validation->after, 0.93);
}

TEST(Fit, ARunThatOnlyHarmsKeepsTheModelGiven) {
  Circle training(20, 1), validation(10, 2);
  const model::Graph good = Fit(Perceptron(), training, &validation, Options()).model;
  FitOptions options = Options();
  options.learning_rate = 10;
  options.cosine = false;
  options.epochs = 1;
  Circle more(20, 3), judge(10, 2);
  const FitResult result = Fit(good, more, &judge, options);
  EXPECT_EQ(result.kept_epoch, 0);
  EXPECT_DOUBLE_EQ(result.validation->after, result.validation->before);
  const Tensor &kept = result.model.initializers.at("w1"), &given = good.initializers.at("w1");
  EXPECT_EQ(std::memcmp(kept.data(), given.data(), given.bytes()), 0);
}

TEST(Fit, WrongOptionsNameTheValue) {
  Circle training(1, 1);
  FitOptions options = Options();
  options.learning_rate = -1;
  try {
    Fit(Perceptron(), training, nullptr, options);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_THAT(error.what(), testing::HasSubstr("learning rate = -1"));
  }
}

TEST(Fit, AnErrorOfTheProgressCallbackReachesTheCaller) {
  Circle training(5, 1);
  EXPECT_THROW(Fit(Perceptron(), training, nullptr, Options(),
                   [](const FitProgress&) -> bool { throw Error(Code::kCancelled, "stop"); }),
               Error);
}

TEST(Fit, StoppedInAnEpochItGivesTheModelOfTheOnesBefore) {
  Circle a(5, 1), b(5, 1);
  FitOptions options = Options();
  options.cosine = false;
  options.epochs = 2;
  const FitResult whole = Fit(Perceptron(), a, nullptr, options);
  options.epochs = 100;
  const FitResult stopped =
      Fit(Perceptron(), b, nullptr, options, [](const FitProgress& now) { return now.step < 13; });
  EXPECT_FALSE(whole.stopped);
  EXPECT_TRUE(stopped.stopped);
  EXPECT_EQ(stopped.epochs, 2);
  EXPECT_EQ(stopped.kept_epoch, 2);
  EXPECT_EQ(stopped.train_loss, whole.train_loss);
  for (const auto& [name, tensor] : whole.model.initializers) {
    EXPECT_EQ(std::memcmp(tensor.data(), stopped.model.initializers.at(name).data(), tensor.bytes()), 0)
        << name;
  }
}

TEST(Fit, StoppedInItsFirstEpochItGivesTheModelGiven) {
  Circle training(5, 1);
  const model::Graph given = Perceptron();
  const FitResult result = Fit(given, training, nullptr, Options(), [](const FitProgress&) { return false; });
  EXPECT_TRUE(result.stopped);
  EXPECT_EQ(result.epochs, 0);
  const Tensor &kept = result.model.initializers.at("w1"), &before = given.initializers.at("w1");
  EXPECT_EQ(std::memcmp(kept.data(), before.data(), before.bytes()), 0);
}

}  // namespace
}  // namespace strop::train
