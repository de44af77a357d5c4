#pragma once

#include <map>
#include <string>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/model/graph.h"

namespace strop::engine {

// What is asked of the machine in one run, by shapes alone.
//
// flops: operations, of float32 or of integers. A multiply-add of Conv, Gemm and MatMul is two however it is
// carried out (Winograd's count as direct ones); a bias that is an input of theirs does none. A pooling does
// one for each element under its window (GlobalAveragePool, Reduce…: for each of its input), Softmax 5 an
// element, LayerNormalization 7, RMSNormalization 4, BatchNormalization 2, any other function of elements one
// for each that it answers, whatever it costs. What moves or converts elements (Transpose, Gather, Cast,
// QuantizeLinear, …) does none.
//
// bytes: weights, inputs and outputs, each once, as they are stored; what is fused away passes no memory.
struct STROP_API Work {
  double flops = 0;
  double bytes = 0;
};

struct STROP_API ModelWork {
  // Of the layers that own kernels run, with all that is fused into them, by the name they have in plan().
  std::map<std::string, Work> layers;
  // Of every node by itself, by its name; values between quantizers are counted as bytes. Absent are the
  // quantizers themselves, nodes of constants alone, of other domains or operators than the above, and those
  // whose sizes are not known.
  std::map<std::string, Work> nodes;
  // flops of all nodes; bytes of the layers, and of the nodes in none.
  Work total;
};

// `inputs` are the shapes of the model's inputs.
STROP_API ModelWork CountWork(model::Graph graph, const std::map<std::string, Shape>& inputs);

}  // namespace strop::engine
