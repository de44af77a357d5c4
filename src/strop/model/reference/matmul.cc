#include "strop/model/reference/matmul.h"

#include <algorithm>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"

namespace strop::model::reference {
namespace {

Results MatMul(const Call& call) {
  const DType dtype = call.In(0).dtype();
  if (call.In(1).dtype() != dtype) call.Fail("the inputs must have one type");
  return {MatrixProduct(call, Doubles(call.In(0)), Doubles(call.In(1))).Cast(dtype)};
}

Results Gemm(const Call& call) {
  const DType dtype = call.In(0).dtype();
  if (!IsFloat(dtype)) call.Refuse(fmt::format("the type {}", DTypeName(dtype)));
  const Tensor a = Doubles(call.In(0)), b = Doubles(call.In(1));
  const bool trans_a = call.node.Int("transA", 0) != 0, trans_b = call.node.Int("transB", 0) != 0;
  if (a.shape().size() != 2 || b.shape().size() != 2) call.Fail("A and B must be matrices");
  const int64_t rows = a.shape()[trans_a ? 1 : 0], inner = a.shape()[trans_a ? 0 : 1];
  const int64_t cols = b.shape()[trans_b ? 0 : 1];
  if (b.shape()[trans_b ? 1 : 0] != inner) {
    call.Fail(fmt::format("A {} and B {} do not multiply", ShapeText(a.shape()), ShapeText(b.shape())));
  }
  const double alpha = call.node.Float("alpha", 1), beta = call.node.Float("beta", 1);
  const Shape shape = {rows, cols};
  Tensor y = NewDoubles(shape);
  const auto x = a.As<double>(), w = b.As<double>(), out = y.As<double>();
  std::ranges::fill(out, 0.0);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < inner; ++k) {
        sum += x[static_cast<size_t>(trans_a ? k * rows + i : i * inner + k)] *
               w[static_cast<size_t>(trans_b ? j * inner + k : k * cols + j)];
      }
      out[static_cast<size_t>(i * cols + j)] = alpha * sum;
    }
  }
  if (call.Has(2)) {
    const Tensor c = Doubles(call.In(2));
    if (c.shape().size() > 2 || BroadcastShapes(call.node, c.shape(), shape) != shape) {
      call.Fail(fmt::format("C {} does not broadcast to {}", ShapeText(c.shape()), ShapeText(shape)));
    }
    const Tensor full = CopyWalk(c, shape, BroadcastStrides(c.shape(), shape));
    for (size_t i = 0; i < out.size(); ++i) out[i] += beta * full.As<double>()[i];
  }
  return {y.Cast(dtype)};
}

constexpr Operator kOperators[] = {{"Gemm", 7, Gemm}, {"MatMul", 1, MatMul}};

}  // namespace

Tensor MatrixProduct(const Call& call, const Tensor& a, const Tensor& b) {
  Shape left = a.shape(), right = b.shape();
  if (left.empty() || right.empty()) call.Fail("a scalar does not multiply");
  const bool row = left.size() == 1, column = right.size() == 1;
  if (row) left.insert(left.begin(), 1);
  if (column) right.push_back(1);
  const int64_t rows = left[left.size() - 2], inner = left.back(), cols = right.back();
  if (right[right.size() - 2] != inner) {
    call.Fail(fmt::format("{} and {} do not multiply", ShapeText(a.shape()), ShapeText(b.shape())));
  }
  const Shape left_batch(left.begin(), left.end() - 2), right_batch(right.begin(), right.end() - 2);
  const Shape batch = BroadcastShapes(call.node, left_batch, right_batch);
  Shape shape = batch;
  shape.insert(shape.end(), {rows, cols});
  Tensor y = NewDoubles(shape);
  const auto* x = static_cast<const double*>(a.data());
  const auto* w = static_cast<const double*>(b.data());
  auto* out = static_cast<double*>(y.data());
  Walk walk(batch, {BroadcastStrides(left_batch, batch), BroadcastStrides(right_batch, batch)});
  for (int64_t n = 0, count = ElementCount(batch); n < count; ++n, walk.Next()) {
    const double* l = x + walk.offset(0) * rows * inner;
    const double* r = w + walk.offset(1) * inner * cols;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < inner; ++k) sum += l[i * inner + k] * r[k * cols + j];
        *out++ = sum;
      }
    }
  }
  if (column) shape.pop_back();
  if (row) shape.erase(shape.begin() + static_cast<ptrdiff_t>(batch.size()));
  return y.Reshaped(shape);
}

std::span<const Operator> MatMulOperators() { return kOperators; }

}  // namespace strop::model::reference
