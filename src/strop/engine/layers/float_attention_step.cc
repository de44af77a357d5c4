#include <algorithm>

#include <fmt/format.h>

#include "strop/engine/kernels/gemm/gemm.h"
#include "strop/engine/layers/attention_step.h"

namespace strop::engine {
namespace {

// Products of float32; bytes become numbers first.
class FloatAttentionStep : public AttentionStep {
 public:
  FloatAttentionStep(const LayerBuild& build, const AttentionLayer& layer)
      : AttentionStep(build, layer),
        gemm_(PickGemm({kManyRows, kManyRows, layer.depth}, Limit(Cpu(), build.isa))) {
    plan.kernel = fmt::format("attention_f32_{}", IsaName(gemm_.isa));
    plan.isa = IsaName(gemm_.isa);
  }

 private:
  struct Scratch {
    float *keys, *values, *scores, *numbers, *queries, *answers;
    uint8_t* shares;
  };
  Scratch Carve(Carver& carver, const Sizes& sizes) const noexcept {
    const int64_t rows = BlockRows(sizes, gemm_.tile.mr);
    Scratch scratch{};
    scratch.keys = carver.Take<float>(RoundUp(sizes.keys, gemm_.tile.nr) * layer_.depth);
    scratch.values = carver.Take<float>(RoundUp(layer_.value_depth, gemm_.tile.nr) * sizes.keys);
    scratch.scores = carver.Take<float>(rows * sizes.keys);
    if (layer_.key.bytes || layer_.value.bytes)
      scratch.numbers = carver.Take<float>(sizes.keys * std::max(layer_.depth, layer_.value_depth));
    if (layer_.query.bytes) scratch.queries = carver.Take<float>(sizes.queries * layer_.depth);
    if (layer_.shares) scratch.shares = carver.Take<uint8_t>(rows * sizes.keys);
    if (layer_.bytes) scratch.answers = carver.Take<float>(rows * layer_.value_depth);
    return scratch;
  }
  int64_t ScratchBytes(const Sizes& sizes) const noexcept override {
    Carver carver(nullptr);
    Carve(carver, sizes);
    return carver.taken();
  }

  struct Floats {
    const float* data;
    int64_t stride;
  };
  Floats Numbers(const Rows& rows, int64_t count, int64_t width, const std::optional<Quantization>& bytes,
                 float* out) const noexcept {
    if (!bytes) return {reinterpret_cast<const float*>(rows.data), rows.stride};
    for (int64_t row = 0; row < count; ++row)
      elementwise_.dequantize(rows.data + row * rows.stride, bytes->dtype == DType::kI8, bytes->zero,
                              bytes->scale, out + row * width, width);
    return {out, width};
  }

  void RunHead(const Sizes& sizes, const Head& head, std::byte* memory) const noexcept override {
    Carver carver(memory);
    const Scratch scratch = Carve(carver, sizes);
    const int64_t depth = layer_.depth, value_depth = layer_.value_depth,
                  most = BlockRows(sizes, gemm_.tile.mr);
    const Floats k = Numbers(head.key, sizes.keys, depth, layer_.key.bytes, scratch.numbers);
    PackPanels(k.data, k.stride, sizes.keys, depth, true, gemm_.tile.nr, scratch.keys);
    const Floats v = Numbers(head.value, sizes.keys, value_depth, layer_.value.bytes, scratch.numbers);
    PackPanels(v.data, v.stride, value_depth, sizes.keys, false, gemm_.tile.nr, scratch.values);
    const Floats q = Numbers(head.query, sizes.queries, depth, layer_.query.bytes, scratch.queries);
    const int64_t stride = layer_.bytes ? value_depth : layer_.heads * value_depth;
    for (int64_t row = 0; row < sizes.queries; row += most) {
      const int64_t rows = std::min(most, sizes.queries - row);
      Multiply(q.data + row * q.stride, q.stride, rows, depth, scratch.keys, sizes.keys, scratch.scores,
               sizes.keys);
      Share(sizes, head, row, rows, scratch.scores, scratch.shares);
      if (layer_.shares)
        elementwise_.dequantize(scratch.shares, layer_.shares->dtype == DType::kI8, layer_.shares->zero,
                                layer_.shares->scale, scratch.scores, rows * sizes.keys);
      float* const answers =
          layer_.bytes ? scratch.answers : reinterpret_cast<float*>(head.answer) + row * stride;
      Multiply(scratch.scores, sizes.keys, rows, sizes.keys, scratch.values, value_depth, answers, stride);
      for (int64_t i = 0; layer_.bytes && i < rows; ++i) Answer(head, row + i, answers + i * stride, 0);
    }
  }

  void Multiply(const float* a, int64_t lda, int64_t m, int64_t k, const float* panels, int64_t n, float* c,
                int64_t ldc) const noexcept {
    GemmArgs args;
    args.m = m;
    args.n = n;
    args.k = k;
    args.a = a;
    args.lda = lda;
    args.b = panels;
    args.c = c;
    args.ldc = ldc;
    gemm_.run(args);
  }

  const GemmKernel& gemm_;
};

}  // namespace

std::unique_ptr<Step> MakeFloatAttentionStep(const LayerBuild& build, const AttentionLayer& layer) {
  return std::make_unique<FloatAttentionStep>(build, layer);
}

}  // namespace strop::engine
