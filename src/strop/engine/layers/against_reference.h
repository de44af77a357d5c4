#pragma once

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "strop/engine/session.h"
#include "strop/engine/test_graphs.h"
#include "strop/model/reference/evaluator.h"

namespace strop::engine {

// How a session of the own kernels is held against the reference evaluator.
struct AgainstReference {
  int threads = 1;
  std::vector<std::string> taps = {};
  double tolerance = 2e-5;  // of floats, beside max(1, |wanted|)
  // Where bytes are made, a float rounded otherwise can move one to its neighbour: this share of a value's
  // elements may be off, a byte by one and a float by `most_off`.
  double share_off = 0;
  double most_off = 0;
  // What OpenVINO is left to run, and nothing else: an operator, or "2 nodes".
  std::set<std::string> openvino = {};
};

inline void ExpectAsWanted(const Tensor& found, const Tensor& wanted, const AgainstReference& how,
                           const std::string& what) {
  ASSERT_EQ(found.shape(), wanted.shape()) << what;
  ASSERT_EQ(found.dtype(), wanted.dtype()) << what;
  const Tensor a = found.Cast(DType::kF64), b = wanted.Cast(DType::kF64);
  const bool floats = wanted.dtype() == DType::kF32;
  int64_t off = 0;
  for (size_t i = 0; i < static_cast<size_t>(wanted.size()); ++i) {
    const double x = a.As<double>()[i], y = b.As<double>()[i];
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    if (floats && std::abs(x - y) <= how.tolerance * std::max(1.0, std::abs(y))) continue;
    ASSERT_NEAR(x, y, floats ? how.most_off : 1.0) << what << " at " << i;
    ++off;
  }
  EXPECT_LE(static_cast<double>(off), how.share_off * static_cast<double>(wanted.size())) << what;
}

// The graph's outputs and the taps are what the reference answers.
inline void ExpectAsReference(const model::Graph& graph, const TensorMap& inputs, const AgainstReference& how,
                              const std::string& what) {
  SessionOptions options;
  options.prefer = "strop";
  options.threads = how.threads;
  options.taps = how.taps;
  const auto session = Session::Make(graph, options);
  for (const LayerPlan& layer : session->plan()) {
    const bool left = layer.kernel == "openvino" || layer.kernel == "reference";
    EXPECT_EQ(left, how.openvino.contains(layer.op)) << what << ": " << layer.layer << " " << layer.op;
  }
  const TensorMap found = session->Run(inputs), again = session->Run(inputs);
  std::vector<std::string> wanted = how.taps;
  for (const model::ValueInfo& output : graph.outputs) wanted.push_back(output.name);
  for (const auto& [name, tensor] : model::reference::Evaluate(graph, inputs, wanted)) {
    ExpectAsWanted(found.at(name), tensor, how, what + ": " + name);
    if (testing::Test::HasFatalFailure()) return;
    ExpectAsWanted(again.at(name), found.at(name), {.tolerance = 0}, what + ": " + name + " once more");
  }
}

}  // namespace strop::engine
