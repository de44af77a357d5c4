#include "strop/engine/layers/chain_program.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <utility>

namespace strop::engine {
namespace {

using Kind = ChainOperand::Kind;

constexpr int64_t kBlock = 1024;         // elements: three buffers of 4 KiB and two streams fit any L1
constexpr int64_t kMostWholeRow = 4096;  // longer rows are cut, where no instruction needs them whole
constexpr int64_t kBufferUnit = 16;      // floats of a cache line

bool OfRows(const ChainInstruction& instruction) { return instruction.op >= ChainOp::kLayerNorm; }

std::vector<float> Vector(const model::Graph& graph, const std::string& name) {
  if (name.empty()) return {};
  const auto values = graph.initializers.at(name).As<float>();
  return {values.begin(), values.end()};
}

}  // namespace

ChainProgram::ChainProgram(const model::Graph& graph, const Chain& chain, Isa isa)
    : kernels_(PickElementwise(Limit(Cpu(), isa))),
      layer_norm_(PickLayerNorm(Limit(Cpu(), isa))),
      softmax_(PickSoftmax(Limit(Cpu(), isa))),
      quantized_(chain.quantized) {
  by_rows_ = chain.of_rows();
  n_ = by_rows_ ? chain.n : 1;
  const bool whole = std::any_of(chain.instructions.begin(), chain.instructions.end(), OfRows);
  block_ = n_ > kMostWholeRow && !whole ? kBlock : std::max<int64_t>(1, kBlock / n_) * n_;
  for (const ChainInput& input : chain.inputs) loads_.push_back({input.integers, 0});
  for (const ChainInstruction& instruction : chain.instructions)
    codes_.push_back(
        {instruction, {}, {}, 0, Vector(graph, instruction.gamma), Vector(graph, instruction.beta)});
  Allocate(chain);
  for (Code& code : codes_) {
    code.a = PlaceOf(graph, code.what.a);
    code.b = PlaceOf(graph, code.what.b);
  }
  answer_ = PlaceOf(graph, chain.answer);
  // A row of a constant with a period changes from row to row.
  if (block_ > n_ &&
      std::any_of(rows_.begin(), rows_.end(), [](const Rows& rows) { return rows.period > 1; }))
    block_ = n_;
  for (Rows& rows : rows_) {
    if (rows.period > 1 || block_ <= n_) continue;
    const std::vector<float> row = rows.values;
    while (static_cast<int64_t>(rows.values.size()) < block_)
      rows.values.insert(rows.values.end(), row.begin(), row.end());
  }
  stride_ = (block_ + kBufferUnit - 1) / kBufferUnit * kBufferUnit;
  Tabulate();
  TabulateTail();
}

// Gives each dequantized input and each answer a buffer until its last reader, which may answer in it.
void ChainProgram::Allocate(const Chain& chain) {
  std::vector<size_t> last_of_input(loads_.size(), 0), last_of_answer(codes_.size(), 0);
  const auto read = [&](const ChainOperand& operand, size_t at) {
    if (operand.kind == Kind::kInput) last_of_input[operand.index] = at;
    if (operand.kind == Kind::kAnswer) last_of_answer[operand.index] = at;
  };
  for (size_t at = 0; at < codes_.size(); ++at) {
    read(codes_[at].what.a, at);
    read(codes_[at].what.b, at);
  }
  read(chain.answer, codes_.size());
  std::vector<size_t> free;
  const auto take = [&] {
    if (free.empty()) return buffers_++;
    const size_t buffer = free.back();
    free.pop_back();
    return buffer;
  };
  for (Load& load : loads_)
    if (load.integers) load.buffer = take();
  for (size_t at = 0; at < codes_.size(); ++at) {
    for (size_t i = 0; i < loads_.size(); ++i)
      if (loads_[i].integers && last_of_input[i] == at) free.push_back(loads_[i].buffer);
    for (size_t i = 0; i < at; ++i)
      if (last_of_answer[i] == at) free.push_back(codes_[i].buffer);
    codes_[at].buffer = take();
  }
}

ChainProgram::Place ChainProgram::PlaceOf(const model::Graph& graph, const ChainOperand& operand) {
  switch (operand.kind) {
    case Kind::kNone:
      return {};
    case Kind::kInput:
      if (loads_[operand.index].integers) return {Place::Kind::kBuffer, loads_[operand.index].buffer, 0};
      return {Place::Kind::kInput, operand.index, 0};
    case Kind::kAnswer:
      return {Place::Kind::kBuffer, codes_[operand.index].buffer, 0};
    case Kind::kScalar:
      return {Place::Kind::kScalar, 0, operand.scalar};
    case Kind::kRows:
      rows_.push_back({0, Vector(graph, operand.rows)});
      rows_.back().period = static_cast<int64_t>(rows_.back().values.size()) / n_;
      return {Place::Kind::kRows, rows_.size() - 1, 0};
  }
  return {};
}

float* ChainProgram::Buffer(const Block& block, size_t index) const noexcept {
  return block.scratch + static_cast<int64_t>(index) * stride_;
}

const float* ChainProgram::Pointer(const Block& block, const Place& place) const noexcept {
  switch (place.kind) {
    case Place::Kind::kInput:
      return static_cast<const float*>(block.inputs[place.index]) + block.at;
    case Place::Kind::kBuffer:
      return Buffer(block, place.index);
    case Place::Kind::kRows:
      return rows_[place.index].values.data() + block.row % rows_[place.index].period * n_ + block.column;
    default:
      return nullptr;
  }
}

void ChainProgram::Run(std::span<const void* const> inputs, void* answer, int64_t begin, int64_t count,
                       float* scratch) const noexcept {
  if (sum_) return RunSum(inputs, answer, count);
  if (!table_.empty())
    return kernels_.look_up(table_.data(), static_cast<const uint8_t*>(inputs[0]),
                            static_cast<uint8_t*>(answer), count);
  for (int64_t at = 0; at < count;) {
    const int64_t row = (begin + at) / n_, column = (begin + at) % n_;
    const int64_t most = block_ < n_ ? n_ - column : block_;
    const Block block{inputs, scratch, at, row, column, std::min({count - at, block_, most})};
    RunBlock(block, static_cast<char*>(answer) + at * static_cast<int64_t>(SizeOf(dtype())));
    at += block.count;
  }
}

void ChainProgram::RunBlock(const Block& block, void* answer) const noexcept {
  for (size_t i = 0; i < loads_.size(); ++i) {
    const Load& load = loads_[i];
    if (!load.integers) continue;
    kernels_.dequantize(static_cast<const uint8_t*>(block.inputs[i]) + block.at,
                        load.integers->dtype == DType::kI8, load.integers->zero, load.integers->scale,
                        Buffer(block, load.buffer), block.count);
  }
  for (size_t i = 0; i < codes_.size(); ++i) {
    const bool straight = i + 1 == codes_.size() && !quantized_;  // the last one answers for the chain
    Execute(codes_[i], block, straight ? static_cast<float*>(answer) : Buffer(block, codes_[i].buffer));
  }
  if (quantized_) {
    kernels_.quantize(Pointer(block, answer_), quantized_->scale, quantized_->zero,
                      quantized_->dtype == DType::kI8, answer, block.count);
  } else if (codes_.empty()) {
    std::memcpy(answer, Pointer(block, answer_), static_cast<size_t>(block.count) * sizeof(float));
  }
}

void ChainProgram::Execute(const Code& code, const Block& block, float* out) const noexcept {
  const float* const a = Pointer(block, code.a);
  const float* const b = Pointer(block, code.b);
  switch (code.what.op) {
    case ChainOp::kUnary:
      return kernels_.unary(code.what.unary, a, out, block.count);
    case ChainOp::kClip:
      return kernels_.clip(code.what.low, code.what.high, a, out, block.count);
    case ChainOp::kLeaky:
      return kernels_.leaky(code.what.low, a, out, block.count);
    case ChainOp::kBytes:
      return ToBytesAndBack(code.what.bytes, block.count, a, out);
    case ChainOp::kBinary:
      if (a == nullptr) return kernels_.scalar_binary(code.what.binary, code.a.scalar, b, out, block.count);
      if (b == nullptr) return kernels_.binary_scalar(code.what.binary, a, code.b.scalar, out, block.count);
      return kernels_.binary(code.what.binary, a, b, out, block.count);
    default:
      return ExecuteRows(code, block, a, out);
  }
}

void ChainProgram::ToBytesAndBack(const Quantization& bytes, int64_t count, const float* a,
                                  float* out) const noexcept {
  constexpr int64_t kSome = 256;
  alignas(64) std::array<uint8_t, kSome> some;
  const bool is_signed = bytes.dtype == DType::kI8;
  for (int64_t at = 0; at < count; at += kSome) {
    const int64_t n = std::min(kSome, count - at);
    kernels_.quantize(a + at, bytes.scale, bytes.zero, is_signed, some.data(), n);
    kernels_.dequantize(some.data(), is_signed, bytes.zero, bytes.scale, out + at, n);
  }
}

// One input of bytes and one answer of bytes, with nothing else that differs from element to element: every
// byte has its answer.
void ChainProgram::Tabulate() {
  if (by_rows_ || !quantized_ || loads_.size() != 1 || !loads_[0].integers) return;
  std::vector<uint8_t> every(256), answers(256);
  std::iota(every.begin(), every.end(), uint8_t{0});
  std::vector<float> scratch(scratch_floats() + kBufferUnit);
  const std::array<const void*, 1> inputs{every.data()};
  Run(inputs, answers.data(), 0, 256, scratch.data());
  table_ = std::move(answers);
}

// Two inputs of bytes that are added, then perhaps Relu, and become bytes again: one pass. What follows those
// bytes and reads nothing else is a function of a byte.
void ChainProgram::TabulateTail() {
  if (by_rows_ || !quantized_ || loads_.size() != 2 || codes_.empty()) return;
  const auto& [a, b] = std::pair(loads_[0].integers, loads_[1].integers);
  if (!a || !b || a->dtype != b->dtype) return;
  const auto is = [](const ChainOperand& operand, Kind kind, size_t index) {
    return operand.kind == kind && operand.index == index;
  };
  const ChainInstruction& first = codes_[0].what;
  const bool in_order = is(first.a, Kind::kInput, 0) && is(first.b, Kind::kInput, 1);
  const bool turned = is(first.a, Kind::kInput, 1) && is(first.b, Kind::kInput, 0);
  if (first.op != ChainOp::kBinary || first.binary != BinaryOp::kAdd || (!in_order && !turned)) return;
  size_t at = 1;
  const auto follows = [&](const ChainInstruction& next) { return is(next.a, Kind::kAnswer, at - 1); };
  const bool relu = at < codes_.size() && codes_[at].what.op == ChainOp::kUnary &&
                    codes_[at].what.unary == UnaryOp::kRelu && follows(codes_[at].what);
  if (relu) ++at;
  const bool tail = at < codes_.size();
  if (tail && (codes_[at].what.op != ChainOp::kBytes || !follows(codes_[at].what))) return;
  for (size_t i = at + 1; i < codes_.size(); ++i) {
    for (const ChainOperand* operand : {&codes_[i].what.a, &codes_[i].what.b}) {
      const bool later = operand->kind == Kind::kAnswer && operand->index >= at;
      if (!later && operand->kind != Kind::kNone && operand->kind != Kind::kScalar) return;
    }
  }
  const Quantization bytes = tail ? codes_[at].what.bytes : *quantized_;
  const bool is_signed = bytes.dtype == DType::kI8;
  sum_ = {
      a->dtype == DType::kI8, a->zero, b->zero, a->scale, b->scale, relu, is_signed, bytes.zero, bytes.scale};
  if (!tail) return;
  std::vector<uint8_t> every(256), answers(256);
  std::iota(every.begin(), every.end(), uint8_t{0});
  std::vector<float> scratch(scratch_floats() + kBufferUnit);
  const Block block{{}, scratch.data(), 0, 0, 0, 256};
  kernels_.dequantize(every.data(), is_signed, bytes.zero, bytes.scale, Buffer(block, codes_[at].buffer),
                      256);
  for (size_t i = at + 1; i < codes_.size(); ++i) Execute(codes_[i], block, Buffer(block, codes_[i].buffer));
  kernels_.quantize(Pointer(block, answer_), quantized_->scale, quantized_->zero,
                    quantized_->dtype == DType::kI8, answers.data(), 256);
  if (answers != every) table_ = std::move(answers);
}

void ChainProgram::RunSum(std::span<const void* const> inputs, void* answer, int64_t count) const noexcept {
  const auto *const a = static_cast<const uint8_t*>(inputs[0]), *const b =
                                                                    static_cast<const uint8_t*>(inputs[1]);
  auto* const bytes = static_cast<uint8_t*>(answer);
  for (int64_t at = 0; at < count; at += kBlock) {
    const int64_t n = std::min(kBlock, count - at);
    kernels_.add_bytes(*sum_, a + at, b + at, bytes + at, n);
    if (!table_.empty()) kernels_.look_up(table_.data(), bytes + at, bytes + at, n);
  }
}

void ChainProgram::ExecuteRows(const Code& code, const Block& block, const float* a,
                               float* out) const noexcept {
  const int64_t rows = block.count / n_;
  if (code.what.op == ChainOp::kSoftmax) {
    SoftmaxArgs args;
    args.rows = rows;
    args.n = args.ldx = args.ldy = n_;
    args.x = a;
    args.y = out;
    return softmax_.run(args);
  }
  LayerNormArgs args;
  args.rows = rows;
  args.n = args.ldx = args.ldy = n_;
  args.x = a;
  args.gamma = code.gamma.data();
  args.beta = code.beta.empty() ? nullptr : code.beta.data();
  args.epsilon = code.what.low;
  args.root_mean_square = code.what.op == ChainOp::kRmsNorm;
  args.y = out;
  layer_norm_.run(args);
}

}  // namespace strop::engine
