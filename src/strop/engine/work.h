#pragma once

#include <map>
#include <string>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/model/graph.h"

namespace strop::engine {

// What a layer asks of the machine in one run.
struct STROP_API Work {
  double flops = 0;  // a multiply-add is two; only Gemm, MatMul and Conv are counted
  double bytes = 0;  // weights, inputs and outputs, each once
};

// By node name, for every counted node whose shapes are known. `inputs` are the shapes of the model's inputs.
STROP_API std::map<std::string, Work> CountWork(const model::Graph& graph,
                                                const std::map<std::string, Shape>& inputs);

}  // namespace strop::engine
