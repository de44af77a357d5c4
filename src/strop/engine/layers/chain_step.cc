#include <algorithm>
#include <utility>
#include <vector>

#include "strop/engine/layers/chain_program.h"
#include "strop/engine/step.h"

namespace strop::engine {
namespace {

// Below so many elements waking a thread costs more than it saves.
constexpr int64_t kWorthAThread = 1 << 14;

class ChainStep : public Step {
 public:
  ChainStep(const LayerBuild& build, const Chain& chain)
      : program_(build.graph, chain, build.isa), n_(program_.by_rows() ? chain.n : 1), pool_(build.pool) {
    for (const ChainInput& input : chain.inputs) inputs.push_back(input.value);
    outputs = {chain.output};
    Describe(plan, build.graph, chain.nodes, chain.nodes.back());
    plan.kernel = program_.kernel();
    plan.isa = IsaName(program_.isa());
    if (program_.dtype() != DType::kF32) plan.bits = 8;
  }

  std::unique_ptr<State> NewState() override {
    auto state = std::make_unique<Memory>();
    const size_t floats = program_.scratch_floats() * static_cast<size_t>(pool_.threads());
    if (floats > 0) state->scratch = Tensor::New(DType::kF32, {static_cast<int64_t>(floats)});
    state->pointers.resize(inputs.size() * static_cast<size_t>(pool_.threads()));
    return state;
  }

  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    Fit(out[0], program_.dtype(), in[0].shape());
    auto& memory = static_cast<Memory&>(state);
    const int64_t size = out[0].size(), rows = size / n_;
    const int64_t parts = std::clamp<int64_t>(size / kWorthAThread, 1,
                                              std::min<int64_t>(pool_.threads(), std::max<int64_t>(rows, 1)));
    pool_.Run(parts, [&](int64_t part) {
      const int64_t begin = rows * part / parts * n_, end = rows * (part + 1) / parts * n_;
      const std::span<const void*> pointers(memory.pointers.data() + part * static_cast<int64_t>(in.size()),
                                            in.size());
      for (size_t i = 0; i < in.size(); ++i)
        pointers[i] =
            static_cast<const char*>(in[i].data()) + begin * static_cast<int64_t>(SizeOf(in[i].dtype()));
      float* const scratch = memory.scratch ? static_cast<float*>(memory.scratch.data()) +
                                                  part * static_cast<int64_t>(program_.scratch_floats())
                                            : nullptr;
      program_.Run(pointers,
                   static_cast<char*>(out[0].data()) + begin * static_cast<int64_t>(SizeOf(program_.dtype())),
                   begin, end - begin, scratch);
    });
  }

 private:
  struct Memory : State {
    Tensor scratch;
    std::vector<const void*> pointers;
  };
  const ChainProgram program_;
  const int64_t n_;
  ThreadPool& pool_;
};

}  // namespace

std::unique_ptr<Step> MakeChainStep(const LayerBuild& build, const Chain& chain) {
  return std::make_unique<ChainStep>(build, chain);
}

}  // namespace strop::engine
