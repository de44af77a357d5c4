#include <algorithm>

#include "strop/engine/kernels/winograd/winograd.h"
#include "strop/engine/layers/conv_step.h"

namespace strop::engine {
namespace {

constexpr int64_t kFinishPixels = 256;  // of a block that a chain takes

// The clamp of a chain that only adds its second input, float32 too, and bounds the sum.
std::optional<Clamp> ClampOfResidual(const Chain& chain) {
  using Kind = ChainOperand::Kind;
  const auto& codes = chain.instructions;
  if (chain.quantized || chain.inputs.size() != 2 || chain.inputs[1].integers || codes.empty() ||
      codes.size() > 2 || codes[0].op != ChainOp::kBinary || codes[0].binary != BinaryOp::kAdd ||
      codes[0].a.kind != Kind::kInput || codes[0].b.kind != Kind::kInput ||
      codes[0].a.index == codes[0].b.index)
    return std::nullopt;
  if (codes.size() == 1) return Clamp();
  if (codes[1].a.kind != Kind::kAnswer) return std::nullopt;
  if (codes[1].op == ChainOp::kClip) return Clamp(codes[1].low, codes[1].high);
  return codes[1].op == ChainOp::kUnary && codes[1].unary == UnaryOp::kRelu ? std::optional(Clamp::Relu())
                                                                            : std::nullopt;
}

class WinogradStep : public ConvStep {
 public:
  WinogradStep(const LayerBuild& build, const ConvLayer& layer, int64_t tile)
      : ConvStep(build, layer), tile_(tile) {
    const WinogradKernel& kernel = PickWinograd(tile, flags_);
    const WinogradPlan plan_of_one =
        PlanWinograd({1, 4, 4, layer.channels, layer.n, 1, 1, 1, 1}, tile, flags_, 1);
    weights_ = PackWinograd(build.graph.initializers.at(layer.weight).As<float>().data(), layer.n,
                            layer.channels, tile, plan_of_one.gemm->tile.nr);
    if (!layer.bias.empty()) bias_ = build.graph.initializers.at(layer.bias).Clone();
    plan.kernel = kernel.name;
    plan.isa = IsaName(kernel.isa);
    if (!layer.chain || !layer.clamp.IsNone() || build.output == Order::kPlain) return;
    if (build.inputs[1 % build.inputs.size()] == Order::kChannelsLast)
      residual_ = ClampOfResidual(*layer.chain);
  }

  std::unique_ptr<State> NewState() override { return std::make_unique<Planned>(); }

 private:
  struct Planned : Memory {
    WinogradPlan cut;
  };

  void Compute(Memory& memory, std::span<const Tensor> in, const Tensor& out) const override {
    const WinogradPlan& cut = PlanFor(static_cast<Planned&>(memory), in[0].shape()[0]);
    const WinogradShape& shape = cut.shape;
    const int64_t pixels = shape.batch * shape.height * shape.width, answers = out.size() / layer_.n;
    const bool to_answer = residual_ || end_.straight();
    const int64_t parts = std::min<int64_t>(pool_.threads(), cut.blocks);
    const auto floats = [](int64_t count) {
      return AlignedBytes(count * static_cast<int64_t>(sizeof(float)));
    };
    const int64_t block_bytes = floats(cut.scratch_floats),
                  x_bytes = plain_ ? floats(pixels * layer_.channels) : 0;
    const int64_t y_bytes = to_answer ? 0 : floats(answers * layer_.n);
    const auto end_bytes = AlignedBytes(static_cast<int64_t>(end_.ScratchBytes(kFinishPixels, layer_.n)));
    std::byte* const bytes =
        memory.Bytes(x_bytes + y_bytes + parts * block_bytes + pool_.threads() * end_bytes + 64);

    WinogradArgs args;
    args.x = static_cast<const float*>(in[0].data());
    if (plain_) {
      pixels_.Gather(in[0], 0, pixels, bytes);
      args.x = reinterpret_cast<const float*>(bytes);
    }
    args.ldx = layer_.channels;
    args.weights = &weights_;
    args.bias = bias_ ? static_cast<const float*>(bias_.data()) : nullptr;
    args.clamp = residual_.value_or(layer_.clamp);
    if (residual_) args.residual = static_cast<const float*>(in[1].data());
    args.y = to_answer ? static_cast<float*>(out.data()) : reinterpret_cast<float*>(bytes + x_bytes);
    args.ldy = args.ld_residual = layer_.n;
    pool_.Run(parts, [&](int64_t part) {
      auto* const scratch = reinterpret_cast<float*>(bytes + x_bytes + y_bytes + part * block_bytes);
      const int64_t end = cut.blocks * (part + 1) / parts;
      for (int64_t block = cut.blocks * part / parts; block < end; ++block)
        RunWinogradBlock(cut, args, block, scratch);
    });
    if (!to_answer)
      Finish(args.y, answers, in, out, bytes + x_bytes + y_bytes + parts * block_bytes, end_bytes);
  }

  const WinogradPlan& PlanFor(Planned& memory, int64_t batch) const {
    const Window& w = memory.window;
    const WinogradShape& known = memory.cut.shape;
    if (known.batch == batch && known.height == w.height && known.width == w.width) return memory.cut;
    const WinogradShape shape{batch,
                              w.height,
                              w.width,
                              layer_.channels,
                              layer_.n,
                              w.pad_top,
                              w.pad_left,
                              w.out_h - w.height - w.pad_top + 2,
                              w.out_w - w.width - w.pad_left + 2};
    memory.cut = PlanWinograd(shape, tile_, flags_, pool_.threads());
    return memory.cut;
  }

  void Finish(const float* products, int64_t count, std::span<const Tensor> in, const Tensor& out,
              std::byte* scratch, int64_t bytes) const {
    const int64_t parts = pool_.threads();
    pool_.Run(parts, [&](int64_t part) {
      const int64_t end = count * (part + 1) / parts;
      for (int64_t at = count * part / parts; at < end; at += kFinishPixels)
        end_.Finish(products + at * layer_.n, at, std::min(kFinishPixels, end - at), in, out,
                    scratch + part * bytes);
    });
  }

  const int64_t tile_;
  WinogradWeights weights_;
  Tensor bias_;
  std::optional<Clamp> residual_;  // of a sum that the kernel makes itself
};

}  // namespace

std::unique_ptr<Step> MakeWinogradStep(const LayerBuild& build, const ConvLayer& layer, int64_t tile) {
  return std::make_unique<WinogradStep>(build, layer, tile);
}

}  // namespace strop::engine
