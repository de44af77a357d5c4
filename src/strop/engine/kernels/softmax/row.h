#pragma once

#include <cstdint>
#include <cstring>

#include "strop/engine/kernels/elementwise/each_vector.h"
#include "strop/engine/kernels/elementwise/vector_math.h"
#include "strop/engine/kernels/softmax/args.h"

namespace strop::engine {

// Three passes over a row, which the second and third find in L1: the largest element, the powers and their
// sum, the quotients. What goes into a power is worked out twice, as that is less than to store and load it.
template <class V, bool kMasked>
struct SoftmaxRow {
  using Reg = typename V::Reg;
  const float *x, *mask;
  float scale;
  float* y;
  int64_t n;

  float Largest() const noexcept {
    const Reg factor = V::Set1(scale), none = V::Set1(-__builtin_inff());
    Reg most[kRowSums] = {none, none, none, none};
    EachVector<V>(n, [&](auto vector, int64_t at, int sum) {
      // NaN is passed over here, and comes back with the sum.
      most[sum] = V::Max(vector.OrElse(Value(vector, at, factor), none), most[sum]);
    });
    return V::MaxLanes(V::Max(V::Max(most[0], most[1]), V::Max(most[2], most[3])));
  }

  // Leaves the powers in y and answers their sum.
  float Powers(float largest) const noexcept {
    const Reg factor = V::Set1(scale), most = V::Set1(largest), zero = V::Set1(0);
    Reg sums[kRowSums] = {zero, zero, zero, zero};
    EachVector<V>(n, [&](auto vector, int64_t at, int sum) {
      const Reg power = ExpOfNegative<V>(V::Sub(Value(vector, at, factor), most));
      vector.Store(y + at, power);
      sums[sum] = V::Add(sums[sum], vector.OrElse(power, zero));
    });
    return V::SumLanes(V::Add(V::Add(sums[0], sums[1]), V::Add(sums[2], sums[3])));
  }

  void Shares(float total) const noexcept {
    const Reg factor = V::Set1(1 / total);
    EachVector<V>(
        n, [&](auto vector, int64_t at, int) { vector.Store(y + at, V::Mul(vector.Load(y + at), factor)); });
  }

  void Bytes(float total, const SoftmaxArgs& args, uint8_t* bytes) const noexcept {
    if (total != total) {
      std::memset(bytes, 0, static_cast<size_t>(n));
      return;
    }
    const int32_t highest = (args.bytes_signed ? 127 : 255) - args.bytes_zero;
    const Reg factor = V::Set1(1 / (total * args.bytes_scale)), most = V::Set1(static_cast<float>(highest));
    const auto zero = V::SetInt(args.bytes_zero);
    EachVector<V>(n, [&](auto vector, int64_t at, int) {
      const Reg quotient = V::Min(V::Mul(vector.Load(y + at), factor), most);
      vector.StoreBytes(bytes + at, V::AddInt(V::RoundToInt(quotient), zero));
    });
  }

 private:
  template <class Vector>
  Reg Value(Vector vector, int64_t at, Reg factor) const noexcept {
    const Reg v = vector.Load(x + at);
    if constexpr (kMasked) return V::Fma(v, factor, vector.Load(mask + at));
    return V::Mul(v, factor);
  }
};

// Rows that take each pass together: a processor sums one row's lanes while it is at the next.
inline constexpr int64_t kSoftmaxRows = 4;

template <class V, bool kMasked>
inline void SoftmaxRows(const SoftmaxArgs& args) noexcept {
  for (int64_t first = 0; first < args.rows; first += kSoftmaxRows) {
    const int64_t count = args.rows - first < kSoftmaxRows ? args.rows - first : kSoftmaxRows;
    const auto row = [&](int64_t i) {
      return SoftmaxRow<V, kMasked>{args.x + (first + i) * args.ldx, args.mask, args.scale,
                                    args.y + (first + i) * args.ldy, args.n};
    };
    float largest[kSoftmaxRows], total[kSoftmaxRows];
    for (int64_t i = 0; i < count; ++i) largest[i] = row(i).Largest();
    for (int64_t i = 0; i < count; ++i) total[i] = row(i).Powers(largest[i]);
    for (int64_t i = 0; i < count; ++i) {
      if (args.bytes == nullptr) {
        row(i).Shares(total[i]);
      } else {
        row(i).Bytes(total[i], args, args.bytes + (first + i) * args.ldb);
      }
    }
  }
}

template <class V>
inline void Softmax(const SoftmaxArgs& args) noexcept {
  if (args.mask == nullptr) return SoftmaxRows<V, false>(args);
  SoftmaxRows<V, true>(args);
}

}  // namespace strop::engine
