#include "strop/engine/kernels/elementwise/ymm.h"
#include "strop/engine/kernels/winograd/declarations.h"
#include "strop/engine/kernels/winograd/transforms.h"

namespace strop::engine {

WinogradTransforms winograd_f32_2x2_avx2() noexcept { return WinogradOver<WinogradOf2<FloatYmm>>(); }
WinogradTransforms winograd_f32_4x4_avx2() noexcept { return WinogradOver<WinogradOf4<FloatYmm>>(); }

}  // namespace strop::engine
