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
  static bool Mask(int64_t) noexcept { return true; }
  static Reg LoadPart(const float* p, bool) noexcept { return *p; }
  static void StorePart(float* p, bool, Reg x) noexcept { *p = x; }
  static Reg Fma(Reg a, Reg b, Reg c) noexcept { return a * b + c; }
  static Reg Add(Reg a, Reg b) noexcept { return a + b; }
  static Reg Max(Reg low, Reg x) noexcept { return x < low ? low : x; }
  static Reg Min(Reg high, Reg x) noexcept { return x > high ? high : x; }
};

}  // namespace

void gemv_f32_1x4_scalar(const GemmArgs& args) noexcept { Gemm<Lane, 1, 4>(args); }
void gemm_f32_4x4_scalar(const GemmArgs& args) noexcept { Gemm<Lane, 4, 4>(args); }

}  // namespace strop::engine
