#include "strop/engine/kernels/elementwise/lane.h"
#include "strop/engine/kernels/layer_norm/declarations.h"
#include "strop/engine/kernels/layer_norm/row.h"

namespace strop::engine {

void layer_norm_f32_scalar(const LayerNormArgs& args) noexcept { LayerNorm<FloatLane>(args); }

}  // namespace strop::engine
