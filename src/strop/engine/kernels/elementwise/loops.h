#pragma once

#include <cstdint>

#include "strop/engine/kernels/elementwise/args.h"
#include "strop/engine/kernels/elementwise/quantize.h"
#include "strop/engine/kernels/elementwise/vector_math.h"

// The loops behind ElementwiseFunctions over a vector type V of vector_math.h.
namespace strop::engine {

template <class V, class F>
inline void MapLanes(const float* x, float* y, int64_t n, F f) noexcept {
  int64_t at = 0;
  for (; at + V::kWidth <= n; at += V::kWidth) V::Store(y + at, f(V::Load(x + at)));
  if (at < n) V::StorePart(y + at, n - at, f(V::LoadPart(x + at, n - at)));
}

template <class V, class F>
inline void ZipLanes(const float* a, const float* b, float* y, int64_t n, F f) noexcept {
  int64_t at = 0;
  for (; at + V::kWidth <= n; at += V::kWidth) V::Store(y + at, f(V::Load(a + at), V::Load(b + at)));
  if (at < n) V::StorePart(y + at, n - at, f(V::LoadPart(a + at, n - at), V::LoadPart(b + at, n - at)));
}

template <class V>
inline void UnaryLanes(UnaryOp op, const float* x, float* y, int64_t n) noexcept {
  using Reg = typename V::Reg;
  switch (op) {
    case UnaryOp::kNeg:
      return MapLanes<V>(x, y, n, [](Reg v) { return V::Neg(v); });
    case UnaryOp::kAbs:
      return MapLanes<V>(x, y, n, [](Reg v) { return V::Abs(v); });
    case UnaryOp::kSqrt:
      return MapLanes<V>(x, y, n, [](Reg v) { return V::Sqrt(v); });
    case UnaryOp::kReciprocal:
      return MapLanes<V>(x, y, n, [](Reg v) { return V::Div(V::Set1(1), v); });
    case UnaryOp::kExp:
      return MapLanes<V>(x, y, n, [](Reg v) { return Exp<V>(v); });
    case UnaryOp::kLog:
      return MapLanes<V>(x, y, n, [](Reg v) { return Log<V>(v); });
    case UnaryOp::kErf:
      return MapLanes<V>(x, y, n, [](Reg v) { return Erf<V>(v); });
    case UnaryOp::kTanh:
      return MapLanes<V>(x, y, n, [](Reg v) { return Tanh<V>(v); });
    case UnaryOp::kSigmoid:
      return MapLanes<V>(x, y, n, [](Reg v) { return Sigmoid<V>(v); });
    case UnaryOp::kGelu:
      return MapLanes<V>(x, y, n, [](Reg v) { return Gelu<V>(v); });
    case UnaryOp::kRelu:
      return MapLanes<V>(x, y, n, [](Reg v) { return V::Max(V::Set1(0), v); });
    case UnaryOp::kFloor:
      return MapLanes<V>(x, y, n, [](Reg v) { return V::Floor(v); });
    case UnaryOp::kCeil:
      return MapLanes<V>(x, y, n, [](Reg v) { return V::Ceil(v); });
    case UnaryOp::kRound:
      return MapLanes<V>(x, y, n, [](Reg v) { return V::Round(v); });
  }
}

template <class V>
inline void ClipLanes(float low, float high, const float* x, float* y, int64_t n) noexcept {
  const auto least = V::Set1(low), most = V::Set1(high);
  MapLanes<V>(x, y, n, [=](typename V::Reg v) { return V::Min(most, V::Max(least, v)); });
}

template <class V>
inline void LeakyLanes(float alpha, const float* x, float* y, int64_t n) noexcept {
  const auto slope = V::Set1(alpha), zero = V::Set1(0);
  MapLanes<V>(x, y, n, [=](typename V::Reg v) { return V::Select(V::Less(v, zero), V::Mul(slope, v), v); });
}

// Calls visit with the operator as a function of two vectors.
template <class V, class Visit>
inline void VisitBinary(BinaryOp op, Visit visit) noexcept {
  using Reg = typename V::Reg;
  switch (op) {
    case BinaryOp::kAdd:
      return visit([](Reg a, Reg b) { return V::Add(a, b); });
    case BinaryOp::kSub:
      return visit([](Reg a, Reg b) { return V::Sub(a, b); });
    case BinaryOp::kMul:
      return visit([](Reg a, Reg b) { return V::Mul(a, b); });
    case BinaryOp::kDiv:
      return visit([](Reg a, Reg b) { return V::Div(a, b); });
    // Max and Min answer b where either is NaN, which leaves a.
    case BinaryOp::kMax:
      return visit([](Reg a, Reg b) { return V::Select(V::Nan(a), a, V::Max(a, b)); });
    case BinaryOp::kMin:
      return visit([](Reg a, Reg b) { return V::Select(V::Nan(a), a, V::Min(a, b)); });
  }
}

template <class V>
inline void BinaryLanes(BinaryOp op, const float* a, const float* b, float* y, int64_t n) noexcept {
  VisitBinary<V>(op, [=](auto f) { ZipLanes<V>(a, b, y, n, f); });
}

template <class V>
inline void BinaryScalarLanes(BinaryOp op, const float* a, float b, float* y, int64_t n) noexcept {
  VisitBinary<V>(op, [=](auto f) {
    const auto all = V::Set1(b);
    MapLanes<V>(a, y, n, [=](typename V::Reg v) { return f(v, all); });
  });
}

template <class V>
inline void ScalarBinaryLanes(BinaryOp op, float a, const float* b, float* y, int64_t n) noexcept {
  VisitBinary<V>(op, [=](auto f) {
    const auto all = V::Set1(a);
    MapLanes<V>(b, y, n, [=](typename V::Reg v) { return f(all, v); });
  });
}

template <class V>
inline void DequantizeLanes(const void* q, bool is_signed, int32_t zero, float scale, float* y,
                            int64_t n) noexcept {
  const auto* bytes = static_cast<const uint8_t*>(q);
  const auto offset = V::SetInt(zero);
  const auto factor = V::Set1(scale);
  const auto value = [=](typename V::Int v) { return V::Mul(V::ToFloat(V::SubInt(v, offset)), factor); };
  int64_t at = 0;
  if (is_signed) {
    for (; at + V::kWidth <= n; at += V::kWidth) V::Store(y + at, value(V::LoadS8(bytes + at)));
    if (at < n) V::StorePart(y + at, n - at, value(V::LoadPartS8(bytes + at, n - at)));
  } else {
    for (; at + V::kWidth <= n; at += V::kWidth) V::Store(y + at, value(V::LoadU8(bytes + at)));
    if (at < n) V::StorePart(y + at, n - at, value(V::LoadPartU8(bytes + at, n - at)));
  }
}

template <class V>
inline void QuantizeLanes(const float* x, float scale, int32_t zero, bool is_signed, void* q,
                          int64_t n) noexcept {
  auto* bytes = static_cast<uint8_t*>(q);
  VisitQuantize<V>(scale, zero, is_signed, [=](auto value) {
    int64_t at = 0;
    for (; at + V::kWidth <= n; at += V::kWidth) V::StoreBytes(bytes + at, value(V::Load(x + at)));
    if (at < n) V::StorePartBytes(bytes + at, n - at, value(V::LoadPart(x + at, n - at)));
  });
}

template <class V>
inline void AddBytesLanes(const ByteSum& sum, const uint8_t* a, const uint8_t* b, uint8_t* q,
                          int64_t n) noexcept {
  using Reg = typename V::Reg;
  using Int = typename V::Int;
  const Int a_zero = V::SetInt(sum.a_zero), b_zero = V::SetInt(sum.b_zero);
  const Reg a_scale = V::Set1(sum.a_scale), b_scale = V::Set1(sum.b_scale);
  const Reg low = V::Set1(sum.relu ? 0.0f : -__builtin_inff());
  VisitQuantize<V>(sum.scale, sum.zero, sum.is_signed, [=](auto value) {
    const auto both = [=](Int x, Int y) {
      const Reg first = V::Mul(V::ToFloat(V::SubInt(x, a_zero)), a_scale);
      const Reg second = V::Mul(V::ToFloat(V::SubInt(y, b_zero)), b_scale);
      return value(V::Max(low, V::Add(first, second)));
    };
    int64_t at = 0;
    if (sum.inputs_signed) {
      for (; at + V::kWidth <= n; at += V::kWidth)
        V::StoreBytes(q + at, both(V::LoadS8(a + at), V::LoadS8(b + at)));
      if (at < n)
        V::StorePartBytes(q + at, n - at, both(V::LoadPartS8(a + at, n - at), V::LoadPartS8(b + at, n - at)));
    } else {
      for (; at + V::kWidth <= n; at += V::kWidth)
        V::StoreBytes(q + at, both(V::LoadU8(a + at), V::LoadU8(b + at)));
      if (at < n)
        V::StorePartBytes(q + at, n - at, both(V::LoadPartU8(a + at, n - at), V::LoadPartU8(b + at, n - at)));
    }
  });
}

template <class V>
inline void LookUpLanes(const uint8_t* table, const uint8_t* x, uint8_t* y, int64_t n) noexcept {
  for (int64_t at = V::LookUp(table, x, y, n); at < n; ++at) y[at] = table[x[at]];
}

template <class V>
constexpr ElementwiseFunctions ElementwiseLanes() noexcept {
  return {UnaryLanes<V>,        ClipLanes<V>,       LeakyLanes<V>,    BinaryLanes<V>,   BinaryScalarLanes<V>,
          ScalarBinaryLanes<V>, DequantizeLanes<V>, QuantizeLanes<V>, AddBytesLanes<V>, LookUpLanes<V>};
}

}  // namespace strop::engine
