#include <algorithm>
#include <cstring>

#include "strop/engine/kernels/gemm/gemm.h"

namespace strop::engine {
namespace {

// Four floats of any alignment; SSE2 or NEON without a dispatch.
using Four = float __attribute__((vector_size(16)));

Four LoadFour(const float* p) {
  Four x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

void StoreFour(float* p, Four x) { std::memcpy(p, &x, sizeof x); }

// k rows of `columns` floats, padded to nr with zeros. A whole panel's row has a length known here, which
// makes it a few moves instead of a call.
template <int64_t kNr>
void CopyRows(const float* b, int64_t ldb, int64_t k, int64_t columns, int64_t nr, float* out) {
  for (int64_t row = 0; row < k; ++row, b += ldb, out += nr) {
    if constexpr (kNr > 0) {
      std::memcpy(out, b, kNr * sizeof(float));
    } else {
      std::memcpy(out, b, static_cast<size_t>(columns) * sizeof(float));
      std::memset(out + columns, 0, static_cast<size_t>(nr - columns) * sizeof(float));
    }
  }
}

void CopyPanel(const float* b, int64_t ldb, int64_t k, int64_t columns, int64_t nr, float* out) {
  if (columns < nr) return CopyRows<0>(b, ldb, k, columns, nr, out);
  if (nr == 32) return CopyRows<32>(b, ldb, k, columns, nr, out);
  if (nr == 16) return CopyRows<16>(b, ldb, k, columns, nr, out);
  CopyRows<0>(b, ldb, k, columns, nr, out);
}

// Four columns of k floats, ldb apart, as k rows of four floats, nr apart.
void TransposeFour(const float* b, int64_t ldb, int64_t k, int64_t nr, float* out) {
  int64_t row = 0;
  for (; row + 4 <= k; row += 4) {
    const Four x0 = LoadFour(b + row), x1 = LoadFour(b + ldb + row), x2 = LoadFour(b + 2 * ldb + row),
               x3 = LoadFour(b + 3 * ldb + row);
    const Four low01 = __builtin_shufflevector(x0, x1, 0, 4, 1, 5),
               high01 = __builtin_shufflevector(x0, x1, 2, 6, 3, 7),
               low23 = __builtin_shufflevector(x2, x3, 0, 4, 1, 5),
               high23 = __builtin_shufflevector(x2, x3, 2, 6, 3, 7);
    float* const to = out + row * nr;
    StoreFour(to, __builtin_shufflevector(low01, low23, 0, 1, 4, 5));
    StoreFour(to + nr, __builtin_shufflevector(low01, low23, 2, 3, 6, 7));
    StoreFour(to + 2 * nr, __builtin_shufflevector(high01, high23, 0, 1, 4, 5));
    StoreFour(to + 3 * nr, __builtin_shufflevector(high01, high23, 2, 3, 6, 7));
  }
  for (; row < k; ++row)
    for (int64_t column = 0; column < 4; ++column) out[row * nr + column] = b[column * ldb + row];
}

void TransposePanel(const float* b, int64_t ldb, int64_t k, int64_t columns, int64_t nr, float* out) {
  int64_t column = 0;
  for (; column + 4 <= columns; column += 4) TransposeFour(b + column * ldb, ldb, k, nr, out + column);
  for (; column < nr; ++column)
    for (int64_t row = 0; row < k; ++row)
      out[row * nr + column] = column < columns ? b[column * ldb + row] : 0.0f;
}

}  // namespace

void PackPanels(const float* b, int64_t ldb, int64_t n, int64_t k, bool transposed, int64_t nr,
                float* out) noexcept {
  for (int64_t column = 0; column < n; column += nr, out += k * nr) {
    const int64_t columns = std::min(nr, n - column);
    if (transposed) {
      TransposePanel(b + column * ldb, ldb, k, columns, nr, out);
    } else {
      CopyPanel(b + column, ldb, k, columns, nr, out);
    }
  }
}

PackedWeights PackWeights(const float* b, int64_t n, int64_t k, bool transposed, float scale, int64_t nr) {
  const int64_t panels = (n + nr - 1) / nr;
  PackedWeights packed{n, k, nr, Tensor::New(DType::kF32, {panels, k, nr})};
  auto* const out = static_cast<float*>(packed.panels.data());
  PackPanels(b, transposed ? k : n, n, k, transposed, nr, out);
  if (scale != 1) {
    for (int64_t i = 0; i < panels * k * nr; ++i) out[i] *= scale;
  }
  return packed;
}

}  // namespace strop::engine
