#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/engine/kernels/transpose/transpose.h"
#include "strop/engine/layers/move.h"
#include "strop/engine/layers/permute.h"
#include "strop/engine/step.h"

namespace strop::engine {
namespace {

constexpr int64_t kWorthAThread = 1 << 18;  // bytes moved

class MoveStep : public Step {
 public:
  MoveStep(const LayerBuild& build, const MoveLayer& layer) : layer_(layer), pool_(build.pool) {
    inputs = {layer.input};
    outputs = {layer.output};
    Describe(plan, build.graph, layer.nodes, layer.node);
    plan.kernel = "copy";
    if (layer.nodes.size() > 1) plan.bits = 8;
    plan.isa = IsaName(Isa::kScalar);
  }

  std::unique_ptr<State> NewState() override { return std::make_unique<Shapes>(); }

 protected:
  const model::Node& node() const noexcept { return layer_.alone.nodes[0]; }

  // The answer, of the shape that the node's rules give it.
  void MakeAnswer(State& state, const Tensor& in, Tensor& out) const {
    auto& shapes = static_cast<Shapes&>(state);
    if (shapes.from != in.shape()) {
      shapes.to = model::InferShapes(layer_.alone, {{layer_.input, in.shape()}}).at(layer_.output).shape;
      shapes.from = in.shape();
    }
    Fit(out, layer_.dtype, shapes.to);
  }

  // each(part, parts) for so many pieces of work over so much memory.
  template <class Each>
  void Share(int64_t bytes, int64_t pieces, const Each& each) const {
    const int64_t parts = std::clamp<int64_t>(
        bytes / kWorthAThread, 1, std::min<int64_t>(pool_.threads(), std::max<int64_t>(pieces, 1)));
    pool_.Run(parts, [&](int64_t part) { each(pieces * part / parts, pieces * (part + 1) / parts); });
  }

  const MoveLayer layer_;
  ThreadPool& pool_;

 private:
  // Of the last run.
  struct Shapes : State {
    std::optional<Shape> from;
    Shape to;
  };
};

class CopyStep : public MoveStep {
 public:
  using MoveStep::MoveStep;
  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    MakeAnswer(state, in[0], out[0]);
    const auto bytes = static_cast<int64_t>(in[0].bytes());
    Share(bytes, bytes, [&](int64_t begin, int64_t end) {
      std::copy_n(static_cast<const char*>(in[0].data()) + begin, end - begin,
                  static_cast<char*>(out[0].data()) + begin);
    });
  }
};

class ConvertStep : public MoveStep {
 public:
  using MoveStep::MoveStep;
  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    MakeAnswer(state, in[0], out[0]);
    if (in[0].dtype() == DType::kI64) return Convert<int64_t>(in[0], out[0]);
    if (in[0].dtype() == DType::kI32) return Convert<int32_t>(in[0], out[0]);
    Convert<bool>(in[0], out[0]);
  }

 private:
  template <class T>
  void Convert(const Tensor& in, const Tensor& out) const {
    const T* const from = static_cast<const T*>(in.data());
    float* const to = static_cast<float*>(out.data());
    Share(static_cast<int64_t>(in.bytes()), in.size(), [&](int64_t begin, int64_t end) {
      std::transform(from + begin, from + end, to + begin, [](T value) { return static_cast<float>(value); });
    });
  }
};

class TransposeStep : public MoveStep {
 public:
  TransposeStep(const LayerBuild& build, const MoveLayer& layer)
      : MoveStep(build, layer), kernel_(PickTranspose(Limit(Cpu(), build.isa))) {
    const auto rank = static_cast<int64_t>(layer.alone.inputs[0].shape.size());
    std::vector<int64_t> turned(static_cast<size_t>(rank));
    std::iota(turned.rbegin(), turned.rend(), 0);
    perm_ = node().Ints("perm", turned);
    for (int64_t& axis : perm_) axis += axis < 0 ? rank : 0;
    plan.kernel = kernel_.name;
    plan.isa = IsaName(kernel_.isa);
  }

  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    if (in[0].shape().size() != perm_.size())
      throw Error(Code::kInvalidArgument,
                  fmt::format("node {} ({}): its input is {}, expected {} axes", plan.layer, plan.op,
                              ShapeText(in[0].shape()), perm_.size()));
    MakeAnswer(state, in[0], out[0]);
    if (out[0].size() == 0) return;
    const Permutation permutation(in[0].shape(), perm_, static_cast<int64_t>(SizeOf(in[0].dtype())));
    Share(static_cast<int64_t>(in[0].bytes()), permutation.pieces(), [&](int64_t begin, int64_t end) {
      permutation.Run(in[0].data(), out[0].data(), begin, end, kernel_.run);
    });
  }

 private:
  const TransposeKernel& kernel_;
  std::vector<int64_t> perm_;
};

class GatherStep : public MoveStep {
 public:
  GatherStep(const LayerBuild& build, const MoveLayer& layer)
      : MoveStep(build, layer),
        table_(layer.alone.initializers.at(node().inputs[0])),
        rows_(table_.shape()[0]),
        row_bytes_(static_cast<int64_t>(table_.bytes()) / rows_) {}

  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    MakeAnswer(state, in[0], out[0]);
    if (in[0].dtype() == DType::kI64) return Gather<int64_t>(in[0], out[0]);
    Gather<int32_t>(in[0], out[0]);
  }

 private:
  template <class T>
  void Gather(const Tensor& indices, const Tensor& out) const {
    const T* const index = static_cast<const T*>(indices.data());
    const int64_t count = indices.size();
    const T* const wrong =
        std::find_if(index, index + count, [&](T at) { return at < -rows_ || at >= rows_; });
    if (wrong != index + count)
      throw Error(Code::kInvalidArgument, fmt::format("node {} ({}): index {} is outside of an axis of {}",
                                                      plan.layer, plan.op, *wrong, rows_));
    const char* const table = static_cast<const char*>(table_.data());
    char* const to = static_cast<char*>(out.data());
    Share(count * row_bytes_, count, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = index[i] < 0 ? index[i] + rows_ : index[i];
        std::memcpy(to + i * row_bytes_, table + row * row_bytes_, static_cast<size_t>(row_bytes_));
      }
    });
  }

  const Tensor table_;
  const int64_t rows_, row_bytes_;
};

}  // namespace

std::unique_ptr<Step> MakeMoveStep(const LayerBuild& build, const MoveLayer& layer) {
  switch (layer.kind) {
    case MoveKind::kConvert:
      return std::make_unique<ConvertStep>(build, layer);
    case MoveKind::kTranspose:
      return std::make_unique<TransposeStep>(build, layer);
    case MoveKind::kGather:
      return std::make_unique<GatherStep>(build, layer);
    default:
      return std::make_unique<CopyStep>(build, layer);
  }
}

}  // namespace strop::engine
