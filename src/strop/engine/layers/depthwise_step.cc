#include <algorithm>

#include "strop/engine/layers/conv_step.h"
#include "strop/engine/layers/depthwise.h"

namespace strop::engine {
namespace {

constexpr int64_t kBlockBytes = 1 << 19;    // of answers that a chain takes from L2
constexpr int64_t kWorthAThread = 1 << 16;  // multiply-adds

// Each channel by itself.
class DepthwiseStep : public ConvStep {
 public:
  DepthwiseStep(const LayerBuild& build, const ConvLayer& layer)
      : ConvStep(build, layer), depthwise_(build.graph, layer, flags_) {
    plan.kernel = depthwise_.kernel();
    plan.isa = IsaName(depthwise_.isa());
  }

 private:
  void Compute(Memory& memory, std::span<const Tensor> in, const Tensor& out) const override {
    const Window& w = memory.window;
    const int64_t images = in[0].shape()[0], rows = images * w.out_h;
    const int64_t work = rows * w.out_w * layer_.n * w.kernel_h * w.kernel_w;
    const int64_t parts =
        std::clamp<int64_t>(work / kWorthAThread, 1, std::min<int64_t>(pool_.threads(), rows));
    const int64_t row_bytes = AlignedBytes(w.out_w * layer_.n * static_cast<int64_t>(SizeOf(dtype_)));
    const int64_t some = std::max<int64_t>(1, std::min(w.out_h, kBlockBytes / row_bytes));  // rows of a block
    const int64_t image_bytes = plain_ ? AlignedBytes(w.height * w.width * layer_.n * input_) : 0;
    const int64_t c_bytes = end_.straight() ? 0 : some * row_bytes;
    const int64_t part_bytes =
        image_bytes + c_bytes +
        AlignedBytes(static_cast<int64_t>(end_.ScratchBytes(some * w.out_w, layer_.n)));
    std::byte* const all = memory.Bytes(part_bytes * parts + 64);
    pool_.Run(parts, [&](int64_t part) {
      std::byte* const bytes = all + part * part_bytes;
      int64_t gathered = -1;
      const int64_t end = rows * (part + 1) / parts;
      for (int64_t row = rows * part / parts; row < end;) {
        const int64_t image = row / w.out_h, first = row % w.out_h;
        int64_t count = std::min(end - row, w.out_h - first);
        if (!end_.straight()) count = std::min(count, some);
        const int64_t pixels = w.height * w.width, begin = row * w.out_w;
        const void* from = plain_ ? bytes : Pixels::Row(in[0], image * pixels);
        if (plain_ && gathered != image) pixels_.Gather(in[0], image * pixels, pixels, bytes);
        gathered = image;
        void* const c = end_.straight() ? Pixels::Row(out, begin) : bytes + image_bytes;
        depthwise_.Rows(w, from, first, count, c);
        if (!end_.straight()) end_.Finish(c, begin, count * w.out_w, in, out, bytes + image_bytes + c_bytes);
        row += count;
      }
    });
  }

  const Depthwise depthwise_;
};

}  // namespace

std::unique_ptr<Step> MakeDepthwiseStep(const LayerBuild& build, const ConvLayer& layer) {
  return std::make_unique<DepthwiseStep>(build, layer);
}

}  // namespace strop::engine
