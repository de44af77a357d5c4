#include "strop/engine/kernels/elementwise/declarations.h"
#include "strop/engine/kernels/elementwise/loops.h"
#include "strop/engine/kernels/elementwise/ymm.h"

namespace strop::engine {

constinit const ElementwiseFunctions elementwise_avx2 = ElementwiseLanes<FloatYmm>();

}  // namespace strop::engine
