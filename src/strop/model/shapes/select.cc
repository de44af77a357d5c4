#include <algorithm>

#include "strop/model/dims.h"
#include "strop/model/shapes/rule.h"

// Operators whose answer's size hangs on a number or on the values, and those of which only the type is
// known.
namespace strop::model::shapes {
namespace {

void TopK(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  std::optional<Dims> dims = x->dims;
  if (dims) {
    const int64_t axis = NormalAxis(call.node, call.node.Int("axis", -1), static_cast<int64_t>(dims->size()));
    const auto k = call.opset < 10 ? std::vector<int64_t>{call.node.Int("k", -1)} : call.Ints(1);
    (*dims)[static_cast<size_t>(axis)] = k && k->size() == 1 ? Dim{(*k)[0], {}} : Dim{};
  }
  call.Out(0, x->dtype, dims);
  call.Out(1, DType::kI64, dims);
}

void Det(Call& call) {
  const Type* x = call.In(0);
  if (!x) return;
  std::optional<Dims> dims = x->dims;
  if (dims && dims->size() < 2) ThrowNode(call.node, "the input is no matrix");
  if (dims) dims->resize(dims->size() - 2);
  call.Out(0, x->dtype, dims);
}

void TfIdf(Call& call) {
  const std::vector<int64_t> columns = call.node.Ints("ngram_indexes");
  const Dims* x = call.DimsOf(0);
  if (!x || columns.empty()) return call.Out(0, DType::kF32, std::nullopt);
  const Dim width{*std::max_element(columns.begin(), columns.end()) + 1, {}};
  call.Out(0, DType::kF32, x->size() == 2 ? Dims{(*x)[0], width} : Dims{width});
}

void NonZero(Call& call) {
  const Dims* x = call.DimsOf(0);
  call.Out(0, DType::kI64, Dims{x ? Dim{static_cast<int64_t>(x->size()), {}} : Dim{}, Dim{}});
}

void NonMaxSuppression(Call& call) { call.Out(0, DType::kI64, Dims{Dim{}, {3, {}}}); }

template <size_t input>
void TypeOfInput(Call& call) {
  if (const Type* x = call.In(input)) call.Out(0, x->dtype, std::nullopt);
}

constexpr Rule kRules[] = {
    {"AffineGrid", TypeOfInput<0>},
    {"Compress", TypeOfInput<0>},
    {"DFT", TypeOfInput<0>},
    {"Det", Det},
    {"Einsum", TypeOfInput<0>},
    {"GatherND", TypeOfInput<0>},
    {"NonMaxSuppression", NonMaxSuppression},
    {"NonZero", NonZero},
    {"OneHot", TypeOfInput<2>},
    {"RoiAlign", TypeOfInput<0>},
    {"STFT", TypeOfInput<0>},
    {"TfIdfVectorizer", TfIdf},
    {"TopK", TopK},
    {"Upsample", TypeOfInput<0>},
};

}  // namespace

std::span<const Rule> SelectRules() { return kRules; }

}  // namespace strop::model::shapes
