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
constexpr int64_t kFewestOfRun = 12;      // pixels of a row: those of 16 fill a tile of AMX

// A product of patches, or of the pixels themselves where the kernel is a point. Integers are read where they
// lie in a padded image if they can: a row of the kernel is a run of bytes, which makes one part of a row of
// the product, its weights padded with zeros to what the kernel of the product takes at a time.
class PatchesStep : public ConvStep {
 public:
  PatchesStep(const LayerBuild& build, const ConvLayer& layer)
      : ConvStep(build, layer),
        reach_(layer.channels * layer.kernel_w),
        part_(PartOf(layer, flags_)),
        depth_(part_ * layer.kernel_h),
        patches_(PickPatches(flags_)),
        product_(MakeProduct(Weights(build.graph), flags_)) {
    plan.kernel = product_->Kernel(kManyRows);
    plan.isa = IsaName(product_->isa());
  }

 private:
  // Elements of a row of the kernel, with their padding.
  static int64_t PartOf(const ConvLayer& layer, const CpuFlags& flags) {
    const int64_t reach = layer.channels * layer.kernel_w, unit = TapUnit(flags);
    const bool padded = layer.integers && layer.kernel_h * layer.kernel_w > 1 && Runs(layer);
    return padded ? (reach + unit - 1) / unit * unit : reach;
  }
  // Whether the taps of a row of the kernel are neighbours.
  static bool Runs(const ConvLayer& layer) { return layer.window.Ints("dilations", {1, 1}).back() == 1; }

  // [n, channels, height, width] as [n, height, width, channels], each row of the kernel padded to `part`.
  static Tensor Rearranged(const Tensor& weights, int64_t part) {
    const Shape& s = weights.shape();
    const auto size = static_cast<int64_t>(SizeOf(weights.dtype()));
    const Tensor out = Tensor::New(weights.dtype(), {s[0], s[2], part});
    std::memset(out.data(), weights.dtype() == DType::kU8 ? 128 : 0, out.bytes());
    const auto* from = static_cast<const char*>(weights.data());
    auto* to = static_cast<char*>(out.data());
    for (int64_t i = 0; i < s[0]; ++i)
      for (int64_t c = 0; c < s[1]; ++c)
        for (int64_t y = 0; y < s[2]; ++y)
          for (int64_t x = 0; x < s[3]; ++x, from += size)
            std::memcpy(to + ((i * s[2] + y) * part + x * s[1] + c) * size, from, static_cast<size_t>(size));
    return out;
  }

  ProductWeights Weights(const model::Graph& graph) const {
    ProductWeights weights;
    weights.n = layer_.n;
    weights.k = depth_;
    weights.part = MayLieInPlace() ? part_ : 0;
    weights.weights = Rearranged(graph.initializers.at(layer_.weight), part_);
    weights.transposed = true;
    weights.bias = Constant(graph, layer_.bias);
    weights.clamp = layer_.clamp;
    if (layer_.integers) SetIntegers(weights, graph, *layer_.integers);
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
    const GemmGrid grid = product_->Split(m, pool_.threads());
    const int64_t parts = grid.rows * grid.columns;
    if (InPlace(w)) return ComputeInPlace(memory, in, out, parts);
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

  bool MayLieInPlace() const noexcept {
    return layer_.integers && Runs(layer_) && part_ % TapUnit(flags_) == 0;
  }
  // Short rows of pixels fill no tile; their patches do.
  bool InPlace(const Window& w) const noexcept {
    if (!MayLieInPlace()) return false;
    if (part_ != reach_) return true;
    const bool moves = w.kernel_h * w.kernel_w > 1 || w.stride_h * w.stride_w > 1;
    return moves && w.out_w >= kFewestOfRun;
  }

  // Blocks of whole rows of one image's output. What they read is copied into a padded image, which is a
  // kernel_h · kernel_w-th of the patches, if it is not one already.
  void ComputeInPlace(Memory& memory, std::span<const Tensor> in, const Tensor& out, int64_t parts) const {
    const Window& w = memory.window;
    const int64_t rows = in[0].shape()[0] * w.out_h, padded = (w.out_w - 1) * w.stride_w + w.kernel_w;
    const int64_t reach_h = (w.kernel_h - 1) * w.dilation_h + 1, tall = (w.out_h - 1) * w.stride_h + reach_h;
    const bool whole = !plain_ && part_ == reach_ && w.pad_top == 0 && w.pad_left == 0 && tall <= w.height &&
                       padded <= w.width;
    const int64_t pitch = (whole ? w.width : padded) * layer_.channels;
    const int64_t c_row = end_.straight() ? 0 : w.out_w * layer_.n * static_cast<int64_t>(SizeOf(dtype_));
    const int64_t some = std::clamp<int64_t>(kBlockBytes / (w.stride_h * pitch + c_row), 1, w.out_h);
    const int64_t a_bytes = whole ? 0 : AlignedBytes(((some - 1) * w.stride_h + reach_h) * pitch + part_);
    const int64_t c_bytes = AlignedBytes(some * c_row);
    const int64_t part_bytes =
        a_bytes + c_bytes + AlignedBytes(static_cast<int64_t>(end_.ScratchBytes(some * w.out_w, layer_.n)));
    std::byte* const all = memory.Bytes(part_bytes * parts + 64);
    memory.offsets.clear();
    for (int64_t y = 0; y < w.kernel_h; ++y) memory.offsets.push_back(y * w.dilation_h * pitch);
    const int64_t image_bytes = w.height * w.width * layer_.channels;
    pool_.Run(parts, [&](int64_t part) {
      std::byte* const bytes = all + part * part_bytes;
      const int64_t end = rows * (part + 1) / parts;
      for (int64_t row = rows * part / parts, count = 0; row < end; row += count) {
        const int64_t first = row % w.out_h;
        count = std::min({some, end - row, w.out_h - first});
        const auto* const image = static_cast<const char*>(in[0].data()) + row / w.out_h * image_bytes;
        ImageRows a;
        a.a = whole ? image + first * w.stride_h * pitch : static_cast<const void*>(bytes);
        if (!whole) Pad(w, image, first * w.stride_h, (count - 1) * w.stride_h + reach_h, padded, bytes);
        a.m = count * w.out_w;
        a.lda = w.stride_w * layer_.channels;
        a.run = w.out_w;
        a.run_stride = w.stride_h * pitch;
        a.tap_depth = part_;
        a.tap_offset = memory.offsets.data();
        const int64_t begin = row * w.out_w;
        void* const c = end_.straight() ? Pixels::Row(out, begin) : bytes + a_bytes;
        product_->MultiplyImage(a, c);
        if (!end_.straight()) end_.Finish(c, begin, a.m, in, out, bytes + a_bytes + c_bytes);
      }
    });
  }

  // `count` rows of the padded image, of which `first` is the first: each is the patch of a kernel as wide.
  void Pad(const Window& w, const void* image, int64_t first, int64_t count, int64_t width,
           void* to) const noexcept {
    PatchesArgs args;
    args.window = {w.height, w.width, 1, width, 1, 1, 1, 1, w.pad_top, w.pad_left, first + count, 1};
    args.channels = args.in_pixel = layer_.channels;
    args.element = 1;
    args.channels_first = plain_;
    args.in = image;
    args.pad = static_cast<uint8_t>(layer_.integers->input.zero);
    args.p0 = first;
    args.p1 = first + count;
    args.out = to;
    args.out_row = width * layer_.channels;
    patches_.run(args);
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

  const int64_t reach_, part_;  // elements of a row of the kernel, and with their padding
  const int64_t depth_;
  const PatchesKernel& patches_;
  const std::unique_ptr<Product> product_;
};

}  // namespace

std::unique_ptr<Step> MakePatchesStep(const LayerBuild& build, const ConvLayer& layer) {
  return std::make_unique<PatchesStep>(build, layer);
}

}  // namespace strop::engine
