#include <algorithm>

#include <fmt/format.h>

#include "strop/engine/kernels/int8_gemm/int8_gemm.h"
#include "strop/engine/kernels/int8_gemm/operand.h"
#include "strop/engine/layers/attention_step.h"

namespace strop::engine {
namespace {

// Whether products of numbers by such scales are finite.
bool IsFinite(const std::optional<Quantization>& bytes) {
  return bytes && bytes->scale > 1e-12f && bytes->scale < 1e12f;
}

// The zero point of bytes that were moved into int8.
int32_t SignedZero(const Quantization& bytes) {
  return bytes.dtype == DType::kI8 ? bytes.zero : bytes.zero - 128;
}

// Products of bytes, of which the keys and the values are packed as int8 weights b. With zeros z,
//   Σ (q - zq) (b - zb) = Σ q b - zq Σ b - zb Σ (q - zq)
// where zq Σ b is a correction of the column. The last term is the same for all keys of a query, which
// leaves its shares as they are; of the values it is that of a column of ones.
class Int8AttentionStep : public AttentionStep {
 public:
  Int8AttentionStep(const LayerBuild& build, const AttentionLayer& layer)
      : AttentionStep(build, layer),
        flags_(Limit(Cpu(), build.isa)),
        value_zero_(SignedZero(*layer.value.bytes)),
        columns_(layer.value_depth + (value_zero_ != 0 ? 1 : 0)) {
    const Isa isa = KernelFor(layer.value_depth, kManyRows).isa;
    plan.kernel = fmt::format("attention_u8s8_{}", IsaName(isa));
    plan.isa = IsaName(isa);
    plan.bits = 8;
  }

 private:
  int64_t MostKeys() const noexcept override { return kMostInt8Depth; }

  // Those of one set of flags share the packing.
  const Int8GemmKernel& KernelFor(int64_t n, int64_t k) const noexcept {
    return PickInt8Gemm({kManyRows, n, k}, flags_);
  }
  int64_t PanelWidth() const noexcept { return KernelFor(kManyRows, kManyRows).tile.nr; }
  int64_t Block(const Sizes& sizes) const noexcept {
    return BlockRows(sizes, KernelFor(columns_, sizes.keys).tile.mr);
  }

  // A product's weights and what its columns are finished by.
  struct Weights {
    int8_t* panels;
    int32_t *sums, *correction;
    float *scale, *offset;
  };
  struct Scratch {
    Weights keys, values;
    float *scores, *answers;
    uint8_t* shares;
  };
  Scratch Carve(Carver& carver, const Sizes& sizes) const noexcept {
    const int64_t rows = Block(sizes);
    const auto weights = [&](int64_t n, int64_t k) {
      const int64_t wide = RoundUp(n, PanelWidth());
      return Weights{carver.Take<int8_t>(wide * RoundUp(k, 4)), carver.Take<int32_t>(wide),
                     carver.Take<int32_t>(wide), carver.Take<float>(wide), carver.Take<float>(wide)};
    };
    Scratch scratch{};
    scratch.keys = weights(sizes.keys, layer_.depth);
    scratch.values = weights(columns_, sizes.keys);
    scratch.scores = carver.Take<float>(rows * sizes.keys);
    scratch.answers = carver.Take<float>(rows * columns_);
    scratch.shares = carver.Take<uint8_t>(rows * sizes.keys);
    return scratch;
  }
  int64_t ScratchBytes(const Sizes& sizes) const noexcept override {
    Carver carver(nullptr);
    Carve(carver, sizes);
    return carver.taken();
  }

  void RunHead(const Sizes& sizes, const Head& head, std::byte* memory) const noexcept override {
    Carver carver(memory);
    const Scratch scratch = Carve(carver, sizes);
    const int64_t most = Block(sizes);
    const Quantization &query = *layer_.query.bytes, &shares = *layer_.shares;
    PackHead(sizes, head, scratch);
    for (int64_t row = 0; row < sizes.queries; row += most) {
      const int64_t rows = std::min(most, sizes.queries - row);
      Multiply(query, reinterpret_cast<const uint8_t*>(head.query.data) + row * head.query.stride,
               head.query.stride, rows, layer_.depth, scratch.keys, sizes.keys, scratch.scores);
      Share(sizes, head, row, rows, scratch.scores, scratch.shares);
      Multiply(shares, scratch.shares, sizes.keys, rows, sizes.keys, scratch.values, columns_,
               scratch.answers);
      for (int64_t i = 0; i < rows; ++i) {
        float* const numbers = scratch.answers + i * columns_;
        Answer(head, row + i, numbers, value_zero_ != 0 ? numbers[layer_.value_depth] : 0);
      }
    }
  }

  void PackHead(const Sizes& sizes, const Head& head, const Scratch& scratch) const noexcept {
    const Quantization &query = *layer_.query.bytes, &key = *layer_.key.bytes, &value = *layer_.value.bytes,
                       &shares = *layer_.shares;
    const int64_t nr = PanelWidth();
    Int8Operand operand{reinterpret_cast<const uint8_t*>(head.key.data), head.key.stride,
                        key.dtype == DType::kI8, sizes.keys, layer_.depth};
    PackInt8Columns(operand, nr, scratch.keys.panels);
    Finish(query, query.scale * key.scale, sizes.keys, layer_.depth, scratch.keys);
    operand = {reinterpret_cast<const uint8_t*>(head.value.data), head.value.stride,
               value.dtype == DType::kI8, layer_.value_depth, sizes.keys};
    PackInt8Rows(operand, columns_ > layer_.value_depth, nr, scratch.values.panels);
    const float scale = shares.scale * value.scale;
    Finish(shares, scale, columns_, sizes.keys, scratch.values);
    if (value_zero_ != 0) scratch.values.scale[layer_.value_depth] = -scale * static_cast<float>(value_zero_);
  }

  void Finish(const Quantization& a, float scale, int64_t n, int64_t k,
              const Weights& weights) const noexcept {
    if (a.zero != 0 || a.dtype == DType::kI8)
      SumInt8Columns(weights.panels, n, k, PanelWidth(), weights.sums);
    for (int64_t i = 0; i < n; ++i) weights.correction[i] = a.zero == 0 ? 0 : -a.zero * weights.sums[i];
    std::fill_n(weights.scale, n, scale);
    std::fill_n(weights.offset, n, 0.0f);
  }

  void Multiply(const Quantization& bytes, const uint8_t* a, int64_t lda, int64_t m, int64_t k,
                const Weights& weights, int64_t n, float* c) const noexcept {
    Int8GemmArgs args;
    args.m = m;
    args.n = args.ldc = n;
    args.k = k;
    args.a = a;
    args.lda = lda;
    args.is_signed = bytes.dtype == DType::kI8;
    args.b = weights.panels;
    args.sums = weights.sums;
    args.correction = weights.correction;
    args.scale = weights.scale;
    args.offset = weights.offset;
    args.output = Int8Output::kF32;
    args.c = c;
    KernelFor(n, k).run(args);
  }

  const CpuFlags flags_;
  const int32_t value_zero_;
  const int64_t columns_;  // of the values' product
};

}  // namespace

std::unique_ptr<Step> MakeInt8AttentionStep(const LayerBuild& build, const AttentionLayer& layer) {
  const bool finite = IsFinite(layer.query.bytes) && IsFinite(layer.key.bytes) &&
                      IsFinite(layer.value.bytes) && IsFinite(layer.shares);
  if (!finite || layer.depth % 4 != 0 || std::max(layer.depth, layer.keys) > kMostInt8Depth) return nullptr;
  if (PickInt8Gemm({kManyRows, kManyRows, layer.depth}, Limit(Cpu(), build.isa)).rest_lanes > 0)
    return nullptr;
  return std::make_unique<Int8AttentionStep>(build, layer);
}

}  // namespace strop::engine
