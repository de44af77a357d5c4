#include "strop/engine/layers/attention_step.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::engine {
namespace {

constexpr int64_t kScores = 1 << 13;  // floats of a block of scores: 32 KiB

}  // namespace

AttentionStep::AttentionStep(const LayerBuild& build, const AttentionLayer& layer)
    : layer_(layer),
      elementwise_(PickElementwise(Limit(Cpu(), build.isa))),
      softmax_(PickSoftmax(Limit(Cpu(), build.isa))),
      pool_(build.pool) {
  inputs = {layer.query.value, layer.key.value, layer.value.value};
  if (!layer.mask.empty()) inputs.push_back(layer.mask);
  outputs = {layer.output};
  Describe(plan, build.graph, layer.nodes, layer.softmax);
}

void AttentionStep::Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) {
  const Sizes sizes = Check(in);
  Fit(out[0], layer_.bytes ? layer_.bytes->dtype : DType::kF32,
      {sizes.batch, sizes.queries, layer_.heads * layer_.value_depth});
  auto& memory = static_cast<Memory&>(state);
  const int64_t heads = sizes.batch * layer_.heads, parts = std::min<int64_t>(pool_.threads(), heads);
  const int64_t each = ScratchBytes(sizes);
  if (!memory.scratch || memory.scratch.size() < parts * each)
    memory.scratch = Tensor::New(DType::kU8, {parts * each});
  pool_.Run(parts, [&](int64_t part) {
    std::byte* const scratch = static_cast<std::byte*>(memory.scratch.data()) + part * each;
    for (int64_t head = heads * part / parts; head < heads * (part + 1) / parts; ++head)
      RunHead(sizes, HeadOf(sizes, head, in, out[0]), scratch);
  });
}

AttentionStep::Sizes AttentionStep::Check(std::span<const Tensor> in) const {
  const Shape &q = in[0].shape(), &k = in[1].shape(), &v = in[2].shape();
  const bool fits = q.size() == 3 && k.size() == 3 && v.size() == 3 && q[0] == k[0] && k[0] == v[0] &&
                    k[1] == v[1] && q[2] == layer_.heads * layer_.depth && k[2] == q[2] &&
                    v[2] == layer_.heads * layer_.value_depth;
  if (!fits)
    throw Error(Code::kInvalidArgument,
                fmt::format("node {}: query {}, key {} and value {} do not fit {} heads", plan.layer,
                            ShapeText(q), ShapeText(k), ShapeText(v), layer_.heads));
  if (k[1] > MostKeys())
    throw Error(Code::kUnsupported, fmt::format("node {}: {} keys, of at most {} whose shares are bytes",
                                                plan.layer, k[1], MostKeys()));
  if (in.size() == 3) return {q[0], q[1], k[1], 1, 1};
  return {q[0], q[1], k[1], in[3].shape()[0], in[3].shape()[2]};
}

AttentionStep::Head AttentionStep::HeadOf(const Sizes& sizes, int64_t index, std::span<const Tensor> in,
                                          const Tensor& out) const noexcept {
  const int64_t batch = index / layer_.heads, head = index % layer_.heads;
  const auto at = [&](const Tensor& tensor, int64_t places, int64_t depth) {
    const int64_t element = (batch * places * layer_.heads + head) * depth;
    return static_cast<std::byte*>(const_cast<void*>(tensor.data())) +
           element * static_cast<int64_t>(SizeOf(tensor.dtype()));
  };
  const int64_t stride = layer_.heads * layer_.depth, value_stride = layer_.heads * layer_.value_depth;
  Head found{{at(in[0], sizes.queries, layer_.depth), stride},
             {at(in[1], sizes.keys, layer_.depth), stride},
             {at(in[2], sizes.keys, layer_.value_depth), value_stride},
             nullptr,
             at(out, sizes.queries, layer_.value_depth)};
  if (in.size() > 3)
    found.mask = static_cast<const float*>(in[3].data()) +
                 (sizes.mask_batch == 1 ? 0 : batch) * sizes.mask_rows * sizes.keys;
  return found;
}

int64_t AttentionStep::BlockRows(const Sizes& sizes, int64_t unit) noexcept {
  return std::max<int64_t>(1, kScores / std::max<int64_t>(sizes.keys, 1) / unit) * unit;
}

void AttentionStep::Share(const Sizes& sizes, const Head& head, int64_t row, int64_t rows, float* scores,
                          uint8_t* bytes) const noexcept {
  SoftmaxArgs args;
  args.rows = rows;
  args.n = args.ldx = args.ldy = sizes.keys;
  args.x = args.y = scores;
  args.scale = layer_.scale;
  args.mask = head.mask;
  if (layer_.shares) {
    args.bytes = bytes;
    args.ldb = sizes.keys;
    args.bytes_scale = layer_.shares->scale;
    args.bytes_zero = layer_.shares->zero;
    args.bytes_signed = layer_.shares->dtype == DType::kI8;
  }
  if (head.mask == nullptr || sizes.mask_rows == 1) return softmax_.run(args);
  args.rows = 1;  // a row of the mask for each
  args.mask += row * sizes.keys;
  for (int64_t i = 0; i < rows; ++i) {
    softmax_.run(args);
    args.x = args.y += sizes.keys;
    args.mask += sizes.keys;
    if (args.bytes != nullptr) args.bytes += sizes.keys;
  }
}

void AttentionStep::Answer(const Head& head, int64_t row, float* numbers, float more) const noexcept {
  const int64_t n = layer_.value_depth, at = row * layer_.heads * n;
  if (!layer_.bytes) {
    float* const out = reinterpret_cast<float*>(head.answer) + at;
    return elementwise_.binary_scalar(BinaryOp::kAdd, numbers, more, out, n);
  }
  if (more != 0) elementwise_.binary_scalar(BinaryOp::kAdd, numbers, more, numbers, n);
  elementwise_.quantize(numbers, layer_.bytes->scale, layer_.bytes->zero, layer_.bytes->dtype == DType::kI8,
                        head.answer + at, n);
}

std::unique_ptr<Step> MakeAttentionStep(const LayerBuild& build, const AttentionLayer& layer) {
  if (auto step = MakeInt8AttentionStep(build, layer)) return step;
  return MakeFloatAttentionStep(build, layer);
}

}  // namespace strop::engine
