#include "strop/engine/kernels/gemm/declarations.h"
#include "strop/engine/kernels/gemm/tile.h"

namespace strop::engine {
namespace {

struct Lane {
  using Reg = float;
  static constexpr int64_t kWidth = 1;
  static Reg Zero() noexcept { return 0; }
  static Reg Set1(float x) noexcept { return x; }
  static Reg Load(const float* p) noexcept { return *p; }
  static void Store(float* p, Reg x) noexcept { *p = x; }
  static Reg LoadPart(const float*, int64_t) noexcept { return 0; }
  static void StorePart(float*, int64_t, Reg) noexcept {}
  static Reg Fma(Reg a, Reg b, Reg c) noexcept { return a * b + c; }
  static Reg Add(Reg a, Reg b) noexcept { return a + b; }
  static Reg MaxZero(Reg x) noexcept { return x < 0 ? 0 : x; }
};

}  // namespace

void gemv_f32_1x4_scalar(const GemmArgs& args) noexcept { Gemv<Lane, 4>(args); }
void gemm_f32_4x4_scalar(const GemmArgs& args) noexcept { Gemm<Lane, 4, 4>(args); }

}  // namespace strop::engine
