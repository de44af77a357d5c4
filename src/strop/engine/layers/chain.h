#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/engine/kernels/elementwise/args.h"
#include "strop/engine/layers/layer.h"
#include "strop/engine/layers/neighbours.h"
#include "strop/engine/layers/quantization.h"

namespace strop::engine {

enum class ChainOp {
  kUnary,
  kBinary,
  kClip,
  kLeaky,
  kBytes,
  kLayerNorm,
  kRmsNorm,
  kSoftmax
};  // rows from kLayerNorm on

// What an instruction reads: an input of the chain, the answer of an instruction before it, a float for all,
// or a constant of whole rows that repeats: row r of the chain reads row r mod its rows.
struct ChainOperand {
  enum class Kind { kNone, kInput, kAnswer, kScalar, kRows };
  Kind kind = Kind::kNone;
  size_t index = 0;  // of the input or the instruction
  float scalar = 0;
  std::string rows;  // an initializer
};

struct ChainInstruction {
  ChainOp op = ChainOp::kUnary;
  UnaryOp unary = UnaryOp::kRelu;
  BinaryOp binary = BinaryOp::kAdd;
  ChainOperand a = {}, b = {};
  float low = 0, high = 0;            // of kClip; low: the slope of kLeaky, the epsilon of a norm
  Quantization bytes = {};            // of kBytes: to bytes and back
  std::string gamma = {}, beta = {};  // of a norm: initializers of a row; beta may be empty
};

struct ChainInput {
  std::string value;
  std::optional<Quantization> integers;  // bytes that stand for the numbers; nothing: float32
};

// Operators that follow each other over tensors of one shape, elementwise or along its last dimension, so
// that they run block by block in the cache.
struct STROP_API Chain {
  std::vector<size_t> nodes;       // of the graph, in order
  std::vector<ChainInput> inputs;  // of the shape of the answer
  std::vector<ChainInstruction> instructions;
  ChainOperand answer;                    // an input or an instruction's
  std::optional<Quantization> quantized;  // the answer becomes bytes
  std::string output;
  int64_t n = -1;  // the last dimension; -1: dynamic, and nothing reads rows

  // Whether an instruction needs to know the rows; the others take elements in any order.
  bool of_rows() const;
};

// The longest chain of free nodes that begins at `value` (inputs[0]; float32, or bytes that a
// DequantizeLinear reads) and whose inner values nothing else reads; nothing: not even one node.
STROP_API std::optional<Chain> FindChainFrom(const Search& search, const std::string& value);

std::unique_ptr<Step> MakeChainStep(const LayerBuild& build, const Chain& chain);

// Every chain among the free nodes, which it takes.
std::vector<Candidate> FindChains(Search& search);

}  // namespace strop::engine
