#include <cstring>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/onnx_types.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

// Operators on the bits of integers.
namespace strop::model::reference {
namespace {

// A shift by less than 0 or by the width and more leaves the sign alone (RIGHT) or nothing.
template <class T>
T Shifted(T value, T by, bool right) {
  constexpr auto kWidth = static_cast<int>(8 * sizeof(T));
  const bool outside = by < T{0} || by >= static_cast<T>(kWidth);
  if (right && outside) return value < T{0} ? static_cast<T>(-1) : T{0};
  if (outside) return T{0};
  if (right) return static_cast<T>(value >> by);
  return static_cast<T>(static_cast<uint64_t>(value) << by);
}

Results BitShift(const Call& call) {
  const Tensor &x = call.In(0), &by = call.In(1);
  const std::string direction = call.node.Text("direction", "");
  if (direction != "LEFT" && direction != "RIGHT") call.Fail("the direction is neither LEFT nor RIGHT");
  if (x.dtype() != by.dtype()) call.Fail("the inputs must have one type");
  const Shape shape = BroadcastShapes(call.node, x.shape(), by.shape());
  Tensor y = Tensor::New(x.dtype(), shape);
  const bool integer = VisitInteger(x.dtype(), [&]<class T>(T) {
    Walk walk(shape, {BroadcastStrides(x.shape(), shape), BroadcastStrides(by.shape(), shape)});
    for (T& value : y.As<T>()) {
      value = Shifted(x.As<T>()[static_cast<size_t>(walk.offset(0))],
                      by.As<T>()[static_cast<size_t>(walk.offset(1))], direction == "RIGHT");
      walk.Next();
    }
  });
  if (!integer) call.Refuse(fmt::format("the type {}", DTypeName(x.dtype())));
  return {y};
}

Results BitCast(const Call& call) {
  const Tensor& x = call.In(0);
  const int64_t to = call.node.Int("to", 0);
  const std::optional<DType> dtype = FromOnnxType(to);
  if (!dtype) call.Refuse(fmt::format("a cast to {}", OnnxTypeName(to)));
  if (SizeOf(*dtype) != SizeOf(x.dtype()))
    call.Fail(fmt::format("{} and {} differ in width", DTypeName(x.dtype()), DTypeName(*dtype)));
  Tensor y = Tensor::New(*dtype, x.shape());
  std::memcpy(y.data(), x.data(), x.bytes());
  return {y};
}

constexpr Operator kOperators[] = {{"BitCast", 26, BitCast}, {"BitShift", 11, BitShift}};

}  // namespace

std::span<const Operator> BitOperators() { return kOperators; }

}  // namespace strop::model::reference
