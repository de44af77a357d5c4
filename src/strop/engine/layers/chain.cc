#include "strop/engine/layers/chain.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "strop/engine/layers/idioms.h"
#include "strop/engine/layers/search.h"
#include "strop/engine/step.h"

namespace strop::engine {
namespace {

using model::Node;
using model::ValueInfo;
using Kind = ChainOperand::Kind;

constexpr size_t kMostNodes = 64;

ChainOperand ScalarOperand(float value) { return {Kind::kScalar, 0, value, {}}; }

// Equal whatever the sizes are that are not known yet.
bool SameShape(const ValueInfo& a, const ValueInfo& b) {
  if (!a.has_shape || !b.has_shape || a.shape != b.shape) return false;
  for (size_t i = 0; i < a.shape.size(); ++i)
    if (!model::SameSize(a, i, b, i)) return false;
  return true;
}

// Whether the constant repeats over a tensor of that shape in whole rows.
bool RepeatsOver(const Shape& constant, const Shape& shape) {
  size_t ones = 0;
  while (ones < constant.size() && constant[ones] == 1) ++ones;
  const size_t rank = constant.size() - ones;
  return rank > 0 && rank <= shape.size() && constant.size() <= shape.size() &&
         std::equal(constant.begin() + static_cast<ptrdiff_t>(ones), constant.end(),
                    shape.end() - static_cast<ptrdiff_t>(rank));
}

std::optional<UnaryOp> Unary(std::string_view op) {
  static const std::map<std::string_view, UnaryOp> kOps = {
      {"Abs", UnaryOp::kAbs},         {"Ceil", UnaryOp::kCeil},   {"Erf", UnaryOp::kErf},
      {"Exp", UnaryOp::kExp},         {"Floor", UnaryOp::kFloor}, {"Log", UnaryOp::kLog},
      {"Neg", UnaryOp::kNeg},         {"Relu", UnaryOp::kRelu},   {"Reciprocal", UnaryOp::kReciprocal},
      {"Round", UnaryOp::kRound},     {"Sqrt", UnaryOp::kSqrt},   {"Tanh", UnaryOp::kTanh},
      {"Sigmoid", UnaryOp::kSigmoid},
  };
  const auto found = kOps.find(op);
  return found == kOps.end() ? std::nullopt : std::optional(found->second);
}

std::optional<BinaryOp> Binary(std::string_view op) {
  static const std::map<std::string_view, BinaryOp> kOps = {
      {"Add", BinaryOp::kAdd}, {"Div", BinaryOp::kDiv}, {"Max", BinaryOp::kMax},
      {"Min", BinaryOp::kMin}, {"Mul", BinaryOp::kMul}, {"Sub", BinaryOp::kSub},
  };
  const auto found = kOps.find(op);
  return found == kOps.end() ? std::nullopt : std::optional(found->second);
}

// A chain that grows node by node.
class Growth {
 public:
  Growth(const Search& search, const ValueInfo& shape) : search_(search), shape_(shape) {
    chain_.n = shape.shape.empty() ? 1 : shape.shape.back();
  }

  // The value, of the chain's shape, is the chain's to hide.
  void BeginAt(const std::string& value) {
    hidden_ = value;
    same_.insert(value);
    if (!search_.IsFloat(value)) return;
    chain_.inputs = {{value, std::nullopt}};
    chain_.answer = {Kind::kInput, 0, 0, {}};
    made_[value] = chain_.answer;
  }

  // The value is of the chain's shape.
  void Know(const std::string& value) { same_.insert(value); }

  // Adds the node and what follows it as far as it goes, and cuts it where nothing outside reads an inner
  // value.
  std::optional<Chain> Grow(std::set<size_t> pending) {
    std::optional<Chain> longest;
    while (!pending.empty() && chain_.nodes.size() < kMostNodes) {
      const size_t index = *pending.begin();
      pending.erase(pending.begin());
      if (Contains(index)) continue;
      const Chain before = chain_;
      if (search_.IsTaken(index) || !Add(index)) {
        chain_ = before;
        continue;
      }
      chain_.nodes.push_back(index);
      if (!chain_.quantized) made_[chain_.output] = chain_.answer;
      if (Closed() && !EndsInReturn()) longest = chain_;
      const std::vector<size_t>& readers = search_.Consumers(chain_.output);
      pending.insert(readers.begin(), readers.end());
    }
    if (longest) std::sort(longest->nodes.begin(), longest->nodes.end());
    return longest;
  }

 private:
  bool Contains(size_t node) const {
    return std::find(chain_.nodes.begin(), chain_.nodes.end(), node) != chain_.nodes.end();
  }

  // Numbers that stand behind bytes are for whatever reads the bytes to make.
  bool EndsInReturn() const {
    if (chain_.quantized) return false;
    if (chain_.instructions.empty()) return !hidden_.empty() && !search_.IsFloat(hidden_);
    return chain_.instructions.back().op == ChainOp::kBytes;
  }

  bool Closed() const {
    const auto hides = [&](const std::string& value) {
      const std::vector<size_t>& readers = search_.Consumers(value);
      return !search_.IsKept(value) &&
             std::all_of(readers.begin(), readers.end(), [&](size_t node) { return Contains(node); });
    };
    if (!hidden_.empty() && !hides(hidden_)) return false;
    // Read as two different numbers, the first input would be one from outside too.
    for (size_t i = 1; i < chain_.inputs.size(); ++i)
      if (chain_.inputs[i].value == hidden_) return false;
    return std::all_of(chain_.nodes.begin(), chain_.nodes.end(), [&](size_t node) {
      const std::string& value = search_.node(node).outputs[0];
      return value == chain_.output || hides(value);
    });
  }

  ChainOperand Emit(ChainInstruction instruction) {
    chain_.instructions.push_back(std::move(instruction));
    return {Kind::kAnswer, chain_.instructions.size() - 1, 0, {}};
  }
  ChainOperand Emit(UnaryOp op, ChainOperand a) {
    return Emit({.op = ChainOp::kUnary, .unary = op, .a = std::move(a)});
  }
  ChainOperand Emit(BinaryOp op, ChainOperand a, ChainOperand b) {
    return Emit({.op = ChainOp::kBinary, .binary = op, .a = std::move(a), .b = std::move(b)});
  }

  bool SameAsChain(const std::string& value) const {
    const ValueInfo* info = search_.Value(value);
    return info != nullptr && (same_.contains(value) || SameShape(*info, shape_));
  }

  // Whether the node's answer is of the shape of its first input.
  bool KeepsShape(const Node& node) const {
    static const std::set<std::string_view> kOps = {
        "Cast",     "Clip",      "DequantizeLinear", "Gelu",           "HardSigmoid",       "HardSwish",
        "Identity", "LeakyRelu", "Softmax",          "QuantizeLinear", "LayerNormalization"};
    if (Unary(node.op) || kOps.contains(node.op)) return true;
    const Tensor* const other = node.inputs.size() == 2 ? search_.Constant(node.inputs[1]) : nullptr;
    const ValueInfo* const own = search_.Value(node.inputs[0]);
    return Binary(node.op) && other != nullptr && other->size() == 1 && own != nullptr && own->has_shape &&
           other->shape().size() <= own->shape.size();
  }

  ChainOperand Input(const std::string& value, std::optional<Quantization> integers) {
    for (size_t i = 0; i < chain_.inputs.size(); ++i)
      if (chain_.inputs[i].value == value && chain_.inputs[i].integers == integers)
        return {Kind::kInput, i, 0, {}};
    chain_.inputs.push_back({value, integers});
    return {Kind::kInput, chain_.inputs.size() - 1, 0, {}};
  }

  // An activation of the chain's shape from outside, or bytes that stand for one.
  std::optional<ChainOperand> Activation(const std::string& value) {
    if (!SameAsChain(value) || !search_.IsFloat(value)) return std::nullopt;
    const size_t dequantizer = search_.Dequantizer(value);
    if (dequantizer == kNoNode) return Input(value, std::nullopt);
    const std::optional<ChainOperand> bytes = Bytes(dequantizer);
    if (!bytes) return Input(value, std::nullopt);
    chain_.nodes.push_back(dequantizer);
    return bytes;
  }

  std::optional<ChainOperand> Bytes(size_t dequantizer) {
    const std::string& value = search_.node(dequantizer).inputs[0];
    const std::optional<Quantization> integers = search_.Dequantization(dequantizer);
    if (!integers || search_.Constant(value) != nullptr || !SameAsChain(value) || bytes_.contains(value))
      return std::nullopt;
    return Input(value, integers);
  }

  std::optional<ChainOperand> Operand(const std::string& value) {
    if (const auto found = made_.find(value); found != made_.end()) return found->second;
    if (const std::optional<float> scalar = search_.Scalar(value)) {
      const bool widens = search_.Constant(value)->shape().size() > shape_.shape.size();
      return widens ? std::nullopt : std::optional(ScalarOperand(*scalar));
    }
    if (const Tensor* constant = search_.Constant(value)) {
      if (constant->dtype() != DType::kF32 || !RepeatsOver(constant->shape(), shape_.shape))
        return std::nullopt;
      return ChainOperand{Kind::kRows, 0, 0, value};
    }
    return Activation(value);
  }

  bool Add(size_t index) {
    const Node& node = search_.node(index);
    if (!node.domain.empty() || node.inputs.empty() || node.outputs.empty()) return false;
    if (AddIdiom(index)) return true;
    chain_.output = node.outputs[0];
    if (KeepsShape(node) && (SameAsChain(node.inputs[0]) || SameAsChain(node.outputs[0])))
      same_.insert({node.inputs[0], node.outputs[0]});
    if (!SameAsChain(node.outputs[0])) return false;
    for (size_t i = 1; i < node.outputs.size(); ++i)
      if (!node.outputs[i].empty()) return false;
    chain_.quantized.reset();
    if (node.op == "DequantizeLinear") return AddDequantizer(index);
    if (node.op == "QuantizeLinear") return AddQuantizer(index);
    if (node.op == "Cast") return AddCast(node);
    if (!search_.IsFloat(node.outputs[0])) return false;
    const std::optional<ChainOperand> a = Operand(node.inputs[0]);
    if (!a) return false;
    if (const std::optional<BinaryOp> op = Binary(node.op)) return AddBinary(node, *op, *a);
    // What a constant makes is folded elsewhere.
    if (a->kind != Kind::kInput && a->kind != Kind::kAnswer) return false;
    if (node.op == "Identity") {
      chain_.answer = *a;
      return true;
    }
    if (const std::optional<UnaryOp> op = Unary(node.op)) {
      chain_.answer = Emit(*op, *a);
      return true;
    }
    if (node.op == "Clip") {
      const std::optional<Clamp> clamp = search_.ClampOf(index);
      if (clamp)
        chain_.answer = Emit({.op = ChainOp::kClip, .a = *a, .low = clamp->low, .high = clamp->high});
      return clamp.has_value();
    }
    if (node.op == "Gelu") return AddGelu(node, *a);
    if (node.op == "HardSigmoid" || node.op == "HardSwish") return AddHard(node, *a);
    if (node.op == "LeakyRelu") {
      chain_.answer = Emit({.op = ChainOp::kLeaky, .a = *a, .low = node.Float("alpha", 0.01f)});
      return true;
    }
    return AddOfRows(node, *a);
  }

  // The nodes of an operator that the node begins, as one instruction.
  bool AddIdiom(size_t index) {
    const std::optional<Idiom> norm = FindLayerNorm(search_, index);
    const std::optional<Idiom> gelu = norm ? std::nullopt : FindGelu(search_, index);
    if (!norm && !gelu) return false;
    const Idiom& found = norm ? *norm : *gelu;
    const bool begun =
        std::any_of(found.nodes.begin(), found.nodes.end(), [&](size_t node) { return Contains(node); });
    if (begun || !SameAsChain(found.input) || !search_.IsFloat(found.input)) return false;
    if (norm && search_.Constant(norm->gamma)->size() != chain_.n) return false;
    const std::optional<ChainOperand> x = Operand(found.input);
    if (!x || (x->kind != Kind::kInput && x->kind != Kind::kAnswer)) return false;
    chain_.quantized.reset();
    chain_.answer = norm ? Emit({.op = ChainOp::kLayerNorm,
                                 .a = *x,
                                 .low = found.epsilon,
                                 .gamma = found.gamma,
                                 .beta = found.beta})
                         : Emit(UnaryOp::kGelu, *x);
    for (const size_t node : found.nodes)
      if (node != index) chain_.nodes.push_back(node);
    chain_.output = found.output;
    same_.insert(found.output);
    return true;
  }

  bool AddDequantizer(size_t index) {
    if (search_.node(index).Int("block_size", 0) != 0) return false;
    if (const auto own = bytes_.find(search_.node(index).inputs[0]); own != bytes_.end()) {
      if (search_.Dequantization(index) != own->second.second) return false;
      chain_.answer = Emit({.op = ChainOp::kBytes, .a = own->second.first, .bytes = own->second.second});
      return true;
    }
    const std::optional<ChainOperand> bytes = Bytes(index);
    if (bytes) chain_.answer = *bytes;
    return bytes.has_value();
  }

  // Bytes as numbers are those of a scale of one.
  bool AddCast(const Node& node) {
    const ValueInfo* const input = search_.Value(node.inputs[0]);
    if (input == nullptr || !IsByte(input->dtype) || !search_.IsFloat(node.outputs[0]) ||
        search_.Constant(node.inputs[0]) != nullptr || !SameAsChain(node.inputs[0]) ||
        bytes_.contains(node.inputs[0]))
      return false;
    chain_.answer = Input(node.inputs[0], Quantization{input->dtype, 1, 0});
    return true;
  }

  bool AddQuantizer(size_t index) {
    const std::optional<Quantization> into = search_.QuantizationInto(index);
    if (!into) return false;
    const std::optional<ChainOperand> a = Operand(search_.node(index).inputs[0]);
    if (!a || (a->kind != Kind::kInput && a->kind != Kind::kAnswer)) return false;
    chain_.answer = *a;
    chain_.quantized = into;
    bytes_.insert({search_.node(index).outputs[0], {*a, *into}});
    return true;
  }

  bool AddBinary(const Node& node, BinaryOp op, const ChainOperand& a) {
    if (node.inputs.size() != 2) return false;
    const std::optional<ChainOperand> b = Operand(node.inputs[1]);
    const auto constant = [](const ChainOperand& operand) {
      return operand.kind == Kind::kScalar || operand.kind == Kind::kRows;
    };
    if (!b || (constant(a) && constant(*b))) return false;
    // A division takes ten times as long as a product, and the reciprocal is off by less than a rounding.
    const bool inverts = op == BinaryOp::kDiv && b->kind == Kind::kScalar && std::isnormal(1 / b->scalar) &&
                         std::isnormal(b->scalar);
    chain_.answer = inverts ? Emit(BinaryOp::kMul, a, ScalarOperand(1 / b->scalar)) : Emit(op, a, *b);
    return true;
  }

  bool AddGelu(const Node& node, const ChainOperand& x) {
    constexpr float kRootTwoByPi = 0.7978845608f, kCubic = 0.044715f;
    if (node.Text("approximate", "none") == "none") {
      chain_.answer = Emit(UnaryOp::kGelu, x);
      return true;
    }
    const ChainOperand square = Emit(BinaryOp::kMul, x, x);
    const ChainOperand factor =
        Emit(BinaryOp::kAdd, Emit(BinaryOp::kMul, square, ScalarOperand(kCubic)), ScalarOperand(1));
    const ChainOperand cubic = Emit(BinaryOp::kMul, x, factor);
    const ChainOperand inner = Emit(UnaryOp::kTanh, Emit(BinaryOp::kMul, cubic, ScalarOperand(kRootTwoByPi)));
    const ChainOperand share = Emit(BinaryOp::kAdd, inner, ScalarOperand(1));
    chain_.answer = Emit(BinaryOp::kMul, Emit(BinaryOp::kMul, x, ScalarOperand(0.5f)), share);
    return true;
  }

  bool AddHard(const Node& node, const ChainOperand& x) {
    const bool swish = node.op == "HardSwish";
    const float alpha = swish ? 1.0f / 6 : node.Float("alpha", 0.2f), beta = node.Float("beta", 0.5f);
    const ChainOperand line =
        Emit(BinaryOp::kAdd, Emit(BinaryOp::kMul, x, ScalarOperand(alpha)), ScalarOperand(beta));
    const ChainOperand sigmoid = Emit({.op = ChainOp::kClip, .a = line, .low = 0, .high = 1});
    chain_.answer = swish ? Emit(BinaryOp::kMul, x, sigmoid) : sigmoid;
    return true;
  }

  // A vector of a row's elements; empty: none given.
  std::optional<std::string> RowVector(const Node& node, size_t input) const {
    if (node.inputs.size() <= input || node.inputs[input].empty()) return std::string();
    const Tensor* tensor = search_.FloatConstant(node.inputs[input]);
    if (tensor == nullptr || tensor->size() != chain_.n) return std::nullopt;
    return node.inputs[input];
  }

  bool AddOfRows(const Node& node, const ChainOperand& a) {
    const auto rank = static_cast<int64_t>(shape_.shape.size());
    const bool softmax = node.op == "Softmax", layer = node.op == "LayerNormalization";
    if (!softmax && !layer && node.op != "RMSNormalization") return false;
    const int64_t before13 = search_.graph().opset() < 13 ? 1 : -1;
    const int64_t axis = node.Int("axis", softmax ? before13 : -1);
    if (rank == 0 || chain_.n <= 0 || (axis != -1 && axis != rank - 1)) return false;
    if (softmax) {
      chain_.answer = Emit({.op = ChainOp::kSoftmax, .a = a});
      return true;
    }
    const std::optional<std::string> gamma = RowVector(node, 1), beta = RowVector(node, layer ? 2 : 3);
    if (!gamma || gamma->empty() || !beta) return false;
    chain_.answer = Emit({.op = layer ? ChainOp::kLayerNorm : ChainOp::kRmsNorm,
                          .a = a,
                          .low = node.Float("epsilon", 1e-5f),
                          .gamma = *gamma,
                          .beta = *beta});
    return true;
  }

  const Search& search_;
  const ValueInfo& shape_;
  Chain chain_;
  std::map<std::string, ChainOperand> made_;
  std::map<std::string, std::pair<ChainOperand, Quantization>>
      bytes_;  // made, and the numbers that they stand for
  std::string hidden_;
  std::set<std::string> same_;  // values of the chain's shape, whatever its unknown sizes are
};

std::optional<Chain> FindChainAt(const Search& search, size_t node) {
  if (search.IsTaken(node) || search.node(node).outputs.empty()) return std::nullopt;
  const std::optional<Idiom> norm = FindLayerNorm(search, node);  // whose first node answers less
  const std::string& value = norm ? norm->input : search.node(node).outputs[0];
  const ValueInfo* shape = search.Value(value);
  if (shape == nullptr || !shape->has_shape) return std::nullopt;
  Growth growth(search, *shape);
  growth.Know(value);
  std::optional<Chain> chain = growth.Grow({node});
  return chain && std::find(chain->nodes.begin(), chain->nodes.end(), node) != chain->nodes.end()
             ? chain
             : std::nullopt;
}

Layer AsLayer(Chain chain) {
  Layer layer;
  layer.nodes = chain.nodes;
  layer.head = chain.nodes.back();
  layer.orders = chain.of_rows() ? Orders::kPlain : Orders::kSame;
  for (const ChainInput& input : chain.inputs) layer.inputs.push_back(input.value);
  layer.output = chain.output;
  layer.make = [chain = std::move(chain)](const LayerBuild& build) { return MakeChainStep(build, chain); };
  return layer;
}

// What only changes between bytes and numbers belongs to what reads its numbers or makes them.
Candidate::Beside Beside(const Chain& chain) {
  if (!chain.instructions.empty()) return Candidate::Beside::kAny;
  return chain.quantized ? Candidate::Beside::kMaker : Candidate::Beside::kReaders;
}

}  // namespace

bool Chain::of_rows() const {
  return std::any_of(instructions.begin(), instructions.end(), [](const ChainInstruction& each) {
    return each.op >= ChainOp::kLayerNorm || each.a.kind == Kind::kRows || each.b.kind == Kind::kRows;
  });
}

std::optional<Chain> FindChainFrom(const Search& search, const std::string& value) {
  const ValueInfo* shape = search.Value(value);
  if (shape == nullptr || !shape->has_shape || (shape->dtype != DType::kF32 && !IsByte(shape->dtype)))
    return std::nullopt;
  Growth growth(search, *shape);
  growth.BeginAt(value);
  const std::vector<size_t>& readers = search.Consumers(value);
  return growth.Grow({readers.begin(), readers.end()});
}

std::vector<Candidate> FindChains(Search& search) {
  std::vector<Candidate> chains;
  for (size_t index = 0; index < search.size(); ++index) {
    std::optional<Chain> chain = FindChainAt(search, index);
    if (!chain) continue;
    search.Take(chain->nodes);
    const Candidate::Beside beside = Beside(*chain);
    chains.push_back({AsLayer(std::move(*chain)), beside});
  }
  return chains;
}

}  // namespace strop::engine
