#include "strop/engine/kernels/elementwise/declarations.h"
#include "strop/engine/kernels/elementwise/lane.h"
#include "strop/engine/kernels/elementwise/loops.h"

namespace strop::engine {

constinit const ElementwiseFunctions elementwise_scalar = ElementwiseLanes<FloatLane>();

}  // namespace strop::engine
