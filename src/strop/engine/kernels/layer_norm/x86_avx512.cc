#include "strop/engine/kernels/elementwise/zmm.h"
#include "strop/engine/kernels/layer_norm/declarations.h"
#include "strop/engine/kernels/layer_norm/row.h"

namespace strop::engine {

void layer_norm_f32_avx512(const LayerNormArgs& args) noexcept { LayerNorm<FloatZmm>(args); }

}  // namespace strop::engine
