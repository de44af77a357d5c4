#include "strop/engine/kernels/elementwise/ymm.h"
#include "strop/engine/kernels/softmax/declarations.h"
#include "strop/engine/kernels/softmax/row.h"

namespace strop::engine {

void softmax_f32_avx2(const SoftmaxArgs& args) noexcept { Softmax<FloatYmm>(args); }

}  // namespace strop::engine
