#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/model/graph.h"

namespace strop::engine {

// How integers stand for numbers: (q - zero) · scale, q of uint8 or int8.
struct STROP_API Quantization {
  DType dtype = DType::kU8;
  float scale = 1;
  int32_t zero = 0;
};

// What a layer of integers has besides: its input and weights come from DequantizeLinear, and its answer may
// go to QuantizeLinear.
struct STROP_API DenseIntegers {
  Quantization input;
  std::string weight_scale;  // initializer, one or n elements; weights are int8, or uint8 around 128
  std::string bias_scale;    // initializer, one or n elements, of an int32 bias; empty: the bias is float32
  std::optional<Quantization> output;  // nothing: the answer is float32
};

// A dense layer that the own kernels run: Gemm, or MatMul with constant weights, with the Add of a bias and
// the Relu that follow it and nothing else reads.
struct STROP_API DenseLayer {
  std::vector<size_t> nodes;  // of the graph, in order
  size_t product = 0;         // the one that multiplies
  std::string input;          // [..., k]
  std::string weight;         // initializer, [k, n] or [n, k] when transposed
  std::string bias;           // initializer of n elements or one; empty: none
  std::string output;         // [..., n]
  bool transposed = false;
  float weight_scale = 1;  // Gemm's alpha
  float bias_scale = 1;    // Gemm's beta
  bool relu = false;
  int64_t n = 0, k = 0;
  std::optional<DenseIntegers> integers;  // nothing: float32
};

// A DequantizeLinear for each reader of its answer, so that every layer owns its own.
STROP_API void PartDequantizers(model::Graph& graph);

// Every dense layer of the graph. `kept` are values that must come out, so that no fusing hides them. Layers
// that touch QuantizeLinear or DequantizeLinear in another way than DenseIntegers says are left to OpenVINO,
// and so is all of a graph with control flow.
STROP_API std::vector<DenseLayer> FindDense(const model::Graph& graph,
                                            const std::map<std::string, model::ValueInfo>& values,
                                            const std::set<std::string>& kept);

}  // namespace strop::engine
