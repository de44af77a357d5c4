#include "strop/engine/kernels/elementwise/declarations.h"
#include "strop/engine/kernels/elementwise/loops.h"
#include "strop/engine/kernels/elementwise/zmm.h"

namespace strop::engine {

constinit const ElementwiseFunctions elementwise_avx512 = ElementwiseLanes<FloatZmm>();

}  // namespace strop::engine
