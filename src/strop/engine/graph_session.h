#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "strop/engine/build.h"
#include "strop/engine/layouts.h"
#include "strop/engine/plan.h"
#include "strop/engine/session.h"

namespace strop::engine {

// The session: steps over a table of values. A value is an input (the caller's memory), a constant, an answer
// (new memory each run) or lies in the arena of the run's slot.
class GraphSession : public Session {
 public:
  // `saved` may be empty: no saved plan.
  GraphSession(model::Graph graph, std::string hash, const SessionOptions& options,
               const std::filesystem::path& saved);

  const std::vector<model::ValueInfo>& inputs() const noexcept override { return inputs_; }
  const std::vector<model::ValueInfo>& outputs() const noexcept override { return outputs_; }
  TensorMap Run(const TensorMap& inputs, const std::vector<std::string>& wanted) override;
  std::vector<LayerPlan> plan() const override;
  std::vector<LayerProfile> profile() const override;
  const std::string& model_hash() const noexcept override { return hash_; }

 private:
  struct Value {
    std::string name;
    DType dtype = DType::kF32;
    bool answer = false;
    Tensor constant;
  };
  // A step with its values by number.
  struct Wired {
    std::unique_ptr<Step> step;
    std::vector<size_t> inputs, outputs;
  };
  // A step's place of a value among its inputs or outputs.
  struct Place {
    size_t step, index;
  };
  // The memory of one run at a time. Tensors of arena values and constants stay as long as the inputs' sizes
  // do, so that a run of those of the last one only sets what comes from outside and what it makes anew.
  struct Slot {
    Tensor arena;
    std::vector<std::unique_ptr<Step::State>> states;
    std::vector<int64_t> sizes;  // of the last run
    std::shared_ptr<const Layout> layout;
    std::vector<std::optional<Shape>> shapes;  // of each value that a step makes; nullopt: the step tells
    std::vector<std::vector<Tensor>> in, out;  // of each step
    bool settled = false;  // a run of these sizes has ended, so that readers have the shapes that steps tell
  };
  class SlotLease;

  TensorMap Answer(const TensorMap& inputs, const std::vector<std::string>& wanted);
  void Wire(std::vector<std::unique_ptr<Step>> steps);
  void ResolveTaps(const std::vector<std::string>& taps,
                   const std::map<std::string, model::ValueInfo>& values);
  size_t ValueIndex(const std::string& name);
  void CheckInputs(const TensorMap& inputs) const;
  std::vector<PlannedValue> PlannedValues() const;
  void Lay(Slot& slot, std::shared_ptr<const Layout> layout, std::vector<int64_t> sizes) const;
  void Hand(Slot& slot, size_t value, const Tensor& tensor) const;
  void Forget(Slot& slot) const;
  void RunSteps(Slot& slot);
  void RunStep(Slot& slot, size_t at);
  void Record(size_t step, double seconds, Step::State& state);

  std::string hash_;
  model::Graph graph_;  // until the layouts take it
  ThreadPool pool_;
  std::optional<SavedPlan> saved_;
  std::vector<model::ValueInfo> inputs_, outputs_;
  std::vector<Value> values_;
  std::map<std::string, size_t> index_;  // into values_
  std::vector<Wired> steps_;
  std::vector<std::vector<Place>> readers_;  // of each value
  std::vector<std::optional<Place>> maker_;  // of each value

  std::optional<Layouts> layouts_;

  const size_t most_slots_;
  std::mutex slots_mutex_;
  std::condition_variable slot_free_;
  size_t slots_made_ = 0;
  std::vector<std::unique_ptr<Slot>> free_slots_;

  mutable std::mutex profile_mutex_;
  std::vector<LayerProfile> step_profiles_;
  std::map<std::string, LayerProfile> inside_profiles_;
  std::vector<std::string> inside_order_;
};

}  // namespace strop::engine
