#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/model/graph.h"
#include "strop/train/trainer.h"

namespace strop::train {

// A model graph on libtorch with autograd. No torch type shows here, so that only this room pays for its
// headers. Not thread safe. Tensors go in and out by copy.
class STROP_API Module {
 public:
  // Throws kUnsupported naming operator and node for what has no differentiable form here,
  // kFailedPrecondition when torch is of another minor version than Strop was built with.
  static std::unique_ptr<Module> Make(const model::Graph& graph);
  virtual ~Module() = default;

  // Names of the initializers that are trained, in the graph's order.
  virtual const std::vector<std::string>& parameters() const noexcept = 0;
  virtual Tensor Parameter(const std::string& name) const = 0;
  virtual void SetParameter(const std::string& name, const Tensor& value) = 0;

  // The graph's outputs, as in service: Dropout passes, BatchNormalization uses its running statistics.
  virtual TensorMap Forward(const TensorMap& inputs) = 0;
  // The loss of a batch (see Entry in trainer.h), computed as Forward does.
  virtual double Loss(const TensorMap& inputs, const Tensor& labels) = 0;
  virtual TensorMap Gradients(const TensorMap& inputs, const Tensor& labels) = 0;

  // Readies the optimizer and seeds Dropout.
  virtual void StartTraining(const FitOptions& options) = 0;
  // One step on one batch; answers its loss. Throws kFailedPrecondition when the loss is not finite.
  virtual double Step(const TensorMap& inputs, const Tensor& labels, double learning_rate) = 0;

  // Parameters and running statistics, to go back to.
  virtual TensorMap State() const = 0;
  virtual void Restore(const TensorMap& state) = 0;
  // The graph with its initializers as they are now.
  virtual model::Graph Export() const = 0;
};

}  // namespace strop::train
