#include "strop/watch/select.h"

#include <cmath>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"

namespace strop::watch {
namespace {

using testing::ElementsAre;

const Tensor kProbabilities = Tensor::From<double>({4, 3}, std::vector<double>{0.98, 0.01, 0.01,  // sure
                                                                               0.5, 0.5, 0.0,     // two alike
                                                                               0.4, 0.3, 0.3,     // all close
                                                                               0.7, 0.2, 0.1});

TEST(Select, EntropyAndMarginOrderByTheirOwnDefinition) {
  EXPECT_THAT(Select(kProbabilities, 4, "entropy"), ElementsAre(2, 3, 1, 0));
  EXPECT_THAT(Select(kProbabilities, 4, "margin"), ElementsAre(1, 2, 3, 0));
  EXPECT_THAT(Select(kProbabilities, 1), ElementsAre(2));
  EXPECT_THAT(Select(kProbabilities, 9).size(), 4u);
}

TEST(Select, UncertaintyHasKnownValues) {
  const auto entropy = Uncertainty(kProbabilities);
  EXPECT_NEAR(entropy[1], std::log(2) / std::log(3), 1e-12);
  const auto margin = Uncertainty(kProbabilities, "margin");
  EXPECT_DOUBLE_EQ(margin[1], 1);
  EXPECT_NEAR(margin[3], 0.5, 1e-12);
  const Tensor even = Tensor::From<float>({1, 4}, std::vector<float>(4, 0.25f));
  EXPECT_NEAR(Uncertainty(even)[0], 1, 1e-12);
}

TEST(Select, LogitsCountAsTheirProbabilities) {
  std::vector<float> logits;
  for (const double p : kProbabilities.As<double>())
    logits.push_back(static_cast<float>(std::log(p + 1e-300) + 5));
  const auto of_logits = Uncertainty(Tensor::From<float>({4, 3}, logits));
  const auto of_probabilities = Uncertainty(kProbabilities);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(of_logits[i], of_probabilities[i], 1e-5);
}

TEST(Select, OneScoreARowIsTheSecondClass) {
  const auto probabilities = Uncertainty(Tensor::From<float>({2, 1}, std::vector<float>{0.5f, 0.99f}));
  EXPECT_NEAR(probabilities[0], 1, 1e-6);
  EXPECT_LT(probabilities[1], 0.1);
  const auto logits = Uncertainty(Tensor::From<float>({2}, std::vector<float>{0.0f, -9.0f}));
  EXPECT_NEAR(logits[0], 1, 1e-6);
  EXPECT_LT(logits[1], 0.01);
}

TEST(Select, RandomIsASampleKeyedBySeed) {
  const Tensor rows = Tensor::New(DType::kF32, {1000, 2});
  const auto first = Select(rows, 100, "random", 1);
  EXPECT_EQ(first, Select(rows, 100, "random", 1));
  EXPECT_NE(first, Select(rows, 100, "random", 2));
  EXPECT_EQ(std::set<int64_t>(first.begin(), first.end()).size(), 100u);
  double mean = 0;
  for (const auto row : first) mean += static_cast<double>(row) / 100;
  EXPECT_NEAR(mean, 500, 4 * 1000 / std::sqrt(12.0 * 100));
}

TEST(Select, WhatCannotBeDoneIsSaid) {
  const auto code = [](auto call) {
    try {
      call();
    } catch (const Error& error) {
      return error.code();
    }
    return Code::kInternal;
  };
  EXPECT_EQ(code([] { Select(kProbabilities, 2, "badge"); }), Code::kUnsupported);
  EXPECT_EQ(code([] { Select(kProbabilities, 2, "best"); }), Code::kInvalidArgument);
  EXPECT_EQ(code([] { Select(kProbabilities, -1); }), Code::kInvalidArgument);
  EXPECT_EQ(code([] {
              Uncertainty(Tensor::From<float>({1, 2}, std::vector<float>{NAN, 1}));
            }),
            Code::kInvalidArgument);
  EXPECT_EQ(code([] { Uncertainty(Tensor::New(DType::kF32, {1, 2, 3})); }), Code::kInvalidArgument);
}

}  // namespace
}  // namespace strop::watch
