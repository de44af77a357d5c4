#include "strop/engine/kernels/elementwise/declarations.h"
#include "strop/engine/kernels/elementwise/lane.h"
#include "strop/engine/kernels/elementwise/loops.h"

namespace strop::engine {

ElementwiseFunctions elementwise_scalar() noexcept { return ElementwiseLanes<FloatLane>(); }

}  // namespace strop::engine
