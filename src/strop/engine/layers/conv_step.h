#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "strop/engine/kernels/window.h"
#include "strop/engine/layers/conv.h"
#include "strop/engine/layers/pixels.h"
#include "strop/engine/step.h"

namespace strop::engine {

constexpr int64_t AlignedBytes(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// What one run at a time over images keeps.
struct ImageMemory : Step::State {
  Window window;  // of images of window.height × window.width
  Tensor bytes;
  std::byte* Bytes(int64_t wanted);  // at least so many; what was there is lost
  // Lays the layer's kernel over images of the shape, of so many channels. Throws kInvalidArgument naming the
  // node where they are others, and what model::SlideWindow throws.
  void Slide(const ConvLayer& layer, int64_t channels, const Shape& shape, const LayerPlan& plan);
};

// What all ways to convolve share: sizes, the window, memory, the end.
class ConvStep : public Step {
 public:
  ConvStep(const LayerBuild& build, const ConvLayer& layer);
  std::unique_ptr<State> NewState() override { return std::make_unique<Memory>(); }
  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override;

 protected:
  struct Memory : ImageMemory {
    std::vector<int64_t> offsets;  // of the rows of the kernel
  };

  virtual void Compute(Memory& memory, std::span<const Tensor> in, const Tensor& out) const = 0;

  const ConvLayer layer_;
  const CpuFlags flags_;
  const int64_t input_;  // bytes of an element
  const DType dtype_;    // of the products
  const bool plain_;     // the input
  const Pixels pixels_;
  const PixelEnd end_;
  ThreadPool& pool_;
};

// The ways. Depthwise is one of its own; of the others the products of patches always can.
std::unique_ptr<Step> MakePatchesStep(const LayerBuild& build, const ConvLayer& layer);
std::unique_ptr<Step> MakeDepthwiseStep(const LayerBuild& build, const ConvLayer& layer);
std::unique_ptr<Step> MakeWinogradStep(const LayerBuild& build, const ConvLayer& layer, int64_t tile);

}  // namespace strop::engine
