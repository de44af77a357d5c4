#include "strop/engine/layers/pixels.h"

#include <algorithm>
#include <array>

namespace strop::engine {
namespace {

constexpr size_t kAlign = 64;

size_t Aligned(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

struct Image {
  int64_t channels, pixels, size;
  explicit Image(const Tensor& tensor)
      : channels(tensor.shape()[1]),
        pixels(tensor.shape()[2] * tensor.shape()[3]),
        size(static_cast<int64_t>(SizeOf(tensor.dtype()))) {}
};

// part(image, first pixel, count, row) for each image that the pixels touch.
template <class Part>
void ForImages(int64_t begin, int64_t count, int64_t pixels, const Part& part) {
  for (int64_t row = 0; row < count;) {
    const int64_t image = (begin + row) / pixels, first = (begin + row) % pixels;
    const int64_t some = std::min(count - row, pixels - first);
    part(image, first, some, row);
    row += some;
  }
}

}  // namespace

void Pixels::Gather(const Tensor& from, int64_t begin, int64_t count, void* rows) const noexcept {
  const Image image(from);
  ForImages(begin, count, image.pixels, [&](int64_t at, int64_t first, int64_t some, int64_t row) {
    TransposeArgs args;
    args.rows = image.channels;
    args.columns = some;
    args.element = image.size;
    args.in =
        static_cast<const char*>(from.data()) + (at * image.channels * image.pixels + first) * image.size;
    args.in_row = image.pixels;
    args.out = static_cast<char*>(rows) + row * image.channels * image.size;
    args.out_row = image.channels;
    transpose_.run(args);
  });
}

void Pixels::Scatter(const void* rows, int64_t begin, int64_t count, const Tensor& to) const noexcept {
  const Image image(to);
  ForImages(begin, count, image.pixels, [&](int64_t at, int64_t first, int64_t some, int64_t row) {
    TransposeArgs args;
    args.rows = some;
    args.columns = image.channels;
    args.element = image.size;
    args.in = static_cast<const char*>(rows) + row * image.channels * image.size;
    args.in_row = image.channels;
    args.out = static_cast<char*>(to.data()) + (at * image.channels * image.pixels + first) * image.size;
    args.out_row = image.pixels;
    transpose_.run(args);
  });
}

void* Pixels::Row(const Tensor& tensor, int64_t pixel) noexcept {
  const Image image(tensor);
  return static_cast<char*>(tensor.data()) + pixel * image.channels * image.size;
}

PixelEnd::PixelEnd(const LayerBuild& build, const std::optional<Chain>& chain, DType product)
    : pixels_(Limit(Cpu(), build.isa)), product_(product), order_(build.output), inputs_(build.inputs) {
  if (!chain) return;
  program_.emplace(build.graph, *chain, build.isa);
  for (const ChainInput& input : chain->inputs) sizes_.push_back(input.integers ? 1 : sizeof(float));
}

size_t PixelEnd::ScratchBytes(int64_t pixels, int64_t n) const noexcept {
  const auto elements = static_cast<size_t>(pixels * n);
  size_t bytes = 0;
  if (program_) bytes += Aligned(program_->scratch_floats() * sizeof(float));
  for (size_t i = 1; i < sizes_.size(); ++i)
    if (inputs_[i] == Order::kPlain) bytes += Aligned(elements * sizes_[i]);
  if (program_ && order_ == Order::kPlain) bytes += Aligned(elements * SizeOf(dtype()));
  return bytes;
}

void PixelEnd::Finish(const void* product, int64_t begin, int64_t count, std::span<const Tensor> in,
                      const Tensor& answer, std::byte* scratch) const noexcept {
  if (!program_) return pixels_.Scatter(product, begin, count, answer);
  const int64_t n = answer.shape()[1];
  const auto take = [&](size_t bytes) {
    std::byte* const taken = scratch;
    scratch += Aligned(bytes);
    return taken;
  };
  auto* const floats = reinterpret_cast<float*>(take(program_->scratch_floats() * sizeof(float)));
  std::array<const void*, kMostInputs> pointers{product};
  for (size_t i = 1; i < sizes_.size(); ++i) {
    if (inputs_[i] == Order::kPlain) {
      void* const rows = take(static_cast<size_t>(count * n) * sizes_[i]);
      pixels_.Gather(in[i], begin, count, rows);
      pointers[i] = rows;
    } else {
      pointers[i] = Pixels::Row(in[i], begin);
    }
  }
  const bool plain = order_ == Order::kPlain;
  void* const rows =
      plain ? take(static_cast<size_t>(count * n) * SizeOf(dtype())) : Pixels::Row(answer, begin);
  program_->Run({pointers.data(), sizes_.size()}, rows, begin * n, count * n, floats);
  if (plain) pixels_.Scatter(rows, begin, count, answer);
}

}  // namespace strop::engine
