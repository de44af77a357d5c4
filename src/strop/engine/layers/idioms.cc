#include "strop/engine/layers/idioms.h"

#include <algorithm>
#include <cmath>

namespace strop::engine {
namespace {

using model::Node;

// Walks an idiom's nodes. A step that does not fit leaves the walk failed, and all behind it empty.
class Walk {
 public:
  explicit Walk(const Search& search) : search_(search) {}

  bool fits() const { return fits_; }
  void Require(bool fits) { fits_ = fits_ && fits; }

  // Over a free node of the operator that reads the value; what it answers.
  std::string Over(size_t node, const char* op) {
    Require(node != kNoNode && search_.Is(node, op) && search_.node(node).outputs.size() == 1);
    if (!fits_) return {};
    nodes_.push_back(node);
    return search_.node(node).outputs[0];
  }
  // Over the only reader of a value that is not kept.
  std::string Over(const std::string& value, const char* op) {
    return Over(fits_ ? search_.OnlyConsumer(value) : kNoNode, op);
  }
  // The same of a sum or a product by a float32 constant of one element.
  std::string OverScalar(const std::string& value, const char* op, float* scalar) {
    std::string answer = Over(value, op);
    if (!fits_) return {};
    const std::optional<float> found = search_.Scalar(Other(value));
    Require(found.has_value());
    if (found) *scalar = *found;
    return answer;
  }
  // The operand of the last node that is not the value.
  std::string Other(const std::string& value) const {
    if (!fits_) return {};
    const std::vector<std::string>& inputs = search_.node(nodes_.back()).inputs;
    return inputs.size() != 2 ? std::string() : inputs[0] == value ? inputs[1] : inputs[0];
  }

  const std::string& OfLast(size_t input) const { return search_.node(nodes_.back()).inputs[input]; }

  // Unless a constant has more dimensions than the input, which the output then has too.
  std::optional<Idiom> Found(const std::string& input, const std::string& output) {
    if (!fits_) return std::nullopt;
    const model::ValueInfo *const from = search_.Value(input), *const to = search_.Value(output);
    if (from == nullptr || to == nullptr || !from->has_shape || !to->has_shape ||
        from->shape.size() != to->shape.size())
      return std::nullopt;
    std::sort(nodes_.begin(), nodes_.end());
    return Idiom{nodes_, input, output, {}, {}, 0};
  }

 private:
  const Search& search_;
  bool fits_ = true;
  std::vector<size_t> nodes_;
};

bool Near(float found, double wanted) {
  return std::abs(static_cast<double>(found) - wanted) <= 1e-5 * wanted;
}

// Whether the node makes x · wanted, or x / (1 / wanted), of a constant.
bool Scales(const Search& search, size_t index, const std::string& x, double wanted) {
  const Node& node = search.node(index);
  if (node.inputs.size() != 2) return false;
  const bool product = search.Is(index, "Mul"), quotient = search.Is(index, "Div") && node.inputs[0] == x;
  const std::optional<float> scalar = search.Scalar(node.inputs[0] == x ? node.inputs[1] : node.inputs[0]);
  return scalar && ((product && Near(*scalar, wanted)) || (quotient && Near(*scalar, 1 / wanted)));
}

// The one reader of x that scales it so; kNoNode: none, or several.
size_t Scaler(const Search& search, const std::string& x, double wanted) {
  size_t found = kNoNode;
  for (const size_t reader : search.Consumers(x)) {
    if (!Scales(search, reader, x, wanted)) continue;
    if (found != kNoNode) return kNoNode;
    found = reader;
  }
  return found;
}

std::optional<Idiom> GeluOf(const Search& search, const std::string& x) {
  const size_t scaler = Scaler(search, x, std::sqrt(0.5)), halver = Scaler(search, x, 0.5);
  if (scaler == kNoNode) return std::nullopt;
  Walk walk(search);
  const std::string inner = walk.Over(scaler, search.node(scaler).op.c_str());
  float one = 0;
  const std::string sum = walk.OverScalar(walk.Over(inner, "Erf"), "Add", &one);
  walk.Require(one == 1);
  std::string answer = walk.Over(sum, "Mul");
  const std::string other = walk.Other(sum);
  if (other == x) {  // halved behind the product
    const size_t last = walk.fits() ? search.OnlyConsumer(answer) : kNoNode;
    walk.Require(last != kNoNode && Scales(search, last, answer, 0.5));
    if (walk.fits()) answer = walk.Over(last, search.node(last).op.c_str());
  } else if (halver != kNoNode) {
    const std::string half = walk.Over(halver, search.node(halver).op.c_str());
    walk.Require(half == other && search.OnlyConsumer(half) != kNoNode);
  } else {  // the other factor halved
    walk.Require(false);
  }
  return walk.Found(x, answer);
}

// Whether the ReduceMean goes over the last dimension alone, and keeps it as one of size 1.
bool IsOverRows(const Search& search, size_t index, size_t rank) {
  const Node& node = search.node(index);
  if (node.Int("keepdims", 1) == 0) return false;
  std::vector<int64_t> axes = node.Ints("axes");
  if (node.inputs.size() > 1 && !node.inputs[1].empty()) {
    const Tensor* const given = search.Constant(node.inputs[1]);
    if (given == nullptr || given->dtype() != DType::kI64) return false;
    axes.assign(given->As<int64_t>().begin(), given->As<int64_t>().end());
  }
  return axes.size() == 1 && (axes[0] == -1 || axes[0] == static_cast<int64_t>(rank) - 1);
}

// The two readers of what is centred: its square, as Pow or Mul, and its division; nothing: others read it.
struct Centred {
  size_t square, quotient;
};
std::optional<Centred> ReadersOfCentred(const Search& search, const std::string& centred) {
  if (search.IsKept(centred)) return std::nullopt;
  Centred found{kNoNode, kNoNode};
  for (const size_t reader : search.Consumers(centred)) {  // a Mul reads it twice
    size_t& place = search.Is(reader, "Div") ? found.quotient : found.square;
    if (place != kNoNode && place != reader) return std::nullopt;
    place = reader;
  }
  if (found.square == kNoNode || found.quotient == kNoNode) return std::nullopt;
  const std::vector<std::string>& factors = search.node(found.square).inputs;
  const bool power = search.Is(found.square, "Pow") && search.Scalar(factors[1]) == 2.0f;
  const bool product = search.Is(found.square, "Mul") && factors[1] == centred;
  const bool divides = search.node(found.quotient).inputs[0] == centred;
  if (factors[0] != centred || !(power || product) || !divides) return std::nullopt;
  return found;
}

// Whether the value is a constant of a row's n elements, of no more dimensions than `rank`.
bool IsRow(const Search& search, const std::string& value, int64_t n, size_t rank) {
  const Tensor* const tensor = search.FloatConstant(value);
  return tensor != nullptr && tensor->size() == n && tensor->shape().size() <= rank &&
         tensor->shape().back() == n;
}

// The sum with a row behind the product by gamma, where there is one, is the norm's too.
void TakeBeta(const Search& search, int64_t n, size_t rank, Idiom& norm) {
  const size_t next = search.Next(norm.output, "Add");
  if (next == kNoNode) return;
  const std::vector<std::string>& terms = search.node(next).inputs;
  const std::string& other = terms[0] == norm.output ? terms[1] : terms[0];
  if (!IsRow(search, other, n, rank)) return;
  norm.nodes.insert(std::upper_bound(norm.nodes.begin(), norm.nodes.end(), next), next);
  norm.beta = other;
  norm.output = search.node(next).outputs[0];
}

}  // namespace

std::optional<Idiom> FindGelu(const Search& search, size_t node) {
  if (!search.Is(node, "Mul") && !search.Is(node, "Div")) return std::nullopt;
  for (const std::string& x : search.node(node).inputs) {
    if (search.Constant(x) != nullptr) continue;
    std::optional<Idiom> found = GeluOf(search, x);
    if (found && std::binary_search(found->nodes.begin(), found->nodes.end(), node)) return found;
  }
  return std::nullopt;
}

std::optional<Idiom> FindLayerNorm(const Search& search, size_t node) {
  if (!search.Is(node, "ReduceMean")) return std::nullopt;
  const std::string& x = search.node(node).inputs[0];
  const model::ValueInfo* const info = search.Value(x);
  if (info == nullptr || !info->has_shape || info->shape.empty() || info->shape.back() <= 0)
    return std::nullopt;
  const size_t rank = info->shape.size();
  const int64_t n = info->shape.back();

  Walk walk(search);
  walk.Require(IsOverRows(search, node, rank));
  const std::string centred = walk.Over(walk.Over(node, "ReduceMean"), "Sub");
  if (!walk.fits() || walk.OfLast(0) != x) return std::nullopt;
  const std::optional<Centred> readers = ReadersOfCentred(search, centred);
  if (!readers) return std::nullopt;
  const std::string squares = walk.Over(readers->square, search.node(readers->square).op.c_str());
  const size_t reduction = search.OnlyConsumer(squares);
  const std::string variance = walk.Over(reduction, "ReduceMean");
  walk.Require(walk.fits() && IsOverRows(search, reduction, rank));
  float epsilon = 0;
  const std::string deviation = walk.Over(walk.OverScalar(variance, "Add", &epsilon), "Sqrt");
  walk.Require(walk.fits() && search.OnlyConsumer(deviation) == readers->quotient && epsilon >= 0);
  const std::string normal = walk.Over(readers->quotient, "Div");
  const std::string scaled = walk.Over(normal, "Mul"), gamma = walk.Other(normal);
  walk.Require(walk.fits() && IsRow(search, gamma, n, rank));
  std::optional<Idiom> found = walk.Found(x, scaled);
  if (!found) return std::nullopt;
  found->gamma = gamma;
  found->epsilon = epsilon;
  TakeBeta(search, n, rank, *found);
  return found;
}

}  // namespace strop::engine
