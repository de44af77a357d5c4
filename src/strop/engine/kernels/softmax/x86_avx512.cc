#include "strop/engine/kernels/elementwise/zmm.h"
#include "strop/engine/kernels/softmax/declarations.h"
#include "strop/engine/kernels/softmax/row.h"

namespace strop::engine {

void softmax_f32_avx512(const SoftmaxArgs& args) noexcept { Softmax<FloatZmm>(args); }

}  // namespace strop::engine
