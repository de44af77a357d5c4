#include <algorithm>
#include <chrono>
#include <functional>
#include <set>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/rng.h"
#include "strop/base/threads.h"
#include "strop/engine/build.h"
#include "strop/engine/layers/layer.h"
#include "strop/engine/plan.h"
#include "strop/engine/pool.h"
#include "strop/engine/step.h"

namespace strop::engine {
namespace {

using Clock = std::chrono::steady_clock;
using model::ValueInfo;

constexpr double kLead = 0.97;  // another than the default must take at most so much of its time
// The same of a layer's kernels, whose times are short and whose weights are hot only here.
constexpr double kLayerLead = 0.9;
constexpr double kMeasurable = 2e-4;  // repeat shorter things until so many seconds
constexpr double kSettling = 2e-3;    // until another's threads sleep
constexpr int kFewestRounds = 7;

double Seconds(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// Median seconds of each function, run in turn so that a slow spell of the machine meets all of them. Before
// it is timed each runs once and then for `settling` seconds: OpenVINO's threads spin for a while behind a
// run, and caches hold what ran last.
std::vector<double> Interleave(const std::vector<std::function<void()>>& functions, double budget,
                               double settling) {
  std::vector<int64_t> repeats;
  for (const auto& function : functions) {
    function();  // warms caches, makes slots
    const Clock::time_point begin = Clock::now();
    function();
    repeats.push_back(
        std::max<int64_t>(1, static_cast<int64_t>(kMeasurable / std::max(Seconds(begin), 1e-9))));
  }
  std::vector<std::vector<double>> times(functions.size());
  const Clock::time_point start = Clock::now();
  for (int round = 0; round < kFewestRounds || Seconds(start) < budget; ++round) {
    for (size_t i = 0; i < functions.size(); ++i) {
      const Clock::time_point first = Clock::now();
      do {
        functions[i]();
      } while (Seconds(first) < settling);
      const Clock::time_point begin = Clock::now();
      for (int64_t repeat = 0; repeat < repeats[i]; ++repeat) functions[i]();
      times[i].push_back(Seconds(begin) / static_cast<double>(repeats[i]));
    }
  }
  std::vector<double> medians;
  for (std::vector<double>& each : times) medians.push_back(Median(std::move(each)));
  return medians;
}

template <class T>
void Fill(const Tensor& tensor, Rng& rng) {
  for (T& value : tensor.As<T>()) {
    if constexpr (std::is_floating_point_v<T>) {
      value = static_cast<T>(rng.Uniform());
    } else {
      value = static_cast<T>(rng.Below(2));
    }
  }
}

Tensor RandomTensor(DType dtype, const Shape& shape, Rng& rng) {
  const Tensor tensor = Tensor::New(dtype == DType::kF16 ? DType::kF32 : dtype, shape);
  switch (dtype) {
    case DType::kF32:
      Fill<float>(tensor, rng);
      break;
    case DType::kF64:
      Fill<double>(tensor, rng);
      break;
    case DType::kF16:
      Fill<float>(tensor, rng);
      return tensor.Cast(DType::kF16);
    case DType::kU8:
      for (uint8_t& value : tensor.As<uint8_t>()) value = static_cast<uint8_t>(rng.Below(256));
      break;
    case DType::kI8:
      Fill<int8_t>(tensor, rng);
      break;
    case DType::kU16:
      Fill<uint16_t>(tensor, rng);
      break;
    case DType::kI16:
      Fill<int16_t>(tensor, rng);
      break;
    case DType::kU32:
      Fill<uint32_t>(tensor, rng);
      break;
    case DType::kI32:
      Fill<int32_t>(tensor, rng);
      break;
    case DType::kU64:
      Fill<uint64_t>(tensor, rng);
      break;
    case DType::kI64:
      Fill<int64_t>(tensor, rng);
      break;
    case DType::kBool:
      Fill<bool>(tensor, rng);
      break;
  }
  return tensor;
}

// What all layers are timed with.
struct Timing {
  const model::Graph& graph;
  const std::map<std::string, ValueInfo>& values;  // with the sizes of the timing
  const std::map<std::string, Order>& orders;
  ThreadPool& pool;
  double budget;  // seconds a layer

  Order OrderOf(const std::string& value) const {
    const auto found = orders.find(value);
    return found == orders.end() ? Order::kPlain : found->second;
  }
  bool Sized(const std::string& value) const {
    const auto found = values.find(value);
    return found != values.end() && found->second.has_shape && ElementCount(found->second.shape) > 0;
  }
};

// The layer's time with the kernels of each instruction set, and the fastest; nothing where its sizes are not
// known.
std::optional<LayerPlan> TimeLayer(const Timing& timing, const Layer& layer) {
  const auto sized = [&](const std::string& value) { return timing.Sized(value); };
  if (!std::all_of(layer.inputs.begin(), layer.inputs.end(), sized) || !sized(layer.output))
    return std::nullopt;
  Rng rng(0);
  std::vector<Tensor> in;
  LayerBuild build{timing.graph, Isa::kScalar, timing.pool, {}, timing.OrderOf(layer.output), {}};
  for (const std::string& value : layer.inputs) {
    const ValueInfo& info = timing.values.at(value);
    in.push_back(RandomTensor(info.dtype, info.shape, rng));
    build.inputs.push_back(timing.OrderOf(value));
  }
  const ValueInfo& answer = timing.values.at(layer.output);
  std::vector<Tensor> out = {Tensor::New(answer.dtype, answer.shape)};
  std::vector<std::unique_ptr<Step>> steps;
  std::vector<std::unique_ptr<Step::State>> states;
  std::vector<std::function<void()>> runs;
  const auto add = [&] {
    std::unique_ptr<Step> step = layer.make(build);
    const auto same = [&](const std::unique_ptr<Step>& other) {
      return other->plan.kernel == step->plan.kernel;
    };
    if (std::any_of(steps.begin(), steps.end(), same)) return;
    states.push_back(step->NewState());
    runs.emplace_back(
        [&in, &out, step = step.get(), state = states.back().get()] { step->Run(*state, in, out); });
    steps.push_back(std::move(step));
  };
  const Isa highest = HighestIsa(Cpu());
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni, Isa::kAmx}) {
    if (isa > highest) break;
    if (isa == Isa::kScalar && isa < highest) continue;  // never the fastest, and slow to time
    build.isa = isa;
    build.family = {};
    if (layer.families.empty()) add();
    for (const std::string& family : layer.families) {
      build.family = family;
      add();
    }
  }
  const std::vector<double> seconds = Interleave(runs, timing.budget, 0);
  build.isa = highest;
  build.family = {};
  const std::string usual = layer.make(build)->plan.kernel;
  const auto is_usual = [&](const std::unique_ptr<Step>& step) { return step->plan.kernel == usual; };
  auto best = static_cast<size_t>(std::find_if(steps.begin(), steps.end(), is_usual) - steps.begin());
  const auto least = static_cast<size_t>(std::min_element(seconds.begin(), seconds.end()) - seconds.begin());
  if (best == steps.size() || seconds[least] < seconds[best] * kLayerLead) best = least;
  LayerPlan plan = steps[best]->plan;
  plan.kernel = steps[best]->Kernel(*states[best]);
  for (size_t i = 0; i < steps.size(); ++i)
    plan.candidates.push_back({std::string(steps[i]->Kernel(*states[i])), seconds[i]});
  return plan;
}

// Whether no step of the session is OpenVINO's.
bool IsOwn(const Session& session) {
  const std::vector<LayerPlan> layers = session.plan();
  return std::none_of(layers.begin(), layers.end(),
                      [](const LayerPlan& layer) { return layer.kernel == "openvino"; });
}

}  // namespace

TensorMap RandomInputs(const std::vector<ValueInfo>& inputs, int64_t batch,
                       const std::map<std::string, Shape>& shapes, uint64_t seed) {
  TensorMap made;
  Rng rng(seed);
  for (const ValueInfo& input : inputs) {
    Shape shape = input.shape;
    if (const auto own = shapes.find(input.name); own != shapes.end()) {
      shape = own->second;
    } else if (!shape.empty() && shape[0] == -1) {
      shape[0] = batch;
    }
    const bool given = shapes.contains(input.name);
    if ((!input.has_shape && !given) || std::find(shape.begin(), shape.end(), -1) != shape.end()) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("input {} is {}: only its first size is the batch, so give its "
                              "shape (--shape {}=1,…)",
                              input.name, ShapeText(input.shape), input.name));
    }
    made[input.name] = RandomTensor(input.dtype, shape, rng);
  }
  return made;
}

SavedPlan MakePlan(const std::filesystem::path& path, const TuneOptions& options) {
  options.Validate();
  const int threads = options.threads > 0 ? options.threads : UsableCpus();
  model::Graph graph = model::Graph::Load(path);
  std::set<std::string> kept;
  for (const ValueInfo& output : graph.outputs) kept.insert(output.name);
  PrepareGraph(graph, kept);
  const TensorMap inputs = RandomInputs(graph.inputs, options.batch, options.shapes);
  std::map<std::string, Shape> shapes;
  for (const auto& [name, tensor] : inputs) shapes[name] = tensor.shape();
  const std::map<std::string, ValueInfo> values = model::InferShapes(graph, shapes);
  // As a session finds them, which does not know the sizes.
  const std::map<std::string, ValueInfo> types = model::InferShapes(graph);
  const std::vector<Layer> layers = FindLayers(graph, types, kept);
  const std::map<std::string, Order> orders = OrderValues(graph, layers, types, kept);

  SavedPlan plan;
  plan.key = PlanKey::Here(HashHex(ReadFile(path)), threads);
  plan.batch = options.batch;
  ThreadPool pool(threads);
  const double budget = options.seconds / 2 / static_cast<double>(std::max<size_t>(layers.size(), 1));
  const Timing timing{graph, values, orders, pool, budget};
  for (const Layer& layer : layers)
    if (std::optional<LayerPlan> timed = TimeLayer(timing, layer)) plan.layers.push_back(std::move(*timed));

  // The kernels just chosen are what the "strop" candidate is timed with.
  const std::filesystem::path temporary = TemporaryBeside(PlanPath(path));
  SavePlan(plan, temporary);
  std::vector<std::string> names = {"openvino"};
  if (!layers.empty()) names.push_back("strop");
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<std::function<void()>> runs;
  try {
    for (const std::string& name : names) {
      SessionOptions session;
      session.threads = threads;
      session.prefer = name;
      session.plan = temporary;
      sessions.push_back(Session::Load(path, session));
      runs.emplace_back([&inputs, &session = *sessions.back()] { session.Run(inputs); });
    }
  } catch (...) {
    std::filesystem::remove(temporary);
    throw;
  }
  std::filesystem::remove(temporary);
  const std::vector<double> seconds = Interleave(runs, options.seconds / 2, kSettling);
  // The only way to run a model of which OpenVINO gets nothing, as one of trees: by either name it is the
  // same.
  if (names.size() == 1 && IsOwn(*sessions[0])) names[0] = "strop";
  // What needs no OpenVINO loads sooner and takes less memory, so that it is kept on a tie.
  const size_t usual = names.size() > 1 && IsOwn(*sessions.back()) ? names.size() - 1 : 0;
  size_t best = usual;
  for (size_t i = 0; i < names.size(); ++i) {
    plan.candidates.push_back({names[i], seconds[i]});
    if (seconds[i] < seconds[usual] * kLead && seconds[i] < seconds[best]) best = i;
  }
  plan.candidate = names[best];
  return plan;
}

SavedPlan TunePlan(const std::filesystem::path& model, const TuneOptions& options) {
  SavedPlan plan = MakePlan(model, options);
  SavePlan(plan, PlanPath(model));
  return plan;
}

}  // namespace strop::engine
