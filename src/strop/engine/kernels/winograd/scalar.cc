#include "strop/engine/kernels/elementwise/lane.h"
#include "strop/engine/kernels/winograd/declarations.h"
#include "strop/engine/kernels/winograd/transforms.h"

namespace strop::engine {

WinogradTransforms winograd_f32_2x2_scalar() noexcept { return WinogradOver<WinogradOf2<FloatLane>>(); }
WinogradTransforms winograd_f32_4x4_scalar() noexcept { return WinogradOver<WinogradOf4<FloatLane>>(); }

}  // namespace strop::engine
