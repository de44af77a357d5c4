#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strop/base/cpu.h"
#include "strop/base/tensor.h"
#include "strop/engine/kernels/clamp.h"
#include "strop/engine/kernels/gemm/grid.h"
#include "strop/engine/kernels/int8_gemm/args.h"
#include "strop/engine/layers/quantization.h"
#include "strop/model/graph.h"

namespace strop::engine {

// Constant weights and what follows their product: c = clamp(alpha · a · w + beta · bias).
struct ProductWeights {
  int64_t n = 0, k = 0;
  int64_t part = 0;  // tap_depth of rows in an image; 0: there will be none
  Tensor weights;    // float32, or int8, or uint8 around 128: [k, n], or [n, k] when transposed
  bool transposed = false;
  float alpha = 1, beta = 1;
  Tensor bias;  // float32 or int32 of n elements or one; empty: none
  Clamp clamp;
  // Of integers: a are bytes of `input`, and c are bytes of `output`, or float32 without it.
  std::optional<Quantization> input, output;
  Tensor weight_scale, bias_scale;  // float32 of n elements or one; bias_scale: of an int32 bias
};

// The initializer of that name; of "" none.
Tensor Constant(const model::Graph& graph, const std::string& name);
void SetIntegers(ProductWeights& weights, const model::Graph& graph, const LayerIntegers& integers);

// What sums of integers become numbers by, column by column. With x = (a - zero) · scale_x and w = b ·
// scale_w, x · w + bias is (a · b - zero · sum(b)) · scale_x · scale_w + bias: correction, scale and offset,
// the last two and the clamp divided by the output's scale.
struct Int8ColumnsOf {
  std::vector<int32_t> correction;
  std::vector<float> scale, offset;
  Clamp clamp;
};
// `sums` are those of the weights of each column.
Int8ColumnsOf MakeInt8Columns(const ProductWeights& weights, const std::vector<int32_t>& sums);
// uint8 weights around 128 as int8.
Tensor AsInt8(const Tensor& weights);
Int8Output OutputOf(const std::optional<Quantization>& output) noexcept;

// Rows that lie in an image, as Int8GemmArgs has them.
struct ImageRows {
  const void* a = nullptr;
  int64_t m = 0, lda = 0;
  int64_t run = 0, run_stride = 0;
  int64_t tap_depth = 0;
  const int64_t* tap_offset = nullptr;
};
// What tap_depth must be a multiple of.
int64_t TapUnit(const CpuFlags& flags) noexcept;

// A product with packed weights, on kernels of at most one instruction set. Immutable, so thread safe.
class Product {
 public:
  virtual ~Product() = default;
  // The kernel for so many rows.
  virtual GemmTiling Tiling(int64_t m) const noexcept = 0;
  // The grid for so many threads.
  virtual GemmGrid Split(int64_t m, int threads) const noexcept = 0;
  virtual std::string_view Kernel(int64_t m) const noexcept = 0;
  virtual Isa isa() const noexcept = 0;
  // Block `index` of the grid of c[m × n] = a[m × k] · w; a and c without gaps between rows.
  virtual void Multiply(int64_t m, const void* a, void* c, const GemmGrid& grid,
                        int64_t index) const noexcept = 0;
  // The same of rows in an image, whole. Only of integers.
  virtual void MultiplyImage(const ImageRows& rows, void* c) const noexcept = 0;
};

std::unique_ptr<Product> MakeProduct(const ProductWeights& weights, const CpuFlags& flags);

}  // namespace strop::engine
