#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/onnx_types.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

namespace strop::model::reference {
namespace {

constexpr double kMasked = -std::numeric_limits<double>::infinity();

// [batch, heads, length, width]; three axes are [batch, length, heads * width].
Tensor Heads(const Call& call, const Tensor& x, const char* attribute) {
  const Shape& shape = x.shape();
  if (shape.size() == 4) return x;
  const int64_t heads = call.node.Int(attribute, 0);
  if (shape.size() != 3 || heads < 1 || shape[2] % heads != 0)
    call.Fail(fmt::format("{} does not hold {} heads", ShapeText(shape), heads));
  const int64_t width = shape[2] / heads;
  return CopyWalk(x, {shape[0], heads, shape[1], width}, {shape[1] * shape[2], width, shape[2], 1});
}

// The cache, then what is new, along the length.
Tensor Joined(const Call& call, const Tensor* past, const Tensor& now) {
  if (past == nullptr) return now;
  Shape shape = now.shape();
  Shape fits = past->shape();
  if (fits.size() == 4) fits[2] = shape[2];
  if (fits != shape)
    call.Fail(fmt::format("the cache {} does not suit {}", ShapeText(past->shape()), ShapeText(shape)));
  const int64_t before = past->shape()[2];
  shape[2] += before;
  const Tensor y = Tensor::New(now.dtype(), shape);
  const size_t element = SizeOf(now.dtype());
  auto* out = static_cast<char*>(y.data());
  for (int64_t head = 0; head < shape[0] * shape[1]; ++head) {
    for (const auto& [x, length] : {std::pair(past, before), std::pair(&now, shape[2] - before)}) {
      const size_t bytes = static_cast<size_t>(length * shape[3]) * element;
      std::memcpy(out, static_cast<const char*>(x->data()) + static_cast<size_t>(head) * bytes, bytes);
      out += bytes;
    }
  }
  return y;
}

struct Sizes {
  int64_t batch, heads, queries, keys, width, value_width, group;  // `group` query heads read one of the keys

  // The head of the keys that head `head` of all batches reads.
  int64_t KeyHead(int64_t head) const { return head / heads * (heads / group) + head % heads / group; }
};

// What is added to the scores, spread over [batch, heads, queries, keys].
Tensor Bias(const Call& call, const Sizes& sizes) {
  const Shape shape = {sizes.batch, sizes.heads, sizes.queries, sizes.keys};
  const Tensor bias = NewDoubles(shape);
  std::ranges::fill(bias.As<double>(), 0.0);
  if (!call.Has(3)) return bias;
  Tensor mask = Doubles(call.In(3)).Clone();
  if (call.In(3).dtype() == DType::kBool)
    for (double& value : mask.As<double>()) value = value != 0 ? 0 : kMasked;
  // A mask shorter than the keys masks the rest.
  Shape whole = mask.shape();
  if (whole.empty()) call.Fail("the mask is a scalar");
  const int64_t given = whole.back();
  whole.back() = sizes.keys;
  if (given > sizes.keys || BroadcastShapes(call.node, whole, shape) != shape)
    call.Fail(fmt::format("the mask {} does not suit {}", ShapeText(mask.shape()), ShapeText(shape)));
  std::vector<int64_t> strides = BroadcastStrides(whole, shape);
  for (size_t axis = 0; axis + 1 < strides.size(); ++axis)
    strides[axis] = strides[axis] / std::max<int64_t>(1, sizes.keys) * given;
  strides.back() = 1;
  Walk walk(shape, {strides});
  for (double& value : bias.As<double>()) {
    value = walk.index()[3] < given ? mask.As<double>()[static_cast<size_t>(walk.offset(0))] : kMasked;
    walk.Next();
  }
  return bias;
}

// Masks what is_causal, the window and the padding keep a query from. A query at place i of its block stands
// at i + offset among the keys, the offset being the length of the cache.
void MaskPlaces(const Call& call, const Sizes& sizes, const Tensor& bias) {
  const bool causal = call.node.Int("is_causal", 0) != 0;
  const int64_t left = call.node.Int("left_window_size", -1), right = call.node.Int("right_window_size", -1);
  if (left < -1 || right < -1) call.Fail("a window size is less than -1");
  if (call.Has(4) != call.Has(5)) call.Fail("past_key and past_value belong together");
  if (call.Has(6) && call.Has(4)) call.Fail("nonpad_kv_seqlen is for a cache outside of the operator");
  std::vector<int64_t> lengths;
  if (call.Has(6)) {
    lengths = call.Ints(6);
    if (static_cast<int64_t>(lengths.size()) != sizes.batch)
      call.Fail("nonpad_kv_seqlen is one number a batch");
  }
  Walk walk({sizes.batch, sizes.heads, sizes.queries, sizes.keys}, {});
  for (double& value : bias.As<double>()) {
    const auto batch = static_cast<size_t>(walk.index()[0]);
    const int64_t query = walk.index()[2], key = walk.index()[3];
    const int64_t offset =
        !lengths.empty() ? lengths[batch] - sizes.queries : (call.Has(4) ? call.In(4).shape()[2] : 0);
    const int64_t behind = query + offset - key;
    const bool masked = (causal && behind < 0) || (left >= 0 && behind > left) ||
                        (right >= 0 && -behind > right) || (!lengths.empty() && key >= lengths[batch]);
    if (masked) value = kMasked;
    walk.Next();
  }
}

// Of a row whose bias is -inf throughout: zeros.
void SoftmaxRow(std::span<double> row, std::span<const double> bias) {
  const bool masked = std::all_of(bias.begin(), bias.end(), [](double value) { return value == kMasked; });
  const double top = masked ? 0 : *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (double& value : row) sum += value = masked ? 0 : std::exp(value - top);
  for (double& value : row) value = sum == 0 ? 0 : value / sum;
}

// a [.., rows, inner] · b [.., inner, columns], b's elements by strides.
double Dot(const double* a, const double* b, int64_t count, int64_t step) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i * step];
  return sum;
}

Tensor Scores(const Call& call, const Sizes& sizes, const Tensor& q, const Tensor& k) {
  const Tensor scores = NewDoubles({sizes.batch, sizes.heads, sizes.queries, sizes.keys});
  const double scale =
      call.node.Float("scale", static_cast<float>(1 / std::sqrt(static_cast<double>(sizes.width))));
  const double softcap = call.node.Float("softcap", 0);
  auto* out = scores.As<double>().data();
  for (int64_t head = 0; head < sizes.batch * sizes.heads; ++head) {
    const int64_t key_head = sizes.KeyHead(head);
    for (int64_t query = 0; query < sizes.queries; ++query) {
      for (int64_t key = 0; key < sizes.keys; ++key) {
        *out++ =
            scale * Dot(q.As<double>().data() + (head * sizes.queries + query) * sizes.width,
                        k.As<double>().data() + (key_head * sizes.keys + key) * sizes.width, sizes.width, 1);
      }
    }
  }
  if (softcap > 0)
    for (double& value : scores.As<double>()) value = softcap * std::tanh(value / softcap);
  return scores;
}

Tensor Weighted(const Sizes& sizes, const Tensor& weights, const Tensor& v) {
  const Tensor y = NewDoubles({sizes.batch, sizes.heads, sizes.queries, sizes.value_width});
  auto* out = y.As<double>().data();
  for (int64_t head = 0; head < sizes.batch * sizes.heads; ++head) {
    const int64_t key_head = sizes.KeyHead(head);
    for (int64_t query = 0; query < sizes.queries; ++query) {
      for (int64_t at = 0; at < sizes.value_width; ++at) {
        *out++ = Dot(weights.As<double>().data() + (head * sizes.queries + query) * sizes.keys,
                     v.As<double>().data() + key_head * sizes.keys * sizes.value_width + at, sizes.keys,
                     sizes.value_width);
      }
    }
  }
  return y;
}

Sizes SizesOf(const Call& call, const Tensor& q, const Tensor& k, const Tensor& v) {
  const Shape &a = q.shape(), &b = k.shape(), &c = v.shape();
  const Sizes sizes{a[0], a[1], a[2], b[2], a[3], c[3], b[1] == 0 ? 0 : a[1] / b[1]};
  if (b[0] != a[0] || c[0] != a[0] || c[1] != b[1] || c[2] != b[2] || b[3] != a[3] || sizes.group < 1 ||
      a[1] != sizes.group * b[1])
    call.Fail(fmt::format("queries {}, keys {} and values {} do not belong together", ShapeText(a),
                          ShapeText(b), ShapeText(c)));
  return sizes;
}

Results Attention(const Call& call) {
  const DType dtype = call.In(0).dtype();
  if (!IsFloat(dtype)) call.Refuse(fmt::format("the type {}", DTypeName(dtype)));
  const int64_t mode = call.node.Int("qk_matmul_output_mode", 0);
  const Tensor q = Heads(call, call.In(0), "q_num_heads");
  const Tensor keys = Joined(call, call.Optional(4), Heads(call, call.In(1), "kv_num_heads"));
  const Tensor values = Joined(call, call.Optional(5), Heads(call, call.In(2), "kv_num_heads"));
  const Sizes sizes = SizesOf(call, q, keys, values);
  const Tensor scores = Scores(call, sizes, Doubles(q), Doubles(keys));
  const Tensor bias = Bias(call, sizes);
  MaskPlaces(call, sizes, bias);
  Tensor shown = mode == 0 || mode == 1 ? scores.Clone() : Tensor();
  for (size_t i = 0; i < scores.As<double>().size(); ++i) scores.As<double>()[i] += bias.As<double>()[i];
  if (mode == 2) shown = scores.Clone();
  const auto row = static_cast<size_t>(sizes.keys);
  for (size_t begin = 0; row > 0 && begin < scores.As<double>().size(); begin += row)
    SoftmaxRow(scores.As<double>().subspan(begin, row), bias.As<double>().subspan(begin, row));
  if (mode == 3) shown = scores.Clone();
  if (!shown) call.Fail(fmt::format("qk_matmul_output_mode is {}", mode));
  Tensor y = Weighted(sizes, scores, Doubles(values));
  if (call.In(0).shape().size() == 3) {
    const int64_t width = sizes.value_width, length = sizes.queries, heads = sizes.heads;
    y = CopyWalk(y, {sizes.batch, length, heads, width}, {heads * length * width, width, length * width, 1})
            .Reshaped({sizes.batch, length, heads * width});
  }
  return {y.Cast(dtype), keys, values, shown.Cast(dtype)};
}

constexpr Operator kOperators[] = {{"Attention", 23, Attention}};

}  // namespace

std::span<const Operator> AttentionOperators() { return kOperators; }

}  // namespace strop::model::reference
