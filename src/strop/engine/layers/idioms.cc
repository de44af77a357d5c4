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
  if (!IsOverRows(search, node, rank)) return std::nullopt;

  Walk walk(search);
  const std::string mean = walk.Over(node, "ReduceMean");
  const std::string centred = walk.Over(mean, "Sub");
  if (!walk.fits() || walk.OfLast(0) != x || search.IsKept(centred)) return std::nullopt;
  // The square and the quotient read what is centred.
  size_t square = kNoNode, quotient = kNoNode;
  for (const size_t reader : search.Consumers(centred)) {
    if (search.Is(reader, "Div")) {
      walk.Require(quotient == kNoNode && search.node(reader).inputs[0] == centred);
      quotient = reader;
    } else {
      walk.Require(square == kNoNode || square == reader);
      square = reader;
    }
  }
  if (!walk.fits() || square == kNoNode || quotient == kNoNode) return std::nullopt;
  const std::vector<std::string>& factors = search.node(square).inputs;
  const bool power = search.Is(square, "Pow") && factors[0] == centred && search.Scalar(factors[1]) == 2.0f;
  const bool product = search.Is(square, "Mul") && factors[0] == centred && factors[1] == centred;
  walk.Require(power || product);
  const std::string squares = walk.Over(square, power ? "Pow" : "Mul");
  const size_t reduction = walk.fits() ? search.OnlyConsumer(squares) : kNoNode;
  const std::string variance = walk.Over(reduction, "ReduceMean");
  walk.Require(walk.fits() && IsOverRows(search, reduction, rank));
  float epsilon = 0;
  const std::string deviation = walk.Over(walk.OverScalar(variance, "Add", &epsilon), "Sqrt");
  walk.Require(walk.fits() && search.OnlyConsumer(deviation) == quotient && epsilon >= 0);
  const std::string normal = walk.Over(quotient, "Div");

  const auto row = [&](const std::string& value) {
    const Tensor* const tensor = search.FloatConstant(value);
    return tensor != nullptr && tensor->size() == n && tensor->shape().size() <= rank &&
           tensor->shape().back() == n;
  };
  std::string answer = walk.Over(normal, "Mul");
  const std::string gamma = walk.Other(normal);
  walk.Require(walk.fits() && row(gamma));
  std::optional<Idiom> found = walk.Found(x, answer);
  if (!found) return std::nullopt;
  found->gamma = gamma;
  found->epsilon = epsilon;
  const std::string beta = [&]() -> std::string {
    const size_t next = search.Next(answer, "Add");
    if (next == kNoNode) return {};
    const std::vector<std::string>& terms = search.node(next).inputs;
    const std::string& other = terms[0] == answer ? terms[1] : terms[0];
    if (!row(other)) return {};
    found->nodes.insert(std::upper_bound(found->nodes.begin(), found->nodes.end(), next), next);
    found->output = search.node(next).outputs[0];
    return other;
  }();
  found->beta = beta;
  return found;
}

}  // namespace strop::engine
