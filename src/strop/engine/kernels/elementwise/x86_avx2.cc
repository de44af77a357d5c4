#include "strop/engine/kernels/elementwise/declarations.h"
#include "strop/engine/kernels/elementwise/loops.h"
#include "strop/engine/kernels/elementwise/ymm.h"

namespace strop::engine {

ElementwiseFunctions elementwise_avx2() noexcept { return ElementwiseLanes<FloatYmm>(); }

}  // namespace strop::engine
