#include <algorithm>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/engine/kernels/pool/pool.h"
#include "strop/engine/layers/pixels.h"
#include "strop/engine/layers/pool.h"
#include "strop/engine/layers/product.h"
#include "strop/engine/step.h"
#include "strop/model/dims.h"

namespace strop::engine {
namespace {

constexpr int64_t kWorthAThread = 1 << 16;  // taps read
constexpr int64_t kBlockBytes = 1 << 18;    // of rows put channels last at a time, so that they lie in L2
constexpr int64_t kChannels = 64;           // fewest of a thread: a cache line of bytes

int64_t Aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

PoolElement ElementOf(DType dtype) {
  if (dtype == DType::kF32) return PoolElement::kF32;
  return dtype == DType::kU8 ? PoolElement::kU8 : PoolElement::kS8;
}

// What both kinds share.
class PoolStep : public Step {
 public:
  PoolStep(const LayerBuild& build, const PoolLayer& layer, DType answer)
      : layer_(layer),
        kernel_(PickPool(Limit(Cpu(), build.isa))),
        answer_(answer),
        input_(static_cast<int64_t>(SizeOf(layer.dtype))),
        plain_in_(build.inputs[0] == Order::kPlain),
        plain_out_(build.output == Order::kPlain),
        pixels_(Limit(Cpu(), build.isa)),
        pool_(build.pool) {
    inputs = {layer.input};
    outputs = {layer.output};
    Describe(plan, build.graph, layer.nodes, layer.pool);
    plan.kernel = kernel_.name;
    plan.isa = IsaName(kernel_.isa);
    if (layer.dtype != DType::kF32) plan.bits = 8;
  }

  std::unique_ptr<State> NewState() override { return std::make_unique<Memory>(); }

 protected:
  struct Memory : State {
    Window window;  // of images of window.height × window.width
    int64_t pad_bottom = 0, pad_right = 0;
    Tensor bytes;
    std::byte* Bytes(int64_t wanted) {
      if (!bytes || static_cast<int64_t>(bytes.bytes()) < wanted) bytes = Tensor::New(DType::kU8, {wanted});
      return static_cast<std::byte*>(bytes.data());
    }
  };

  void Check(const Shape& shape) const {
    if (shape.size() == 4) return;
    throw Error(Code::kInvalidArgument,
                fmt::format("node {} ({}): its input is {}, expected an image [N,C,H,W]", plan.layer, plan.op,
                            ShapeText(shape)));
  }

  const PoolLayer layer_;
  const PoolKernel& kernel_;
  const DType answer_;
  const int64_t input_;  // bytes of an element
  const bool plain_in_, plain_out_;
  const Pixels pixels_;
  ThreadPool& pool_;
};

// MaxPool and AveragePool: blocks of rows of the answer.
class WindowPoolStep : public PoolStep {
 public:
  WindowPoolStep(const LayerBuild& build, const PoolLayer& layer)
      : PoolStep(build, layer, layer.dtype), count_padding_(layer.window.Int("count_include_pad", 0) != 0) {}

  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    auto& memory = static_cast<Memory&>(state);
    const Shape& shape = in[0].shape();
    Slide(memory, shape);
    const Window& w = memory.window;
    const int64_t images = shape[0], channels = shape[1], rows = images * w.out_h;
    Fit(out[0], answer_, {images, channels, w.out_h, w.out_w});
    if (out[0].size() == 0) return;
    const int64_t taps = rows * w.out_w * channels * w.kernel_h * w.kernel_w;
    const int64_t parts =
        std::clamp<int64_t>(taps / kWorthAThread, 1, std::min<int64_t>(pool_.threads(), rows));
    const Job job = MakeJob(w, channels);
    std::byte* const all = memory.Bytes((job.in_bytes + job.out_bytes) * parts + 64);
    pool_.Run(parts, [&](int64_t part) {
      std::byte* const bytes = all + part * (job.in_bytes + job.out_bytes);
      const int64_t end = rows * (part + 1) / parts;
      for (int64_t row = rows * part / parts; row < end;) {
        const int64_t image = row / w.out_h, first = row % w.out_h;
        const int64_t count = std::min({end - row, w.out_h - first, job.rows});
        RunRows(memory, job, in[0], out[0], image, first, count, bytes);
        row += count;
      }
    });
  }

 private:
  struct Job {
    int64_t rows;                 // of a block of the answer
    int64_t in_bytes, out_bytes;  // of a part's memory: rows of the image and of the answer, channels last
  };

  static int64_t RowsRead(const Window& w, int64_t rows) noexcept {
    return std::min(w.height, (rows - 1) * w.stride_h + (w.kernel_h - 1) * w.dilation_h + 1);
  }

  Job MakeJob(const Window& w, int64_t channels) const noexcept {
    if (!plain_in_ && !plain_out_) return {w.out_h, 0, 0};
    const int64_t row_bytes = w.width * channels * input_, out_row = w.out_w * channels * input_;
    const int64_t rows = std::clamp<int64_t>(kBlockBytes / (row_bytes * w.stride_h), 1, w.out_h);
    return {rows, plain_in_ ? Aligned(RowsRead(w, rows) * row_bytes) : 0,
            plain_out_ ? Aligned(rows * out_row) : 0};
  }

  void Slide(Memory& memory, const Shape& shape) const {
    Check(shape);
    Window& window = memory.window;
    if (window.height == shape[2] && window.width == shape[3]) return;
    const model::Window slid =
        model::SlideWindow(layer_.window, {shape[2], shape[3]}, layer_.window.Ints("kernel_shape"));
    window = {shape[2],           shape[3],           slid.kernel[0],    slid.kernel[1],
              slid.strides[0],    slid.strides[1],    slid.dilations[0], slid.dilations[1],
              slid.pads_begin[0], slid.pads_begin[1], slid.output[0],    slid.output[1]};
    memory.pad_bottom = slid.pads_end[0];
    memory.pad_right = slid.pads_end[1];
  }

  // Rows [first, first + count) of one image's answer.
  void RunRows(const Memory& memory, const Job& job, const Tensor& in, const Tensor& out, int64_t image,
               int64_t first, int64_t count, std::byte* bytes) const noexcept {
    const Window& w = memory.window;
    const int64_t channels = in.shape()[1], pixels = w.height * w.width;
    const char* from = static_cast<const char*>(Pixels::Row(in, image * pixels));
    if (plain_in_) {
      const int64_t begin = std::clamp<int64_t>(first * w.stride_h - w.pad_top, 0, w.height);
      const int64_t end = std::clamp<int64_t>(
          first * w.stride_h - w.pad_top + (count - 1) * w.stride_h + (w.kernel_h - 1) * w.dilation_h + 1,
          begin, w.height);
      pixels_.Gather(in, image * pixels + begin * w.width, (end - begin) * w.width, bytes);
      from = reinterpret_cast<const char*>(bytes) - begin * w.width * channels * input_;
    }
    const int64_t answer = (image * w.out_h + first) * w.out_w;
    void* const rows = plain_out_ ? bytes + job.in_bytes : Pixels::Row(out, answer);
    void* const to = static_cast<char*>(rows) - first * w.out_w * channels * input_;
    if (layer_.kind == PoolKind::kMax) {
      MaxPoolArgs args;
      args.window = w;
      args.channels = args.in_pixel = args.out_pixel = channels;
      args.element = ElementOf(layer_.dtype);
      args.in = from;
      args.out = to;
      args.row0 = first;
      args.row1 = first + count;
      kernel_.max(args);
    } else {
      AveragePoolArgs args;
      args.window = w;
      args.pad_bottom = memory.pad_bottom;
      args.pad_right = memory.pad_right;
      args.count_padding = count_padding_;
      args.channels = args.in_pixel = args.out_pixel = channels;
      args.in = reinterpret_cast<const float*>(from);
      args.out = static_cast<float*>(to);
      args.row0 = first;
      args.row1 = first + count;
      kernel_.average(args);
    }
    if (plain_out_) pixels_.Scatter(rows, answer, count * w.out_w, out);
  }

  const bool count_padding_;
};

// GlobalAveragePool. Its answer lies the same in every order.
class MeanOfAllStep : public PoolStep {
 public:
  MeanOfAllStep(const LayerBuild& build, const PoolLayer& layer)
      : PoolStep(build, layer, layer.output_integers ? layer.output_integers->dtype : DType::kF32) {}

  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    const Shape& shape = in[0].shape();
    Check(shape);
    const int64_t images = shape[0], channels = shape[1], pixels = shape[2] * shape[3];
    Fit(out[0], answer_, {images, channels, 1, 1});
    if (out[0].size() == 0) return;
    if (pixels == 0)
      throw Error(Code::kInvalidArgument,
                  fmt::format("node {} ({}): the image {} is empty", plan.layer, plan.op, ShapeText(shape)));
    // A thread has all channels of an image where they have to be put last.
    const int64_t cuts = plain_in_ ? 1 : std::max<int64_t>(1, channels / kChannels);
    const int64_t parts = std::clamp<int64_t>(in[0].size() / kWorthAThread, 1,
                                              std::min<int64_t>(pool_.threads(), images * cuts));
    const int64_t image_bytes = plain_in_ ? Aligned(pixels * channels * input_) : 0;
    std::byte* const all = static_cast<Memory&>(state).Bytes(image_bytes * parts + 64);
    pool_.Run(parts, [&](int64_t part) {
      for (int64_t cut = images * cuts * part / parts; cut < images * cuts * (part + 1) / parts; ++cut) {
        const int64_t image = cut / cuts, begin = channels * (cut % cuts) / cuts,
                      end = channels * (cut % cuts + 1) / cuts;
        const void* from = Pixels::Row(in[0], image * pixels);
        if (plain_in_) {
          from = all + part * image_bytes;
          pixels_.Gather(in[0], image * pixels, pixels, all + part * image_bytes);
        }
        Mean(from, pixels, channels, begin, end, Pixels::Row(out[0], image));
      }
    });
  }

 private:
  // Channels [begin, end) of one image.
  void Mean(const void* image, int64_t pixels, int64_t channels, int64_t begin, int64_t end,
            void* to) const noexcept {
    GlobalPoolArgs args;
    args.pixels = pixels;
    args.channels = end - begin;
    args.element = ElementOf(layer_.dtype);
    args.in = static_cast<const char*>(image) + begin * input_;
    args.in_pixel = channels;
    args.output = OutputOf(layer_.output_integers);
    args.out = static_cast<char*>(to) + begin * static_cast<int64_t>(SizeOf(answer_));
    if (layer_.input_integers) {
      args.correction = -static_cast<int32_t>(pixels) * layer_.input_integers->zero;
      args.scale = layer_.input_integers->scale / static_cast<float>(pixels);
    }
    if (layer_.output_integers) {
      args.scale /= layer_.output_integers->scale;
      args.zero = layer_.output_integers->zero;
    }
    kernel_.global(args);
  }
};

}  // namespace

std::unique_ptr<Step> MakePoolStep(const LayerBuild& build, const PoolLayer& layer) {
  if (layer.kind == PoolKind::kMeanOfAll) return std::make_unique<MeanOfAllStep>(build, layer);
  return std::make_unique<WindowPoolStep>(build, layer);
}

}  // namespace strop::engine
