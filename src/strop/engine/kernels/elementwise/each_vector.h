#pragma once

#include <cstdint>

// A pass over a row, by a vector type V of vector_math.h.
namespace strop::engine {

template <class V>
struct WholeVector {
  using Reg = typename V::Reg;
  static Reg Load(const float* p) noexcept { return V::Load(p); }
  static void Store(float* p, Reg x) noexcept { V::Store(p, x); }
  static void StoreBytes(uint8_t* p, typename V::Int x) noexcept { V::StoreBytes(p, x); }
  static Reg OrElse(Reg x, Reg) noexcept { return x; }
};

template <class V>
struct PartOfVector {
  using Reg = typename V::Reg;
  int64_t count;
  Reg Load(const float* p) const noexcept { return V::LoadPart(p, count); }
  void Store(float* p, Reg x) const noexcept { V::StorePart(p, count, x); }
  void StoreBytes(uint8_t* p, typename V::Int x) const noexcept { V::StorePartBytes(p, count, x); }
  // `otherwise` in the lanes beyond the row.
  Reg OrElse(Reg x, Reg otherwise) const noexcept { return V::Select(V::PartMask(count), x, otherwise); }
};

// Independent sums: as many as hide the latency of an addition.
inline constexpr int kRowSums = 4;

// Calls visit(vector, at, sum) for each vector of n elements, in order, with the number of a sum to add to.
template <class V, class Visit>
[[gnu::always_inline]] inline void EachVector(int64_t n, Visit visit) noexcept {
  int64_t at = 0;
  for (; at + kRowSums * V::kWidth <= n; at += kRowSums * V::kWidth) {
#pragma GCC unroll 4
    for (int sum = 0; sum < kRowSums; ++sum) visit(WholeVector<V>{}, at + sum * V::kWidth, sum);
  }
  for (; at + V::kWidth <= n; at += V::kWidth) visit(WholeVector<V>{}, at, 0);
  if (at < n) visit(PartOfVector<V>{n - at}, at, 0);
}

}  // namespace strop::engine
