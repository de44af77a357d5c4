#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "strop/base/tensor.h"
#include "strop/engine/session.h"
#include "strop/model/graph.h"

namespace strop::engine {

// A graph compiled for the CPU by OpenVINO: float32 stays float32 (never bfloat16), QDQ runs in integers. The
// only file that knows OpenVINO is openvino_model.cc.
class OpenVinoModel {
 public:
  struct Options {
    int threads = 1;
    bool profile_layers = false;
  };
  // Throws kUnsupported with OpenVINO's reason on one line.
  static std::unique_ptr<OpenVinoModel> Compile(const model::Graph& graph, const Options& options);
  virtual ~OpenVinoModel() = default;

  // The memory of one run at a time.
  class Request {
   public:
    virtual ~Request() = default;
  };
  virtual std::unique_ptr<Request> NewRequest() = 0;

  // Tensors in the order of the graph's inputs and outputs. An output with memory is written in place, and
  // must have the shape that the model gives it; an empty one is answered in new memory. Thread safe across
  // requests.
  virtual void Infer(std::unique_ptr<Request>& request, std::span<const Tensor> inputs,
                     std::span<Tensor> outputs) = 0;

  // What the last Infer of the request spent by layer. Empty without profile_layers.
  virtual std::vector<LayerProfile> LayerTimes(Request& request) const = 0;
};

}  // namespace strop::engine
