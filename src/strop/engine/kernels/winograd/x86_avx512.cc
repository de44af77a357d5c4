#include "strop/engine/kernels/elementwise/zmm.h"
#include "strop/engine/kernels/winograd/declarations.h"
#include "strop/engine/kernels/winograd/transforms.h"

namespace strop::engine {

WinogradTransforms winograd_f32_2x2_avx512() noexcept { return WinogradOver<WinogradOf2<FloatZmm>>(); }
WinogradTransforms winograd_f32_4x4_avx512() noexcept { return WinogradOver<WinogradOf4<FloatZmm>>(); }

}  // namespace strop::engine
