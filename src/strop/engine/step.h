#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strop/base/cpu.h"
#include "strop/base/tensor.h"
#include "strop/engine/openvino_model.h"
#include "strop/engine/pool.h"
#include "strop/engine/session.h"
#include "strop/model/graph.h"

namespace strop::engine {

// One region of a model, ready to run. Run is thread safe across states.
class Step {
 public:
  // What one run at a time needs.
  class State {
   public:
    virtual ~State() = default;
  };

  virtual ~Step() = default;
  virtual std::unique_ptr<State> NewState() { return std::make_unique<State>(); }
  // Tensors in the order of inputs and outputs. An output with memory is written in place and an empty one is
  // made. Own kernels take the shape from their inputs, so that an output's memory need only have room for it
  // (Fit); others are given an output of its very shape, or none.
  virtual void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) = 0;
  // What the last Run of the state spent inside the region; empty when it does not know.
  virtual std::vector<LayerProfile> Inside(State&) const { return {}; }

  // The kernel that the last Run of the state used.
  virtual std::string_view Kernel(const State&) const noexcept { return plan.kernel; }

  std::vector<std::string> inputs, outputs;
  LayerPlan plan;
};

// Makes `out` a tensor of the shape: in the memory that it has where its bytes suffice, else in new memory.
// One that is of the shape already stays as it is, and nothing is allocated.
void Fit(Tensor& out, DType dtype, std::span<const int64_t> shape);
inline void Fit(Tensor& out, DType dtype, std::initializer_list<int64_t> shape) {
  Fit(out, dtype, std::span(shape.begin(), shape.size()));
}

// The region as a model of its own, from Extract or the whole graph. Throws kUnsupported as OpenVinoModel
// does.
std::unique_ptr<Step> MakeOpenVinoStep(const model::Graph& part, const OpenVinoModel::Options& options);
// Throws kUnsupported naming the first node that the reference evaluator lacks.
std::unique_ptr<Step> MakeReferenceStep(model::Graph part);
// Names a layer by its head, and by the operators of its nodes.
void Describe(LayerPlan& plan, const model::Graph& graph, const std::vector<size_t>& nodes, size_t head);
// Of what float32 and int8 tensors hold.
double ShareOfZeros(std::span<const Tensor> weights);

// Of one node of trees. nullptr when the kernels cannot run it: its input is not float32, or it compares for
// equality. Throws what model::ReadTrees throws.
std::unique_ptr<Step> MakeTreeStep(const model::Graph& part, Isa isa, ThreadPool& pool);

}  // namespace strop::engine
