#include "strop/engine/kernels/pool/declarations.h"
#include "strop/engine/kernels/pool/tile.h"

namespace strop::engine {
namespace {

template <class T>
struct Lane {
  using Element = T;
  using Reg = T;
  static constexpr int64_t kWidth = 1;
  static Reg Load(const T* p) noexcept { return *p; }
  static Reg LoadPart(const T*, int64_t) noexcept { return T{}; }
  static void Store(T* p, Reg x) noexcept { *p = x; }
  static void StorePart(T*, int64_t, Reg) noexcept {}
  static Reg Max(Reg a, Reg b) noexcept { return a > b ? a : b; }
};
struct Floats : Lane<float> {
  static Reg Least() noexcept { return -__builtin_inff(); }
  static Reg Set1(float x) noexcept { return x; }
  static Reg Add(Reg a, Reg b) noexcept { return a + b; }
  static Reg Div(Reg a, Reg b) noexcept { return a / b; }
};
struct U8 : Lane<uint8_t> {
  static Reg Least() noexcept { return 0; }
};
struct S8 : Lane<int8_t> {
  static Reg Least() noexcept { return -128; }
};

// Sums of bytes T.
template <class T>
struct Sum {
  using Element = uint8_t;
  using Reg = uint32_t;
  using Float = float;
  static constexpr int64_t kWidth = 1;
  static Reg Load(const uint8_t* p) noexcept { return static_cast<Reg>(static_cast<T>(*p)); }
  static Reg LoadPart(const uint8_t*, int64_t) noexcept { return 0; }
  static Reg Set(int32_t x) noexcept { return static_cast<Reg>(x); }
  static Reg Add(Reg a, Reg b) noexcept { return a + b; }
  static Float SetFloat(float x) noexcept { return x; }
  static Float ToFloat(Reg x) noexcept { return static_cast<float>(static_cast<int32_t>(x)); }
  static Float Mul(Float a, Float b) noexcept { return a * b; }
  static Float AddFloats(Float a, Float b) noexcept { return a + b; }
  static Float MaxFloat(Float a, Float b) noexcept { return a > b ? a : b; }
  static Float MinFloat(Float a, Float b) noexcept { return a < b ? a : b; }
  static Reg Round(Float x) noexcept { return static_cast<Reg>(static_cast<int32_t>(__builtin_rintf(x))); }
  static void StoreWords(int32_t* p, int64_t, Reg x) noexcept { *p = static_cast<int32_t>(x); }
  static void StoreFloats(float* p, int64_t, Float x) noexcept { *p = x; }
  static void StoreBytes(uint8_t* p, int64_t, Reg x) noexcept { *p = static_cast<uint8_t>(x); }
};

}  // namespace

void max_pool_scalar(const MaxPoolArgs& args) noexcept { MaxPoolOf<Floats, U8, S8>(args); }
void average_pool_scalar(const AveragePoolArgs& args) noexcept { AveragePool<Floats>(args); }
void global_pool_scalar(const GlobalPoolArgs& args) noexcept {
  GlobalPoolOf<Floats, Sum<uint8_t>, Sum<int8_t>>(args);
}

}  // namespace strop::engine
