#include <algorithm>

#include "strop/engine/kernels/gemm/gemm.h"

namespace strop::engine {

PackedWeights PackWeights(const float* b, int64_t n, int64_t k, bool transposed, float scale, int64_t nr) {
  const int64_t panels = (n + nr - 1) / nr;
  PackedWeights packed{n, k, nr, Tensor::New(DType::kF32, {panels, k, nr})};
  auto* out = static_cast<float*>(packed.panels.data());
  for (int64_t panel = 0; panel < panels; ++panel) {
    const int64_t columns = std::min(nr, n - panel * nr);
    for (int64_t row = 0; row < k; ++row, out += nr) {
      for (int64_t column = 0; column < nr; ++column) {
        const int64_t at = panel * nr + column;
        out[column] = column >= columns ? 0.0f : scale * (transposed ? b[at * k + row] : b[row * n + at]);
      }
    }
  }
  return packed;
}

}  // namespace strop::engine
