#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"
#include "strop/model/text.h"

namespace strop::model::reference {
namespace {

// past_state (absent: zeros), then the input, along the length: [batch, channels, kernel - 1 + length].
Tensor Padded(const Call& call, int64_t before) {
  const Tensor& x = call.In(0);
  Shape shape = x.shape();
  const int64_t length = shape[2];
  if (call.Has(3) &&
      (call.In(3).shape() != Shape{shape[0], shape[1], before} || call.In(3).dtype() != x.dtype()))
    call.Fail(fmt::format("past_state {} does not suit {}", ShapeText(call.In(3).shape()), ShapeText(shape)));
  shape[2] += before;
  const Tensor padded = Tensor::New(x.dtype(), shape);
  const size_t element = SizeOf(x.dtype()), past = static_cast<size_t>(before) * element,
               now = static_cast<size_t>(length) * element;
  auto* out = static_cast<char*>(padded.data());
  for (size_t row = 0; row < static_cast<size_t>(shape[0] * shape[1]); ++row, out += past + now) {
    if (call.Has(3))
      std::memcpy(out, static_cast<const char*>(call.In(3).data()) + row * past, past);
    else
      std::memset(out, 0, past);
    std::memcpy(out + past, static_cast<const char*>(x.data()) + row * now, now);
  }
  return padded;
}

// A depthwise convolution that sees only the past, and the last kernel - 1 places for the next call.
Results CausalConvWithState(const Call& call) {
  const Shape& shape = call.In(0).shape();
  const Shape& weights = call.In(1).shape();
  const DType dtype = call.In(0).dtype();
  if (shape.size() != 3 || weights.size() != 3 || weights[0] != shape[1] || weights[1] != 1 || weights[2] < 1)
    call.Fail(fmt::format("weights {} do not suit the input {}", ShapeText(weights), ShapeText(shape)));
  if (call.Has(2) && call.In(2).size() != shape[1]) call.Fail("the bias is not one a channel");
  const std::string activation = call.node.Text("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish")
    call.Fail(fmt::format("activation \"{}\"", Printable(activation)));
  const int64_t kernel = weights[2], length = shape[2], whole = length + kernel - 1;
  const Tensor padded = Padded(call, kernel - 1);
  const Tensor x = Doubles(padded), w = Doubles(call.In(1)),
               bias = call.Has(2) ? Doubles(call.In(2)) : Tensor();
  const Tensor y = NewDoubles(shape);
  for (int64_t row = 0; row < shape[0] * shape[1]; ++row) {
    const int64_t channel = row % shape[1];
    for (int64_t at = 0; at < length; ++at) {
      double sum = bias ? bias.As<double>()[static_cast<size_t>(channel)] : 0;
      for (int64_t k = 0; k < kernel; ++k)
        sum += x.As<double>()[static_cast<size_t>(row * whole + at + k)] *
               w.As<double>()[static_cast<size_t>(channel * kernel + k)];
      y.As<double>()[static_cast<size_t>(row * length + at)] =
          activation == "none" ? sum : sum / (1 + std::exp(-sum));
    }
  }
  const Tensor state =
      CopyWalk(padded, {shape[0], shape[1], kernel - 1}, {shape[1] * whole, whole, 1}, length);
  return {y.Cast(dtype), state};
}

constexpr Operator kOperators[] = {{"CausalConvWithState", 27, CausalConvWithState}};

}  // namespace

std::span<const Operator> CausalConvOperators() { return kOperators; }

}  // namespace strop::model::reference
