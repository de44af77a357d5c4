#include "strop/model/shapes/rule.h"

// Attention and the layers of recurrent language models.
namespace strop::model::shapes {
namespace {

Dim Divided(const Dim& dim, int64_t by) {
  return dim.known() && by > 0 && dim.size % by == 0 ? Dim{dim.size / by, {}} : Dim{};
}

Dim Sum(const Dim& a, const Dim& b) { return a.known() && b.known() ? Dim{a.size + b.size, {}} : Dim{}; }

// As [batch, heads, length, width].
std::optional<Dims> Heads(const Call& call, size_t input, const char* attribute) {
  const Dims* dims = call.DimsOf(input);
  if (!dims || (dims->size() != 3 && dims->size() != 4)) return std::nullopt;
  if (dims->size() == 4) return *dims;
  const int64_t heads = call.node.Int(attribute, 0);
  return Dims{(*dims)[0], {heads > 0 ? heads : -1, {}}, (*dims)[1], Divided((*dims)[2], heads)};
}

std::optional<Dims> Joined(const Call& call, size_t past, std::optional<Dims> now) {
  if (!now || !call.Given(past)) return now;
  const Dims* before = call.DimsOf(past);
  (*now)[2] = before && before->size() == 4 ? Sum((*before)[2], (*now)[2]) : Dim{};
  return now;
}

void Attention(Call& call) {
  const Type* q = call.In(0);
  const Type *k = call.In(1), *v = call.In(2);
  if (!q || !k || !v) return;
  const std::optional<Dims> queries = Heads(call, 0, "q_num_heads");
  const std::optional<Dims> keys = Joined(call, 4, Heads(call, 1, "kv_num_heads"));
  const std::optional<Dims> values = Joined(call, 5, Heads(call, 2, "kv_num_heads"));
  call.Out(1, k->dtype, keys);
  call.Out(2, v->dtype, values);
  if (!queries || !keys || !values) {
    call.Out(0, q->dtype, std::nullopt);
    return call.Out(3, q->dtype, std::nullopt);
  }
  const Dim &heads = (*queries)[1], &width = (*values)[3];
  const Dim joined = heads.known() && width.known() ? Dim{heads.size * width.size, {}} : Dim{};
  call.Out(0, q->dtype,
           q->dims->size() == 3 ? Dims{(*queries)[0], (*queries)[2], joined}
                                : Dims{(*queries)[0], heads, (*queries)[2], width});
  call.Out(3, q->dtype, Dims{(*queries)[0], heads, (*queries)[2], (*keys)[2]});
}

void LinearAttention(Call& call) {
  const Type *q = call.In(0), *v = call.In(2);
  if (!q || !v) return;
  const DType state = call.In(3) ? call.In(3)->dtype : q->dtype;
  const std::optional<Dims> queries = Heads(call, 0, "q_num_heads"), values = Heads(call, 2, "kv_num_heads");
  if (!queries || !values) {
    call.Out(0, q->dtype, std::nullopt);
    return call.Out(1, state, std::nullopt);
  }
  const Dim &heads = (*queries)[1], &width = (*values)[3];
  const Dim joined = heads.known() && width.known() ? Dim{heads.size * width.size, {}} : Dim{};
  call.Out(0, q->dtype, Dims{(*queries)[0], (*queries)[2], joined});
  call.Out(1, state, Dims{(*queries)[0], (*values)[1], (*queries)[3], width});
}

void CausalConvWithState(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  call.Out(0, x->dtype, x->dims);
  const Dims* w = call.DimsOf(1);
  if (!x->dims || x->dims->size() != 3 || !w || w->size() != 3) return call.Out(1, x->dtype, std::nullopt);
  const Dim kernel = (*w)[2];
  const Dim kept = kernel.known() ? Dim{kernel.size - 1, {}} : Dim{};
  call.Out(1, x->dtype, Dims{(*x->dims)[0], (*x->dims)[1], kept});
}

constexpr Rule kRules[] = {
    {"Attention", Attention},
    {"CausalConvWithState", CausalConvWithState},
    {"LinearAttention", LinearAttention},
};

}  // namespace

std::span<const Rule> AttentionRules() { return kRules; }

}  // namespace strop::model::shapes
