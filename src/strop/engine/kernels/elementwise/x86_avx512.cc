#include "strop/engine/kernels/elementwise/declarations.h"
#include "strop/engine/kernels/elementwise/loops.h"
#include "strop/engine/kernels/elementwise/zmm.h"

namespace strop::engine {

ElementwiseFunctions elementwise_avx512() noexcept { return ElementwiseLanes<FloatZmm>(); }

}  // namespace strop::engine
