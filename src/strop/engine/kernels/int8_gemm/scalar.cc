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
  static void Store(int32_t* p, Reg x) noexcept { *p = static_cast<int32_t>(x); }
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
};

}  // namespace

void gemv_u8s8_1x4_scalar(const Int8GemmArgs& args) noexcept { Int8Gemm<Lane, 1, 4>(args); }
void gemm_u8s8_4x4_scalar(const Int8GemmArgs& args) noexcept { Int8Gemm<Lane, 4, 4>(args); }

}  // namespace strop::engine
