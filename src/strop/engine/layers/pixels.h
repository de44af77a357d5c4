#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "strop/base/tensor.h"
#include "strop/engine/kernels/transpose/transpose.h"
#include "strop/engine/layers/chain_program.h"
#include "strop/engine/layers/layer.h"

namespace strop::engine {

// A step over images works on blocks of pixels, channels last: pixel p of image i is number i · (pixels of an
// image) + p. These functions move a block between a tensor [images, channels, height, width] of any order
// and rows of memory.
class Pixels {
 public:
  explicit Pixels(const CpuFlags& flags) : transpose_(PickTranspose(flags)) {}

  // Rows of pixels [begin, begin + count) of a plain tensor.
  void Gather(const Tensor& from, int64_t begin, int64_t count, void* rows) const noexcept;
  void Scatter(const void* rows, int64_t begin, int64_t count, const Tensor& to) const noexcept;

  // Where the pixel's row begins in a channels-last tensor.
  static void* Row(const Tensor& tensor, int64_t pixel) noexcept;

 private:
  const TransposeKernel& transpose_;
};

// What follows a convolution: its chain, and the order of its answer.
class PixelEnd {
 public:
  // Of the layer's chain, if any; build.inputs[i] is the order of the chain's input i.
  PixelEnd(const LayerBuild& build, const std::optional<Chain>& chain, DType product);

  DType dtype() const noexcept { return program_ ? program_->dtype() : product_; }
  // Whether the product can be written to the answer itself.
  bool straight() const noexcept { return !program_ && order_ == Order::kChannelsLast; }

  // Memory for blocks of so many pixels of n channels.
  size_t ScratchBytes(int64_t pixels, int64_t n) const noexcept;
  // The block of products, rows of n, into the answer. in[i] is input i of the chain from 1 on. Calls side by
  // side have scratch of their own.
  void Finish(const void* product, int64_t begin, int64_t count, std::span<const Tensor> in,
              const Tensor& answer, std::byte* scratch) const noexcept;

  static constexpr size_t kMostInputs = 8;  // of a chain

 private:
  const Pixels pixels_;
  const DType product_;
  const Order order_;
  const std::vector<Order> inputs_;
  std::vector<size_t> sizes_;  // of an element of each input
  std::optional<ChainProgram> program_;
};

}  // namespace strop::engine
