#include "strop/engine/kernels/int8_gemm/declarations.h"
#include "strop/engine/kernels/int8_gemm/tile.h"

namespace strop::engine {
namespace {

struct Lane {
  using Reg = uint32_t;
  static constexpr int64_t kWidth = 1;
  static Reg Zero() noexcept { return 0; }
  static Reg Set1(uint32_t x) noexcept { return x; }
  static Reg Load(const int8_t* p) noexcept {
    Reg four;
    std::memcpy(&four, p, sizeof four);
    return four;
  }
  static Reg LoadSums(const int32_t* p) noexcept { return static_cast<Reg>(*p); }
  static void StoreSums(int32_t* p, Reg x) noexcept { *p = static_cast<int32_t>(x); }
  static Reg Xor(Reg a, Reg b) noexcept { return a ^ b; }
  static Reg Add(Reg a, Reg b) noexcept { return a + b; }
  static Reg Dot(Reg sum, Reg a, Reg b) noexcept {
    for (int byte = 0; byte < kInt8Group; ++byte) {
      const auto x = static_cast<uint8_t>(a >> (8 * byte));
      const auto y = static_cast<int8_t>(b >> (8 * byte));
      sum += static_cast<uint32_t>(x * y);
    }
    return sum;
  }
  using Float = float;
  static Float SetFloat(float x) noexcept { return x; }
  static Float LoadFloats(const float* p) noexcept { return *p; }
  static void StoreFloats(float* p, Float x) noexcept { *p = x; }
  static Float ToFloat(Reg x) noexcept { return static_cast<float>(static_cast<int32_t>(x)); }
  static Float Mul(Float a, Float b) noexcept { return a * b; }
  static Float AddFloats(Float a, Float b) noexcept { return a + b; }
  static Float Max(Float a, Float b) noexcept { return a > b ? a : b; }
  static Float Min(Float a, Float b) noexcept { return a < b ? a : b; }
  static Reg Round(Float x) noexcept { return static_cast<Reg>(static_cast<int32_t>(__builtin_rintf(x))); }
  static void StoreBytes(uint8_t* p, Reg x) noexcept { *p = static_cast<uint8_t>(x); }
};

}  // namespace

void gemv_u8s8_1x4_scalar(const Int8GemmArgs& args) noexcept { Int8Gemm<Lane, 1, 4>(args); }
void gemm_u8s8_4x4_scalar(const Int8GemmArgs& args) noexcept { Int8Gemm<Lane, 4, 4>(args); }

}  // namespace strop::engine
