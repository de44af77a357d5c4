#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>

#include "strop/engine/kernels/elementwise/elementwise.h"
#include "strop/engine/kernels/softmax/softmax.h"
#include "strop/engine/layers/attention.h"
#include "strop/engine/step.h"

namespace strop::engine {

inline constexpr int64_t kManyRows = 64;  // of queries, what picks the kernel

constexpr int64_t RoundUp(int64_t size, int64_t unit) { return (size + unit - 1) / unit * unit; }

// What both ways to attend share: sizes, heads over the threads, the softmax, and the answer. One head after
// another: its keys and values are packed as a product's weights, and blocks of queries pass by both while
// their scores lie in the cache.
class AttentionStep : public Step {
 public:
  AttentionStep(const LayerBuild& build, const AttentionLayer& layer);
  std::unique_ptr<State> NewState() override { return std::make_unique<Memory>(); }
  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override;

 protected:
  struct Sizes {
    int64_t batch, queries, keys;
    int64_t mask_batch, mask_rows;  // 1 or batch, 1 or queries
  };
  // Rows of one head in a tensor.
  struct Rows {
    const std::byte* data;
    int64_t stride;  // elements
  };
  struct Head {
    Rows query, key, value;
    const float* mask;  // of the first query; nullptr: none
    std::byte* answer;  // of the first query
  };
  // Hands out parts of a thread's memory, 64-byte aligned; from nothing, to learn how much it takes.
  class Carver {
   public:
    explicit Carver(std::byte* begin) noexcept : begin_(begin) {}
    template <class T>
    T* Take(int64_t count) noexcept {
      std::byte* const at = begin_ + taken_;
      taken_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
      return reinterpret_cast<T*>(at);
    }
    int64_t taken() const noexcept { return taken_; }

   private:
    std::byte* const begin_;
    int64_t taken_ = 0;
  };

  virtual int64_t MostKeys() const noexcept { return std::numeric_limits<int64_t>::max(); }
  // Bytes of a thread's memory.
  virtual int64_t ScratchBytes(const Sizes& sizes) const noexcept = 0;
  virtual void RunHead(const Sizes& sizes, const Head& head, std::byte* scratch) const noexcept = 0;

  // Queries of a block, in whole tiles of so many rows.
  static int64_t BlockRows(const Sizes& sizes, int64_t unit) noexcept;
  // Scores of queries from `row` on into shares of the values, rows of sizes.keys: in place, and where they
  // pass through bytes also or only into those.
  void Share(const Sizes& sizes, const Head& head, int64_t row, int64_t rows, float* scores,
             uint8_t* bytes) const noexcept;
  // Query `row`'s value_depth numbers, to each of which `more` is added; they may be overwritten.
  void Answer(const Head& head, int64_t row, float* numbers, float more) const noexcept;

  const AttentionLayer layer_;
  const ElementwiseKernels& elementwise_;

 private:
  struct Memory : State {
    Tensor scratch;
  };
  Sizes Check(std::span<const Tensor> in) const;
  Head HeadOf(const Sizes& sizes, int64_t index, std::span<const Tensor> in,
              const Tensor& out) const noexcept;

  const SoftmaxKernel& softmax_;
  ThreadPool& pool_;
};

// By products of float32, which always can.
std::unique_ptr<Step> MakeFloatAttentionStep(const LayerBuild& build, const AttentionLayer& layer);
// By products of bytes. nullptr where an operand is not of bytes, or its scale not finite, a head's depth is
// not a multiple of four, sums of so many keys do not fit into 32 bits, or the kernel needs weights that are
// known before.
std::unique_ptr<Step> MakeInt8AttentionStep(const LayerBuild& build, const AttentionLayer& layer);

}  // namespace strop::engine
