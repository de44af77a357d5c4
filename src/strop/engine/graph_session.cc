#include "strop/engine/graph_session.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "strop/base/error.h"
#include "strop/base/threads.h"
#include "strop/engine/border.h"

namespace strop::engine {
namespace {

using model::ValueInfo;

constexpr size_t kFewestSlots = 4;

std::vector<std::string> NamesOf(const std::vector<ValueInfo>& values) {
  std::vector<std::string> names;
  for (const ValueInfo& value : values) names.push_back(value.name);
  return names;
}

bool Fits(const Shape& found, const ValueInfo& wanted) {
  if (!wanted.has_shape) return std::find(found.begin(), found.end(), 0) == found.end();
  return std::equal(
      found.begin(), found.end(), wanted.shape.begin(), wanted.shape.end(),
      [](int64_t size, int64_t declared) { return declared == -1 ? size > 0 : size == declared; });
}

bool IsForeign(const Step& step) { return step.plan.kernel == "openvino"; }

}  // namespace

GraphSession::GraphSession(model::Graph graph, std::string hash, const SessionOptions& options,
                           const std::filesystem::path& saved)
    : hash_(std::move(hash)),
      graph_(std::move(graph)),
      pool_(options.threads > 0 ? options.threads : UsableCpus()),
      most_slots_(std::max(kFewestSlots, static_cast<size_t>(pool_.threads()))) {
  std::set<std::string> kept(options.taps.begin(), options.taps.end());
  for (const ValueInfo& output : graph_.outputs) kept.insert(output.name);
  PrepareGraph(graph_, kept);
  if (!saved.empty()) saved_ = LoadPlan(saved, PlanKey::Here(hash_, pool_.threads()));
  const std::map<std::string, ValueInfo> values = model::InferShapes(graph_);
  for (const auto& [name, value] : values) CheckSize(name, value.dtype, value.shape);
  inputs_ = graph_.inputs;
  outputs_ = graph_.outputs;
  ResolveTaps(options.taps, values);

  BuildRequest request{.graph = graph_,
                       .values = values,
                       .kept = {},
                       .candidate = options.prefer,
                       .plan = saved_ ? &*saved_ : nullptr,
                       .openvino = {.threads = pool_.threads(), .profile_layers = options.profile_layers},
                       .pool = pool_};
  for (const ValueInfo& output : outputs_) request.kept.insert(output.name);
  if (request.candidate.empty() && saved_) request.candidate = saved_->candidate;
  Wire(BuildSteps(request));
  for (Value& value : values_) {
    if (const auto known = values.find(value.name); known != values.end()) value.dtype = known->second.dtype;
  }
  free_slots_.reserve(most_slots_);
  // From here on the graph only tells shapes, which weights take part in by their own. What an output's shape
  // is only declared to be need not be true: such an answer has the shape that it is made with.
  for (ValueInfo& output : graph_.outputs) output.has_shape = false;
  for (auto& [name, tensor] : graph_.initializers) {
    const bool few = tensor.size() <= 16;  // scales of Resize
    if (!few &&
        (tensor.dtype() == DType::kF32 || tensor.dtype() == DType::kI8 || tensor.dtype() == DType::kU8)) {
      tensor = Tensor::Wrap(tensor.dtype(), tensor.shape(), nullptr, nullptr);
    }
  }
  layouts_.emplace(std::move(graph_), PlannedValues());
}

void GraphSession::ResolveTaps(const std::vector<std::string>& taps,
                               const std::map<std::string, ValueInfo>& values) {
  for (const std::string& tap : taps) {
    const auto same = [&](const ValueInfo& output) { return output.name == tap; };
    if (std::any_of(outputs_.begin(), outputs_.end(), same)) continue;
    const auto known = values.find(tap);
    if (known != values.end()) {
      outputs_.push_back(known->second);
    } else if (graph_.Producer(tap) == nullptr) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("tap {}: the model has no value of that name (the penultimate one is \"{}\")",
                              tap, model::Penultimate(graph_)));
    } else {
      throw Error(
          Code::kUnsupported,
          fmt::format("tap {}: its type does not follow from the model's inputs, so it cannot be an output",
                      tap));
    }
  }
}

size_t GraphSession::ValueIndex(const std::string& name) {
  const auto [found, fresh] = index_.emplace(name, values_.size());
  if (fresh) {
    Value value{.name = name, .dtype = DType::kF32, .answer = false, .constant = {}};
    if (const auto constant = graph_.initializers.find(name); constant != graph_.initializers.end()) {
      value.constant = constant->second;
    }
    values_.push_back(std::move(value));
  }
  return found->second;
}

void GraphSession::Wire(std::vector<std::unique_ptr<Step>> steps) {
  for (const ValueInfo& input : inputs_) ValueIndex(input.name);
  for (std::unique_ptr<Step>& step : steps) {
    Wired wired;
    for (const std::string& name : step->inputs) wired.inputs.push_back(ValueIndex(name));
    for (const std::string& name : step->outputs) wired.outputs.push_back(ValueIndex(name));
    step_profiles_.push_back({step->plan.layer, step->plan.op, step->plan.kernel, 0, 0});
    wired.step = std::move(step);
    steps_.push_back(std::move(wired));
  }
  for (const ValueInfo& value : outputs_) values_[ValueIndex(value.name)].answer = true;
  readers_.resize(values_.size());
  maker_.resize(values_.size());
  for (size_t step = 0; step < steps_.size(); ++step) {
    for (size_t i = 0; i < steps_[step].inputs.size(); ++i)
      readers_[steps_[step].inputs[i]].push_back({step, i});
    for (size_t i = 0; i < steps_[step].outputs.size(); ++i) maker_[steps_[step].outputs[i]] = Place{step, i};
  }
}

void GraphSession::CheckInputs(const TensorMap& inputs) const {
  std::map<std::string, std::pair<int64_t, std::string>> named;  // a dynamic size's name -> size and input
  for (const ValueInfo& wanted : inputs_) {
    const std::string type = fmt::format("{} {}", DTypeName(wanted.dtype),
                                         wanted.has_shape ? ShapeText(wanted.shape) : "of any shape");
    const auto found = inputs.find(wanted.name);
    if (found == inputs.end()) {
      throw Error(Code::kInvalidArgument, fmt::format("input {} is missing: wanted {}", wanted.name, type));
    }
    const Tensor& tensor = found->second;
    if (tensor.dtype() != wanted.dtype || !Fits(tensor.shape(), wanted)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("input {} is {} {}: wanted {}", wanted.name, DTypeName(tensor.dtype()),
                              ShapeText(tensor.shape()), type));
    }
    for (size_t i = 0; i < wanted.dim_names.size(); ++i) {
      if (wanted.dim_names[i].empty()) continue;
      const auto [first, fresh] = named.try_emplace(wanted.dim_names[i], tensor.shape()[i], wanted.name);
      if (!fresh && first->second.first != tensor.shape()[i]) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("input {} is {} {}: its size \"{}\" must be {}, as in input {}", wanted.name,
                                DTypeName(tensor.dtype()), ShapeText(tensor.shape()), wanted.dim_names[i],
                                first->second.first, first->second.second));
      }
    }
  }
  if (inputs.size() == inputs_.size()) return;
  for (const auto& [name, tensor] : inputs) {
    if (!index_.contains(name) || index_.at(name) >= inputs_.size()) {
      throw Error(Code::kInvalidArgument, fmt::format("the model has no input {}: it has {}", name,
                                                      fmt::join(NamesOf(inputs_), ", ")));
    }
  }
}

std::vector<PlannedValue> GraphSession::PlannedValues() const {
  std::vector<PlannedValue> planned;
  for (size_t i = 0; i < values_.size(); ++i) {
    PlannedValue value{.name = values_[i].name, .dtype = values_[i].dtype};
    value.made = maker_[i].has_value();
    value.in_arena = value.made && !values_[i].answer;
    value.first = value.last = value.made ? maker_[i]->step : 0;
    if (value.made) {
      const Step& maker = *steps_[value.first].step;
      value.fitted = !IsForeign(maker) && maker.plan.kernel != "reference";
    }
    for (const Place& reader : readers_[i]) value.last = std::max(value.last, reader.step);
    planned.push_back(std::move(value));
  }
  return planned;
}

class GraphSession::SlotLease {
 public:
  explicit SlotLease(GraphSession& session) : session_(session) {
    std::unique_lock lock(session.slots_mutex_);
    session.slot_free_.wait(
        lock, [&] { return !session.free_slots_.empty() || session.slots_made_ < session.most_slots_; });
    if (!session.free_slots_.empty()) {
      slot_ = std::move(session.free_slots_.back());
      session.free_slots_.pop_back();
      return;
    }
    ++session.slots_made_;
    lock.unlock();
    try {
      auto fresh = std::make_unique<Slot>();
      for (const Wired& wired : session.steps_) fresh->states.push_back(wired.step->NewState());
      slot_ = std::move(fresh);
    } catch (...) {
      lock.lock();
      --session.slots_made_;
      session.slot_free_.notify_one();
      throw;
    }
  }
  SlotLease(const SlotLease&) = delete;
  SlotLease& operator=(const SlotLease&) = delete;
  ~SlotLease() {
    if (slot_->layout) session_.Forget(*slot_);
    std::lock_guard lock(session_.slots_mutex_);
    session_.free_slots_.push_back(std::move(slot_));
    session_.slot_free_.notify_one();
  }
  Slot& slot() noexcept { return *slot_; }

 private:
  GraphSession& session_;
  std::unique_ptr<Slot> slot_;
};

TensorMap GraphSession::Run(const TensorMap& inputs, const std::vector<std::string>& wanted) {
  return AtBorder("the run", [&] { return Answer(inputs, wanted); });
}

TensorMap GraphSession::Answer(const TensorMap& inputs, const std::vector<std::string>& wanted) {
  CheckInputs(inputs);
  std::vector<std::string> names = wanted.empty() ? NamesOf(outputs_) : wanted;
  for (const std::string& name : names) {
    const auto found = index_.find(name);
    if (found == index_.end() || !values_[found->second].answer) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("the session answers no {}: it answers {} (others are to be tapped)", name,
                              fmt::join(NamesOf(outputs_), ", ")));
    }
  }
  std::vector<int64_t> sizes = layouts_->SizesOf(inputs);
  std::shared_ptr<const Layout> layout = layouts_->For(sizes);
  SlotLease lease(*this);
  Slot& slot = lease.slot();
  if (slot.layout != layout || slot.sizes != sizes) Lay(slot, std::move(layout), std::move(sizes));
  for (size_t i = 0; i < inputs_.size(); ++i) Hand(slot, i, inputs.at(inputs_[i].name));
  RunSteps(slot);
  slot.settled = true;
  TensorMap answers;
  for (const std::string& name : names) {
    const size_t value = index_.at(name);
    answers[name] = maker_[value]            ? slot.out[maker_[value]->step][maker_[value]->index]
                    : value < inputs_.size() ? inputs.at(name)
                                             : values_[value].constant;
  }
  return answers;
}

// Gives the value to every step that reads it.
void GraphSession::Hand(Slot& slot, size_t value, const Tensor& tensor) const {
  for (const Place& place : readers_[value]) slot.in[place.step][place.index] = tensor;
}

// A value of a shape that only its step tells begins as one of the layout's, in all of its room.
void GraphSession::Lay(Slot& slot, std::shared_ptr<const Layout> layout, std::vector<int64_t> sizes) const {
  slot.layout.reset();
  slot.settled = false;
  slot.shapes = layouts_->ShapesAt(sizes, *layout);
  if (layout->arena_bytes > 0 && (!slot.arena || slot.arena.bytes() < layout->arena_bytes))
    slot.arena = Tensor::New(DType::kU8, {static_cast<int64_t>(layout->arena_bytes)});
  slot.in.resize(steps_.size());
  slot.out.resize(steps_.size());
  for (size_t step = 0; step < steps_.size(); ++step) {
    slot.in[step].assign(steps_[step].inputs.size(), Tensor());
    slot.out[step].assign(steps_[step].outputs.size(), Tensor());
  }
  for (size_t value = 0; value < values_.size(); ++value) {
    if (values_[value].constant) Hand(slot, value, values_[value].constant);
    if (!layout->offsets[value]) continue;
    char* const data = static_cast<char*>(slot.arena.data()) + *layout->offsets[value];
    const Shape& shape = slot.shapes[value] ? *slot.shapes[value] : *layout->shapes[value];
    const Tensor tensor = Tensor::Wrap(values_[value].dtype, shape, data, slot.arena.memory());
    slot.out[maker_[value]->step][maker_[value]->index] = tensor;
    Hand(slot, value, tensor);
  }
  slot.sizes = std::move(sizes);
  slot.layout = std::move(layout);
}

// Lets go of what is not the slot's own, so that an idle one holds no caller's memory.
void GraphSession::Forget(Slot& slot) const {
  for (size_t value = 0; value < values_.size(); ++value) {
    if (slot.layout->offsets[value] || values_[value].constant) continue;
    Hand(slot, value, Tensor());
    if (maker_[value]) slot.out[maker_[value]->step][maker_[value]->index] = Tensor();
  }
}

void GraphSession::RunSteps(Slot& slot) {
  const auto foreign = [](const Wired& wired) { return IsForeign(*wired.step); };
  for (size_t at = 0; at < steps_.size();) {
    const auto next = std::find_if(steps_.begin() + static_cast<ptrdiff_t>(at), steps_.end(), foreign);
    const auto end = static_cast<size_t>(next - steps_.begin());
    if (at < end) {
      const ThreadPool::Busy busy(pool_);
      while (at < end) RunStep(slot, at++);
    } else {
      RunStep(slot, at++);
    }
  }
}

void GraphSession::RunStep(Slot& slot, size_t at) {
  using Clock = std::chrono::steady_clock;
  const Wired& wired = steps_[at];
  std::vector<Tensor>& out = slot.out[at];
  for (size_t i = 0; i < out.size(); ++i) {
    const std::optional<Shape>& shape = slot.shapes[wired.outputs[i]];
    if (!out[i] && shape) out[i] = Tensor::New(values_[wired.outputs[i]].dtype, *shape);
  }
  const Clock::time_point begin = Clock::now();
  wired.step->Run(*slot.states[at], slot.in[at], out);
  Record(at, std::chrono::duration<double>(Clock::now() - begin).count(), *slot.states[at]);
  for (size_t i = 0; i < out.size(); ++i) {
    const std::optional<size_t>& offset = slot.layout->offsets[wired.outputs[i]];
    // A step answers in other memory where the shape is not what inference promised.
    const bool in_place = offset && out[i].data() == static_cast<char*>(slot.arena.data()) + *offset;
    if (!in_place || !slot.settled) Hand(slot, wired.outputs[i], out[i]);
  }
}

void GraphSession::Record(size_t step, double seconds, Step::State& state) {
  const std::vector<LayerProfile> inside = steps_[step].step->Inside(state);
  std::lock_guard lock(profile_mutex_);
  ++step_profiles_[step].calls;
  step_profiles_[step].seconds += seconds;
  step_profiles_[step].kernel = steps_[step].step->Kernel(state);
  for (const LayerProfile& layer : inside) {
    const auto [found, fresh] = inside_profiles_.try_emplace(layer.layer, layer);
    if (fresh) {
      inside_order_.push_back(layer.layer);
    } else {
      found->second.calls += layer.calls;
      found->second.seconds += layer.seconds;
    }
  }
}

std::vector<LayerPlan> GraphSession::plan() const {
  std::vector<LayerPlan> layers;
  for (const Wired& wired : steps_) {
    LayerPlan layer = wired.step->plan;
    if (saved_) {
      for (const LayerPlan& timed : saved_->layers) {
        if (timed.layer == layer.layer) layer.candidates = timed.candidates;
      }
      if (steps_.size() == 1 && layer.candidates.empty()) layer.candidates = saved_->candidates;
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

std::vector<LayerProfile> GraphSession::profile() const {
  std::lock_guard lock(profile_mutex_);
  std::vector<LayerProfile> layers;
  for (const LayerProfile& step : step_profiles_) {
    if (step.kernel != "openvino" || inside_order_.empty()) layers.push_back(step);
  }
  for (const std::string& name : inside_order_) layers.push_back(inside_profiles_.at(name));
  return layers;
}

}  // namespace strop::engine
