#include "strop/engine/fuzz/trial.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <typeinfo>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/engine/session.h"
#include "strop/model/graph.h"
#include "strop/model/passes.h"

namespace strop::engine::fuzz {
namespace {

using Kind = TrialResult::Kind;
using model::Graph;
using model::ValueInfo;

constexpr const char* kCandidates[] = {"openvino", "strop", "reference"};
constexpr int64_t kMostElements = 1 << 16;  // of an input that is tried
constexpr size_t kLongestMessage = 4096;

bool OneLine(std::string_view text) {
  return !text.empty() && text.size() <= kLongestMessage &&
         std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

std::string TypeOf(const std::exception& error) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, &status), &std::free);
  return status == 0 ? name.get() : typeid(error).name();
}

// Small numbers: integers choose rows and axes that are there.
Tensor RandomInput(const ValueInfo& value, int64_t batch, Rng& rng) {
  Shape shape = value.has_shape ? value.shape : Shape{batch, 3};
  for (int64_t& size : shape)
    if (size < 0) size = batch;
  if (ElementCount(shape) < 0 || ElementCount(shape) > kMostElements)
    throw Error(Code::kInvalidArgument, "nobody has an input that large");
  Tensor wide = Tensor::New(DType::kF64, shape);
  const bool floats = value.dtype == DType::kF32 || value.dtype == DType::kF64 || value.dtype == DType::kF16;
  for (double& number : wide.As<double>())
    number = floats ? rng.Uniform() * 4 - 2 : static_cast<double>(rng.Below(2));
  return wide.Cast(value.dtype);
}

void RunOnce(const std::filesystem::path& path, const char* candidate) {
  SessionOptions options;
  options.threads = 2;
  options.prefer = candidate;
  const std::unique_ptr<Session> session = Session::Load(path, options);
  for (const int64_t batch : {1, 3}) {
    Rng rng(static_cast<uint64_t>(batch));
    TensorMap inputs;
    for (const ValueInfo& input : session->inputs()) inputs[input.name] = RandomInput(input, batch, rng);
    for (const auto& [name, tensor] : session->Run(inputs)) {
      // Answers are read whole, so that memory that is not theirs is met here.
      volatile unsigned sum = 0;
      for (size_t i = 0; i < tensor.bytes(); ++i)
        sum = sum + static_cast<const unsigned char*>(tensor.data())[i];
    }
  }
}

void Rewrite(const Graph& graph) {
  Graph copy = graph;
  model::Simplify(copy);
  Graph::Parse(copy.Serialize());
}

}  // namespace

TrialResult Try(const std::filesystem::path& path, int candidate, Stage stage) {
  TrialResult result;
  const auto attempt = [&](const char* name, const std::function<void()>& body) {
    if (result.kind == Kind::kFinding) return false;
    stage(name);
    try {
      body();
      return true;
    } catch (const Error& error) {
      const bool fair = OneLine(error.what()) && error.code() != Code::kInternal;
      result = {fair ? Kind::kRefused : Kind::kFinding,
                fmt::format("{}: {}: {}", name, CodeName(error.code()), error.what())};
    } catch (const std::exception& error) {
      result = {Kind::kFinding, fmt::format("{}: {}: {}", name, TypeOf(error), error.what())};
    } catch (...) {
      result = {Kind::kFinding, fmt::format("{}: an exception of no known type", name)};
    }
    return false;
  };
  Graph graph;
  if (!attempt("load", [&] { graph = Graph::Load(path); })) return result;
  attempt("infer shapes", [&] { model::InferShapes(graph); });
  attempt("simplify", [&] { Rewrite(graph); });
  attempt("penultimate", [&] { model::Penultimate(graph); });
  attempt(kCandidates[candidate], [&] { RunOnce(path, kCandidates[candidate]); });
  return result;
}

}  // namespace strop::engine::fuzz
