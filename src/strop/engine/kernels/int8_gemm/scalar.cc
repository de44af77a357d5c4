#include "strop/engine/kernels/int8_gemm/declarations.h"
#include "strop/engine/kernels/int8_gemm/tile.h"

namespace strop::engine {
namespace {

struct Lane {
  using Reg = uint32_t;
  static constexpr int64_t kWidth = 1;
  static constexpr bool kPairs = false;
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
  static Reg Round(Float x) noexcept {
    const bool fits = x > -0x1p31f && x < 0x1p31f;
    return fits ? static_cast<Reg>(static_cast<int32_t>(__builtin_rintf(x))) : 0x80000000;
  }
  static void StorePart(int32_t* p, int64_t, Reg x) noexcept { StoreSums(p, x); }
  static void StorePart(float* p, int64_t, Float x) noexcept { *p = x; }

  static int32_t SetZero(int32_t zero) noexcept { return zero; }
  template <int NV, bool kSigned>
  static void StoreBytes(uint8_t* p, int64_t stride, int64_t rows, int64_t n, const Reg (&x)[4],
                         int32_t zero) noexcept {
    for (int64_t i = 0; i < 4; ++i) {
      if (i / NV >= rows || i % NV >= n || i / NV >= (NV >= 3 ? 1 : 4 / NV)) continue;
      const int64_t low = kSigned ? -128 : 0, byte = int64_t{static_cast<int32_t>(x[i])} + zero;
      p[i / NV * stride + i % NV] = static_cast<uint8_t>(byte < low         ? low
                                                         : byte > low + 255 ? low + 255
                                                                            : byte);
    }
  }
};

}  // namespace

void gemv_u8s8_1x4_scalar(const Int8GemmArgs& args) noexcept { Int8Gemm<Lane, 1, 4>(args); }
void gemm_u8s8_4x4_scalar(const Int8GemmArgs& args) noexcept { Int8Gemm<Lane, 4, 4>(args); }

}  // namespace strop::engine
