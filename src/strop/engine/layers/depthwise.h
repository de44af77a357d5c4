#pragma once

#include <cstdint>
#include <string_view>

#include "strop/base/cpu.h"
#include "strop/base/tensor.h"
#include "strop/engine/kernels/depthwise/depthwise.h"
#include "strop/engine/kernels/window.h"
#include "strop/engine/layers/conv.h"
#include "strop/engine/layers/product.h"

namespace strop::engine {

// A depthwise layer's weights, packed for kernels of at most one instruction set. Immutable, so thread safe.
class Depthwise {
 public:
  Depthwise(const model::Graph& graph, const ConvLayer& layer, const CpuFlags& flags);
  std::string_view kernel() const noexcept { return kernel_; }
  Isa isa() const noexcept { return isa_; }

  // Rows [first, first + count) of the answer to one image, channels last, without its chain. `image` is
  // where the image's first row lies or would; `to` is where the first of the rows goes.
  void Rows(const Window& window, const void* image, int64_t first, int64_t count, void* to) const noexcept;

 private:
  void Int8Rows(const Window& window, const void* image, int64_t first, int64_t count,
                void* to) const noexcept;

  const int64_t n_;
  const Clamp clamp_;
  const std::optional<LayerIntegers> integers_;
  Tensor weights_, bias_;  // of float32
  PackedInt8Depthwise packed_;
  Int8ColumnsOf columns_;
  DepthwiseFn float_ = nullptr;
  Int8DepthwiseFn int8_ = nullptr;
  std::string_view kernel_;
  Isa isa_ = Isa::kScalar;
};

}  // namespace strop::engine
