#include "strop/engine/kernels/elementwise/lane.h"
#include "strop/engine/kernels/softmax/declarations.h"
#include "strop/engine/kernels/softmax/row.h"

namespace strop::engine {

void softmax_f32_scalar(const SoftmaxArgs& args) noexcept { Softmax<FloatLane>(args); }

}  // namespace strop::engine
