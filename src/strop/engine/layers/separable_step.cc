#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "strop/engine/layers/conv_step.h"
#include "strop/engine/layers/depthwise.h"
#include "strop/engine/layers/product.h"
#include "strop/engine/layers/separable.h"

namespace strop::engine {
namespace {

constexpr int64_t kManyRows = 64;           // what plan() names: the kernel of many pixels
constexpr int64_t kStripBytes = 1 << 19;    // of rows that the depthwise kernel reads and writes, in L2
constexpr int64_t kWorthAThread = 1 << 16;  // multiply-adds

DType Answer(const ConvLayer& layer) {
  return layer.integers && layer.integers->output ? layer.integers->output->dtype : DType::kF32;
}

std::unique_ptr<Product> PointProduct(const model::Graph& graph, const ConvLayer& layer,
                                      const CpuFlags& flags) {
  ProductWeights weights;
  weights.n = layer.n;
  weights.k = layer.channels;
  weights.weights = graph.initializers.at(layer.weight);
  weights.transposed = true;
  weights.bias = Constant(graph, layer.bias);
  weights.clamp = layer.clamp;
  if (layer.integers) SetIntegers(weights, graph, *layer.integers);
  return MakeProduct(weights, flags);
}

// Strips of the depthwise kernel's rows. Of what it reads, rows that the strip before has left are kept.
class SeparableStep : public Step {
 public:
  SeparableStep(const LayerBuild& build, const SeparableLayer& layer)
      : layer_(layer),
        flags_(Limit(Cpu(), build.isa)),
        plain_(build.inputs[0] == Order::kPlain),
        input_(layer_.expand ? *layer_.expand : layer_.depthwise),
        wide_bytes_(layer.depthwise.n * (layer.depthwise.integers ? 1 : kFloat)),
        narrow_bytes_(layer.depthwise.n * (layer.project.integers ? 1 : kFloat)),
        input_bytes_(input_.channels * (input_.integers ? 1 : kFloat)),
        pixels_(flags_),
        end_(build, layer.project.chain, Answer(layer.project)),
        depthwise_(build.graph, layer.depthwise, flags_),
        project_(PointProduct(build.graph, layer.project, flags_)),
        pool_(build.pool) {
    if (layer.expand) expand_ = PointProduct(build.graph, *layer.expand, flags_);
    const Layer whole = AsLayer(layer);
    inputs = whole.inputs;
    outputs = {whole.output};
    Describe(plan, build.graph, whole.nodes, whole.head);
    std::vector<Tensor> weights;
    for (const ConvLayer* conv : Convs()) weights.push_back(build.graph.initializers.at(conv->weight));
    plan.sparsity = ShareOfZeros(weights);
    plan.kernel = fmt::format("separable_{}", project_->Kernel(kManyRows));
    plan.isa = IsaName(project_->isa());
    if (layer.project.integers) plan.bits = 8;
  }

  std::unique_ptr<State> NewState() override { return std::make_unique<ImageMemory>(); }

  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    auto& memory = static_cast<ImageMemory&>(state);
    const Shape& shape = in[0].shape();
    memory.Slide(layer_.depthwise, input_.channels, shape, plan);
    const Window& w = memory.window;
    const int64_t images = shape[0], n = layer_.project.n, rows = images * w.out_h;
    Fit(out[0], end_.dtype(), {images, n, w.out_h, w.out_w});
    const int64_t work = rows * w.out_w * layer_.depthwise.n * (w.kernel_h * w.kernel_w + n);
    const int64_t parts =
        std::clamp<int64_t>(work / kWorthAThread, 1, std::min<int64_t>(pool_.threads(), rows));
    const Strip strip = StripOf(w);
    std::byte* const bytes = memory.Bytes(strip.bytes * parts);
    pool_.Run(parts, [&](int64_t part) {
      Thread thread{w, strip, in, out[0], bytes + part * strip.bytes, -1, 0, 0};
      const int64_t end = rows * (part + 1) / parts;
      for (int64_t row = rows * part / parts, count = 0; row < end; row += count) {
        count = std::min({strip.rows, end - row, w.out_h - row % w.out_h});
        RunStrip(thread, row, count);
      }
    });
  }

 private:
  static constexpr auto kFloat = static_cast<int64_t>(sizeof(float));

  // How much of an image is run at a time, and where in a thread's memory its parts lie.
  struct Strip {
    int64_t rows;       // of the answer
    int64_t wide_rows;  // that they are made of
    int64_t wide, narrow, gathered, product, scratch, bytes;
  };
  // A thread on its way over the rows of all images. It holds rows [held, held + count) of what the depthwise
  // kernel reads of `image`, the first of them at its memory's begin.
  struct Thread {
    const Window& window;
    const Strip& strip;
    std::span<const Tensor> in;
    const Tensor& out;
    std::byte* memory;
    int64_t image, held, count;
  };

  std::vector<const ConvLayer*> Convs() const {
    if (!layer_.expand) return {&layer_.depthwise, &layer_.project};
    return {&*layer_.expand, &layer_.depthwise, &layer_.project};
  }

  Strip StripOf(const Window& w) const noexcept {
    const int64_t reach = (w.kernel_h - 1) * w.dilation_h + 1;
    const int64_t row = w.stride_h * w.width * wide_bytes_ + w.out_w * narrow_bytes_;
    Strip strip{};
    strip.rows = std::clamp<int64_t>((kStripBytes - reach * w.width * wide_bytes_) / row, 1, w.out_h);
    strip.wide_rows = std::min(w.height, (strip.rows - 1) * w.stride_h + reach);
    const int64_t pixels = strip.rows * w.out_w;
    const auto take = [&](int64_t bytes) {
      const int64_t at = strip.bytes;
      strip.bytes += AlignedBytes(bytes);
      return at;
    };
    strip.wide = take(strip.wide_rows * w.width * wide_bytes_);
    strip.narrow = take(pixels * narrow_bytes_);
    strip.gathered = take(plain_ && expand_ ? strip.wide_rows * w.width * input_bytes_ : 0);
    strip.product = take(end_.straight() ? 0
                                         : pixels * layer_.project.n *
                                               static_cast<int64_t>(SizeOf(Answer(layer_.project))));
    strip.scratch = take(static_cast<int64_t>(end_.ScratchBytes(pixels, layer_.project.n)));
    return strip;
  }

  void RunStrip(Thread& thread, int64_t row, int64_t count) const noexcept {
    const Window& w = thread.window;
    const int64_t first = row % w.out_h, reach = (w.kernel_h - 1) * w.dilation_h + 1;
    const int64_t top = first * w.stride_h - w.pad_top;
    const int64_t low = std::clamp<int64_t>(top, 0, w.height),
                  high = std::clamp<int64_t>(top + (count - 1) * w.stride_h + reach, low, w.height);
    Hold(thread, row / w.out_h, low, high);
    std::byte* const narrow = thread.memory + thread.strip.narrow;
    depthwise_.Rows(w, thread.memory - thread.held * w.width * wide_bytes_, first, count, narrow);
    const int64_t begin = row * w.out_w, pixels = count * w.out_w;
    void* const c = end_.straight() ? Pixels::Row(thread.out, begin) : thread.memory + thread.strip.product;
    project_->Multiply(pixels, narrow, c, {}, 0);
    if (!end_.straight())
      end_.Finish(c, begin, pixels, thread.in, thread.out, thread.memory + thread.strip.scratch);
  }

  // Rows [low, high) of what the depthwise kernel reads.
  void Hold(Thread& thread, int64_t image, int64_t low, int64_t high) const noexcept {
    const int64_t row_bytes = thread.window.width * wide_bytes_, end = thread.held + thread.count;
    int64_t kept = 0;
    if (image == thread.image && low >= thread.held && low < end) {
      kept = end - low;
      std::memmove(thread.memory, thread.memory + (low - thread.held) * row_bytes,
                   static_cast<size_t>(kept * row_bytes));
    }
    thread.image = image;
    thread.held = low;
    thread.count = std::max(kept, high - low);
    if (low + kept < high) MakeRows(thread, low + kept, high, thread.memory + kept * row_bytes);
  }

  void MakeRows(const Thread& thread, int64_t low, int64_t high, std::byte* to) const noexcept {
    const Window& w = thread.window;
    const int64_t begin = (thread.image * w.height + low) * w.width, pixels = (high - low) * w.width;
    if (!expand_) {
      if (plain_) return pixels_.Gather(thread.in[0], begin, pixels, to);
      std::memcpy(to, Pixels::Row(thread.in[0], begin), static_cast<size_t>(pixels * wide_bytes_));
      return;
    }
    const void* a = Pixels::Row(thread.in[0], begin);
    if (plain_) {
      a = thread.memory + thread.strip.gathered;
      pixels_.Gather(thread.in[0], begin, pixels, thread.memory + thread.strip.gathered);
    }
    expand_->Multiply(pixels, a, to, {}, 0);
  }

  const SeparableLayer layer_;
  const CpuFlags flags_;
  const bool plain_;  // the input
  const ConvLayer& input_;
  const int64_t wide_bytes_, narrow_bytes_,
      input_bytes_;  // of a pixel before and behind the depthwise kernel
  const Pixels pixels_;
  const PixelEnd end_;
  const Depthwise depthwise_;
  const std::unique_ptr<Product> project_;
  std::unique_ptr<Product> expand_;  // nullptr: none
  ThreadPool& pool_;
};

}  // namespace

std::unique_ptr<Step> MakeSeparableStep(const LayerBuild& build, const SeparableLayer& layer) {
  return std::make_unique<SeparableStep>(build, layer);
}

}  // namespace strop::engine
