#include "strop/engine/layers/conv_step.h"

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/engine/kernels/winograd/winograd.h"
#include "strop/model/dims.h"

namespace strop::engine {

ConvStep::ConvStep(const LayerBuild& build, const ConvLayer& layer)
    : layer_(layer),
      flags_(Limit(Cpu(), build.isa)),
      input_(layer.integers ? 1 : static_cast<int64_t>(sizeof(float))),
      dtype_(layer.integers && layer.integers->output ? layer.integers->output->dtype : DType::kF32),
      plain_(build.inputs[0] == Order::kPlain),
      pixels_(flags_),
      end_(build, layer.chain, dtype_),
      pool_(build.pool) {
  inputs = {layer.input};
  for (size_t i = 1; layer.chain && i < layer.chain->inputs.size(); ++i)
    inputs.push_back(layer.chain->inputs[i].value);
  outputs = {layer.output};
  Describe(plan, build.graph, layer.nodes, layer.conv);
  plan.sparsity = ShareOfZeros({&build.graph.initializers.at(layer.weight), 1});
  if (layer.integers) plan.bits = 8;
}

namespace {

Window WindowOf(const ConvLayer& layer, int64_t height, int64_t width) {
  const model::Window slid =
      model::SlideWindow(layer.window, {height, width}, {layer.kernel_h, layer.kernel_w});
  return {height,
          width,
          layer.kernel_h,
          layer.kernel_w,
          slid.strides[0],
          slid.strides[1],
          slid.dilations[0],
          slid.dilations[1],
          slid.pads_begin[0],
          slid.pads_begin[1],
          slid.output[0],
          slid.output[1]};
}

}  // namespace

std::byte* ImageMemory::Bytes(int64_t wanted) {
  if (!bytes || static_cast<int64_t>(bytes.bytes()) < wanted) bytes = Tensor::New(DType::kU8, {wanted});
  return static_cast<std::byte*>(bytes.data());
}

void ConvStep::Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) {
  auto& memory = static_cast<Memory&>(state);
  memory.Slide(layer_, layer_.channels, in[0].shape(), plan);
  const Shape& shape = in[0].shape();
  Fit(out[0], end_.dtype(), {shape[0], layer_.n, memory.window.out_h, memory.window.out_w});
  Compute(memory, in, out[0]);
}

void ImageMemory::Slide(const ConvLayer& layer, int64_t channels, const Shape& shape, const LayerPlan& plan) {
  if (shape.size() != 4 || shape[1] != channels)
    throw Error(Code::kInvalidArgument, fmt::format("node {} ({}): its input is {}, expected {} channels",
                                                    plan.layer, plan.op, ShapeText(shape), channels));
  if (window.height == shape[2] && window.width == shape[3]) return;
  window = WindowOf(layer, shape[2], shape[3]);
}

namespace {

// Of the family asked for, or what is best for one image; 0: patches.
int64_t WinogradTile(const LayerBuild& build, const ConvLayer& layer) {
  if (!IsWinograd(layer) || build.family.starts_with("gemm")) return 0;
  if (build.family.starts_with("winograd_f32_2x2")) return 2;
  if (build.family.starts_with("winograd_f32_4x4")) return 4;
  if (layer.height <= 0 || layer.width <= 0) return 0;
  return BestWinogradTile({1, layer.height, layer.width, layer.channels, layer.n, 1, 1, 1, 1});
}

}  // namespace

std::unique_ptr<Step> MakeConvStep(const LayerBuild& build, const ConvLayer& layer) {
  if (layer.depthwise) return MakeDepthwiseStep(build, layer);
  const int64_t tile = WinogradTile(build, layer);
  return tile > 0 ? MakeWinogradStep(build, layer, tile) : MakePatchesStep(build, layer);
}

}  // namespace strop::engine
