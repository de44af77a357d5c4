#include "strop/engine/kernels/elementwise/ymm.h"
#include "strop/engine/kernels/layer_norm/declarations.h"
#include "strop/engine/kernels/layer_norm/row.h"

namespace strop::engine {

void layer_norm_f32_avx2(const LayerNormArgs& args) noexcept { LayerNorm<FloatYmm>(args); }

}  // namespace strop::engine
