#pragma once

#include <cstdint>

#include "strop/engine/kernels/elementwise/each_vector.h"
#include "strop/engine/kernels/elementwise/quantize.h"
#include "strop/engine/kernels/elementwise/vector_math.h"
#include "strop/engine/kernels/softmax/args.h"

namespace strop::engine {

// Three passes over a row, which the second and third find in L1: the largest element, the powers and their
// sum, the quotients. What goes into a power is worked out twice, as that is less than to store and load it.
//
// Leaves the powers in y, and calls finish(vector, at, share) with each vector's quotients.
template <class V, bool kMasked, class Finish>
inline void SoftmaxRow(const float* x, float scale, const float* mask, float* y, int64_t n,
                       Finish finish) noexcept {
  using Reg = typename V::Reg;
  const Reg factor = V::Set1(scale), none = V::Set1(-__builtin_inff());
  const auto value = [&](auto vector, int64_t at) {
    const Reg v = vector.Load(x + at);
    if constexpr (kMasked) return V::Fma(v, factor, vector.Load(mask + at));
    return V::Mul(v, factor);
  };
  Reg most[kRowSums] = {none, none, none, none};
  EachVector<V>(n, [&](auto vector, int64_t at, int sum) {
    // NaN is passed over here, and comes back with the sum.
    most[sum] = V::Max(vector.OrElse(value(vector, at), none), most[sum]);
  });
  const Reg zero = V::Set1(0);
  const Reg largest = V::Set1(V::MaxLanes(V::Max(V::Max(most[0], most[1]), V::Max(most[2], most[3]))));
  Reg sums[kRowSums] = {zero, zero, zero, zero};
  EachVector<V>(n, [&](auto vector, int64_t at, int sum) {
    const Reg power = ExpOfNegative<V>(V::Sub(value(vector, at), largest));
    vector.Store(y + at, power);
    sums[sum] = V::Add(sums[sum], vector.OrElse(power, zero));
  });
  const float total = V::SumLanes(V::Add(V::Add(sums[0], sums[1]), V::Add(sums[2], sums[3])));
  const Reg share = V::Set1(1 / total);
  EachVector<V>(
      n, [&](auto vector, int64_t at, int) { finish(vector, at, V::Mul(vector.Load(y + at), share)); });
}

template <class V, class Finish>
inline void SoftmaxRow(const SoftmaxArgs& args, int64_t row, Finish finish) noexcept {
  const float* const x = args.x + row * args.ldx;
  float* const y = args.y + row * args.ldy;
  if (args.mask == nullptr) {
    SoftmaxRow<V, false>(x, args.scale, nullptr, y, args.n, finish);
  } else {
    SoftmaxRow<V, true>(x, args.scale, args.mask, y, args.n, finish);
  }
}

template <class V>
inline void Softmax(const SoftmaxArgs& args) noexcept {
  using Reg = typename V::Reg;
  if (args.bytes == nullptr) {
    for (int64_t row = 0; row < args.rows; ++row) {
      float* const y = args.y + row * args.ldy;
      SoftmaxRow<V>(args, row, [=](auto vector, int64_t at, Reg share) { vector.Store(y + at, share); });
    }
    return;
  }
  VisitQuantize<V>(args.bytes_scale, args.bytes_zero, args.bytes_signed, [&](auto quantize) {
    for (int64_t row = 0; row < args.rows; ++row) {
      uint8_t* const bytes = args.bytes + row * args.ldb;
      SoftmaxRow<V>(args, row, [=](auto vector, int64_t at, Reg share) {
        vector.StoreBytes(bytes + at, quantize(share));
      });
    }
  });
}

}  // namespace strop::engine
