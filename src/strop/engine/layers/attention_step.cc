#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/engine/kernels/elementwise/elementwise.h"
#include "strop/engine/kernels/gemm/gemm.h"
#include "strop/engine/kernels/softmax/softmax.h"
#include "strop/engine/layers/attention.h"
#include "strop/engine/step.h"

namespace strop::engine {
namespace {

constexpr int64_t kManyRows = 64;     // what picks the kernel
constexpr int64_t kScores = 1 << 13;  // floats of a block of scores: 32 KiB

int64_t RoundUp(int64_t size, int64_t unit) { return (size + unit - 1) / unit * unit; }

// One head after another: its keys and values are packed as a product's weights, and blocks of queries pass
// by both while their scores lie in the cache.
class AttentionStep : public Step {
 public:
  AttentionStep(const LayerBuild& build, const AttentionLayer& layer)
      : layer_(layer),
        flags_(Limit(Cpu(), build.isa)),
        gemm_(PickGemm({kManyRows, kManyRows, layer.depth}, flags_)),
        softmax_(PickSoftmax(flags_)),
        elementwise_(PickElementwise(flags_)),
        pool_(build.pool) {
    inputs = {layer.query.value, layer.key.value, layer.value.value};
    if (!layer.mask.empty()) inputs.push_back(layer.mask);
    outputs = {layer.output};
    Describe(plan, build.graph, layer.nodes, layer.softmax);
    plan.kernel = fmt::format("attention_{}", IsaName(gemm_.isa));
    plan.isa = IsaName(gemm_.isa);
  }

  std::unique_ptr<State> NewState() override { return std::make_unique<Memory>(); }

  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    const Sizes sizes = Check(in);
    if (!out[0])
      out[0] = Tensor::New(DType::kF32, {sizes.batch, sizes.queries, layer_.heads * layer_.value_depth});
    auto& memory = static_cast<Memory&>(state);
    const int64_t heads = sizes.batch * layer_.heads, parts = std::min<int64_t>(pool_.threads(), heads);
    const int64_t each = ScratchFloats(sizes);
    if (!memory.scratch || memory.scratch.size() < parts * each)
      memory.scratch = Tensor::New(DType::kF32, {parts * each});
    pool_.Run(parts, [&](int64_t part) {
      float* const scratch = static_cast<float*>(memory.scratch.data()) + part * each;
      for (int64_t head = heads * part / parts; head < heads * (part + 1) / parts; ++head)
        RunHead(sizes, head / layer_.heads, head % layer_.heads, in, out[0], scratch);
    });
  }

 private:
  struct Memory : State {
    Tensor scratch;
  };
  struct Sizes {
    int64_t batch, queries, keys;
    int64_t mask_batch, mask_rows;  // 1 or batch, 1 or queries
  };

  Sizes Check(std::span<const Tensor> in) const {
    const Shape &q = in[0].shape(), &k = in[1].shape(), &v = in[2].shape();
    const bool fits = q.size() == 3 && k.size() == 3 && v.size() == 3 && q[0] == k[0] && k[0] == v[0] &&
                      k[1] == v[1] && q[2] == layer_.heads * layer_.depth && k[2] == q[2] &&
                      v[2] == layer_.heads * layer_.value_depth;
    if (!fits)
      throw Error(Code::kInvalidArgument,
                  fmt::format("node {}: query {}, key {} and value {} do not fit {} heads", plan.layer,
                              ShapeText(q), ShapeText(k), ShapeText(v), layer_.heads));
    if (in.size() == 3) return {q[0], q[1], k[1], 1, 1};
    return {q[0], q[1], k[1], in[3].shape()[0], in[3].shape()[2]};
  }

  // Queries of a block.
  int64_t BlockRows(const Sizes& sizes) const noexcept {
    return std::max<int64_t>(1, kScores / sizes.keys / gemm_.tile.mr) * gemm_.tile.mr;
  }
  int64_t KeyFloats(const Sizes& sizes) const noexcept {
    return RoundUp(sizes.keys, gemm_.tile.nr) * layer_.depth;
  }
  int64_t ValueFloats(const Sizes& sizes) const noexcept {
    return RoundUp(layer_.value_depth, gemm_.tile.nr) * sizes.keys;
  }
  // Of values to be rounded, or queries.
  int64_t RoundedFloats(const Sizes& sizes) const noexcept {
    return RoundUp(std::max(sizes.keys, sizes.queries) * std::max(layer_.depth, layer_.value_depth), 16);
  }
  int64_t ScratchFloats(const Sizes& sizes) const noexcept {
    return RoundUp(KeyFloats(sizes), 16) + RoundUp(ValueFloats(sizes), 16) +
           RoundUp(BlockRows(sizes) * sizes.keys, 16) + 2 * RoundedFloats(sizes);
  }

  // Rows of one head, as bytes could stand for them where they are rounded.
  struct Rows {
    const float* data;
    int64_t stride;
  };
  Rows Rounded(const Rows& rows, int64_t count, int64_t width, const std::optional<Quantization>& rounded,
               float* out) const noexcept {
    if (!rounded) return rows;
    for (int64_t row = 0; row < count; ++row)
      Round(rows.data + row * rows.stride, width, *rounded, out + row * width);
    return {out, width};
  }
  void Round(const float* from, int64_t count, const Quantization& to, float* out) const noexcept {
    alignas(64) uint8_t bytes[256];
    for (int64_t at = 0; at < count; at += 256) {
      const int64_t n = std::min<int64_t>(256, count - at);
      elementwise_.quantize(from + at, to.scale, to.zero, to.dtype == DType::kI8, bytes, n);
      elementwise_.dequantize(bytes, to.dtype == DType::kI8, to.zero, to.scale, out + at, n);
    }
  }

  void RunHead(const Sizes& sizes, int64_t batch, int64_t head, std::span<const Tensor> in, const Tensor& out,
               float* scratch) const noexcept {
    const auto of_head = [&](const Tensor& tensor, int64_t places, int64_t depth) {
      const int64_t stride = layer_.heads * depth;
      return Rows{static_cast<const float*>(tensor.data()) + batch * places * stride + head * depth, stride};
    };
    float* const keys = scratch;
    float* const values = keys + RoundUp(KeyFloats(sizes), 16);
    float* const scores = values + RoundUp(ValueFloats(sizes), 16);
    float* const rounded = scores + RoundUp(BlockRows(sizes) * sizes.keys, 16);
    const Rows k = Rounded(of_head(in[1], sizes.keys, layer_.depth), sizes.keys, layer_.depth,
                           layer_.key.rounded, rounded);
    PackPanels(k.data, k.stride, sizes.keys, layer_.depth, true, gemm_.tile.nr, keys);
    const Rows v = Rounded(of_head(in[2], sizes.keys, layer_.value_depth), sizes.keys, layer_.value_depth,
                           layer_.value.rounded, rounded);
    PackPanels(v.data, v.stride, layer_.value_depth, sizes.keys, false, gemm_.tile.nr, values);
    const Rows q = Rounded(of_head(in[0], sizes.queries, layer_.depth), sizes.queries, layer_.depth,
                           layer_.query.rounded, rounded + RoundedFloats(sizes));
    const int64_t stride = layer_.heads * layer_.value_depth, most = BlockRows(sizes);
    float* const answer =
        static_cast<float*>(out.data()) + batch * sizes.queries * stride + head * layer_.value_depth;
    for (int64_t row = 0; row < sizes.queries; row += most) {
      const int64_t rows = std::min(most, sizes.queries - row);
      Multiply(q.data + row * q.stride, q.stride, rows, layer_.depth, keys, sizes.keys, scores, sizes.keys);
      Share(sizes, in, batch, row, rows, scores);
      Multiply(scores, sizes.keys, rows, sizes.keys, values, layer_.value_depth, answer + row * stride,
               stride);
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

  // Scores of queries into shares of the values.
  void Share(const Sizes& sizes, std::span<const Tensor> in, int64_t batch, int64_t row, int64_t rows,
             float* scores) const noexcept {
    const float* mask = nullptr;
    if (in.size() > 3) {
      mask = static_cast<const float*>(in[3].data()) +
             (sizes.mask_batch == 1 ? 0 : batch) * sizes.mask_rows * sizes.keys;
      if (sizes.mask_rows > 1) mask += row * sizes.keys;
    }
    SoftmaxArgs args;
    args.rows = rows;
    args.n = sizes.keys;
    args.x = scores;
    args.ldx = sizes.keys;
    args.scale = layer_.scale;
    args.mask = mask;
    args.y = scores;
    args.ldy = sizes.keys;
    if (sizes.mask_rows == 1) {
      softmax_.run(args);
    } else {  // a row of the mask for each
      for (args.rows = 1; args.x < scores + rows * sizes.keys;
           args.x = args.y += sizes.keys, args.mask += sizes.keys)
        softmax_.run(args);
    }
    if (layer_.rounded) Round(scores, rows * sizes.keys, *layer_.rounded, scores);
  }

  const AttentionLayer layer_;
  const CpuFlags flags_;
  const GemmKernel& gemm_;
  const SoftmaxKernel& softmax_;
  const ElementwiseKernels& elementwise_;
  ThreadPool& pool_;
};

}  // namespace

std::unique_ptr<Step> MakeAttentionStep(const LayerBuild& build, const AttentionLayer& layer) {
  return std::make_unique<AttentionStep>(build, layer);
}

}  // namespace strop::engine
