#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "strop/base/cpu.h"
#include "strop/engine/kernels/elementwise/elementwise.h"
#include "strop/engine/kernels/layer_norm/layer_norm.h"
#include "strop/engine/kernels/softmax/softmax.h"
#include "strop/engine/layers/chain.h"
#include "strop/model/graph.h"

namespace strop::engine {

// A chain made ready to run on kernels of at most one instruction set: blocks of some kilobytes pass through
// all of its instructions while they lie in L1. Immutable, so thread safe; each run needs scratch of its own.
class ChainProgram {
 public:
  ChainProgram(const model::Graph& graph, const Chain& chain, Isa isa);

  // Elements [begin, begin + count) of the answer, whole rows where `by_rows`. inputs[i] and `answer` point
  // to their element `begin`; the answer may lie where a float32 input does. `scratch`: scratch_floats() of
  // 64-byte aligned memory.
  void Run(std::span<const void* const> inputs, void* answer, int64_t begin, int64_t count,
           float* scratch) const noexcept;

  size_t scratch_floats() const noexcept { return buffers_ * static_cast<size_t>(stride_); }
  bool by_rows() const noexcept { return by_rows_; }
  size_t inputs() const noexcept { return loads_.size(); }
  DType dtype() const noexcept { return quantized_ ? quantized_->dtype : DType::kF32; }
  std::string_view kernel() const noexcept { return kernels_.name; }
  Isa isa() const noexcept { return kernels_.isa; }

 private:
  // Where an operand's block lies.
  struct Place {
    enum class Kind { kNone, kInput, kBuffer, kScalar, kRows } kind = Kind::kNone;
    size_t index = 0;  // of the input, the buffer, or rows_
    float scalar = 0;
  };
  struct Code {
    ChainInstruction what;
    Place a, b;
    size_t buffer = 0;  // of the answer
    std::vector<float> gamma, beta;
  };
  // A constant of whole rows: repeated to a block where it has one row.
  struct Rows {
    int64_t period = 1;
    std::vector<float> values;
  };
  struct Load {
    std::optional<Quantization> integers;
    size_t buffer = 0;
  };
  // One block: what Run was given, from element `at` on.
  struct Block {
    std::span<const void* const> inputs;
    float* scratch;
    int64_t at, row, column, count;
  };

  void Allocate(const Chain& chain);
  Place PlaceOf(const model::Graph& graph, const ChainOperand& operand);
  float* Buffer(const Block& block, size_t index) const noexcept;
  const float* Pointer(const Block& block, const Place& place) const noexcept;
  void RunBlock(const Block& block, void* answer) const noexcept;
  void Execute(const Code& code, const Block& block, float* out) const noexcept;
  void ToBytesAndBack(const Quantization& bytes, int64_t count, const float* a, float* out) const noexcept;
  void Tabulate();
  void TabulateTail();
  void RunSum(std::span<const void* const> inputs, void* answer, int64_t count) const noexcept;
  void ExecuteRows(const Code& code, const Block& block, const float* a, float* out) const noexcept;

  const ElementwiseKernels& kernels_;
  const LayerNormKernel& layer_norm_;
  const SoftmaxKernel& softmax_;
  bool by_rows_ = false;
  int64_t n_ = 1;       // of a row; 1 where not by_rows_
  int64_t block_ = 0;   // elements: whole rows, or part of one
  int64_t stride_ = 0;  // floats of a buffer
  size_t buffers_ = 0;
  std::vector<Load> loads_;
  std::vector<Code> codes_;
  std::vector<Rows> rows_;
  std::vector<uint8_t> table_;  // of every byte, where the chain is a function of one
  std::optional<ByteSum>
      sum_;  // where the chain adds two inputs of bytes; table_ is what follows, if anything
  Place answer_;
  std::optional<Quantization> quantized_;
};

}  // namespace strop::engine
