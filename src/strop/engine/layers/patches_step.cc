#include <algorithm>
#include <cstring>

#include "strop/engine/kernels/patches/patches.h"
#include "strop/engine/layers/conv_step.h"
#include "strop/engine/layers/product.h"

namespace strop::engine {
namespace {

constexpr int64_t kManyRows = 64;         // what plan() names: the kernel of many pixels
constexpr int64_t kBlockBytes = 1 << 19;  // of patches, and of products, that lie in L2
constexpr int64_t kFewestRows = 64;       // of a block: fewer make a product wait for its weights

Tensor Constant(const model::Graph& graph, const std::string& name) {
  return name.empty() ? Tensor() : graph.initializers.at(name);
}

// A product of patches, or of the pixels themselves where the kernel is a point.
class PatchesStep : public ConvStep {
 public:
  PatchesStep(const LayerBuild& build, const ConvLayer& layer)
      : ConvStep(build, layer),
        depth_(layer.channels * layer.kernel_h * layer.kernel_w),
        patches_(PickPatches(flags_)),
        product_(MakeProduct(Weights(build.graph), flags_)) {
    plan.kernel = product_->Kernel(kManyRows);
    plan.isa = IsaName(product_->isa());
  }

 private:
  // [n, channels, height, width] as [n, height, width, channels].
  static Tensor Rearranged(const Tensor& weights) {
    const Shape& s = weights.shape();
    const auto size = static_cast<int64_t>(SizeOf(weights.dtype()));
    const Tensor out = Tensor::New(weights.dtype(), {s[0], s[2], s[3], s[1]});
    const auto* from = static_cast<const char*>(weights.data());
    auto* to = static_cast<char*>(out.data());
    const int64_t taps = s[2] * s[3];
    for (int64_t i = 0; i < s[0]; ++i)
      for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t c = 0; c < s[1]; ++c, to += size)
          std::memcpy(to, from + ((i * s[1] + c) * taps + tap) * size, static_cast<size_t>(size));
    return out;
  }

  ProductWeights Weights(const model::Graph& graph) const {
    ProductWeights weights;
    weights.n = layer_.n;
    weights.k = depth_;
    weights.weights = Rearranged(graph.initializers.at(layer_.weight));
    weights.transposed = true;
    weights.bias = Constant(graph, layer_.bias);
    weights.clamp = layer_.clamp;
    if (!layer_.integers) return weights;
    weights.input = layer_.integers->input;
    weights.output = layer_.integers->output;
    weights.weight_scale = Constant(graph, layer_.integers->weight_scale);
    weights.bias_scale = Constant(graph, layer_.integers->bias_scale);
    return weights;
  }

  // One run.
  struct Job {
    const Window& window;
    std::span<const Tensor> in;
    const Tensor& out;
    int64_t m;         // output pixels of all images
    int64_t rows;      // of a block
    bool point;        // the rows of the product are those of the image
    std::byte* bytes;  // each part's
    int64_t a_bytes, c_bytes, part_bytes;
  };

  int64_t RowsOfBlock(int64_t m) const noexcept {
    const int64_t unit = product_->Tiling(kManyRows).mr;
    const int64_t widest = std::max(depth_ * input_, layer_.n * static_cast<int64_t>(sizeof(float)));
    const int64_t rows = std::max(kFewestRows, kBlockBytes / widest) / unit * unit;
    return std::min(std::max(rows, unit), m);
  }

  void Compute(Memory& memory, std::span<const Tensor> in, const Tensor& out) const override {
    const Window& w = memory.window;
    const int64_t m = in[0].shape()[0] * w.out_h * w.out_w;
    const GemmGrid grid = SplitGemm({m, layer_.n, depth_}, product_->Tiling(m), pool_.threads());
    const int64_t parts = grid.rows * grid.columns;
    const bool point = w.kernel_h == 1 && w.kernel_w == 1 && w.out_h == w.height && w.out_w == w.width &&
                       w.pad_top == 0 && w.pad_left == 0 && w.stride_h == 1 && w.stride_w == 1;
    // Few pixels by many weights: each thread takes its own of the weights.
    const bool by_columns = parts > 1 && 2 * m <= layer_.n;
    Job job{w, in, out, m, by_columns ? m : RowsOfBlock(m), point, nullptr, 0, 0, 0};
    job.a_bytes = point && !plain_ ? 0 : AlignedBytes(job.rows * depth_ * input_);
    job.c_bytes =
        end_.straight() ? 0 : AlignedBytes(job.rows * layer_.n * static_cast<int64_t>(SizeOf(dtype_)));
    job.part_bytes =
        job.a_bytes + job.c_bytes + AlignedBytes(static_cast<int64_t>(end_.ScratchBytes(job.rows, layer_.n)));
    job.bytes = memory.Bytes(job.part_bytes * (by_columns ? 1 : parts) + 64);
    if (by_columns) return ByColumns(job, parts);
    pool_.Run(parts, [&](int64_t part) {
      const int64_t unit = product_->Tiling(m).mr, tiles = (m + unit - 1) / unit;
      const int64_t begin = std::min(m, tiles * part / parts * unit),
                    end = std::min(m, tiles * (part + 1) / parts * unit);
      std::byte* const bytes = job.bytes + part * job.part_bytes;
      for (int64_t row = begin; row < end; row += job.rows) {
        const int64_t count = std::min(job.rows, end - row);
        const void* const a = Gathered(job, row, count, bytes);
        void* const c = end_.straight() ? Pixels::Row(out, row) : bytes + job.a_bytes;
        product_->Multiply(count, a, c, {}, 0);
        if (!end_.straight()) end_.Finish(c, row, count, in, out, bytes + job.a_bytes + job.c_bytes);
      }
    });
  }

  void ByColumns(const Job& job, int64_t parts) const {
    const void* a = job.a_bytes == 0 ? Gathered(job, 0, job.m, job.bytes) : job.bytes;
    if (job.a_bytes > 0) {
      pool_.Run(parts, [&](int64_t part) {
        const int64_t begin = job.m * part / parts, end = job.m * (part + 1) / parts;
        Gathered(job, begin, end - begin, job.bytes + begin * depth_ * input_);
      });
    }
    void* const c = end_.straight() ? job.out.data() : job.bytes + job.a_bytes;
    pool_.Run(parts, [&](int64_t part) { product_->Multiply(job.m, a, c, {1, parts}, part); });
    if (!end_.straight()) end_.Finish(c, 0, job.m, job.in, job.out, job.bytes + job.a_bytes + job.c_bytes);
  }

  // The rows of the product for pixels [begin, begin + count): in `rows`, or where they are.
  const void* Gathered(const Job& job, int64_t begin, int64_t count, void* rows) const noexcept {
    if (job.point && !plain_) return Pixels::Row(job.in[0], begin);
    if (job.point) {
      pixels_.Gather(job.in[0], begin, count, rows);
      return rows;
    }
    const int64_t pixels = job.window.out_h * job.window.out_w;
    const int64_t image = layer_.channels * job.window.height * job.window.width * input_;
    for (int64_t row = 0; row < count;) {
      const int64_t first = (begin + row) % pixels, some = std::min(count - row, pixels - first);
      PatchesArgs args;
      args.window = job.window;
      args.channels = args.in_pixel = layer_.channels;
      args.element = input_;
      args.channels_first = plain_;
      args.in = static_cast<const char*>(job.in[0].data()) + (begin + row) / pixels * image;
      args.pad = layer_.integers ? static_cast<uint8_t>(layer_.integers->input.zero) : 0;
      args.p0 = first;
      args.p1 = first + some;
      args.out = static_cast<char*>(rows) + row * depth_ * input_;
      args.out_row = depth_;
      patches_.run(args);
      row += some;
    }
    return rows;
  }

  const int64_t depth_;
  const PatchesKernel& patches_;
  const std::unique_ptr<Product> product_;
};

}  // namespace

std::unique_ptr<Step> MakePatchesStep(const LayerBuild& build, const ConvLayer& layer) {
  return std::make_unique<PatchesStep>(build, layer);
}

}  // namespace strop::engine
