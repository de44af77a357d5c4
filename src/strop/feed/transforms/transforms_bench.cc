#include <cmath>
#include <cstdlib>

#include <benchmark/benchmark.h>

#include "strop/base/rng.h"
#include "strop/feed/transforms/test_images.h"
#include "strop/feed/transforms/transform.h"

namespace strop::feed {
namespace {

TransformChain Chain(Shape shape, const std::string& specs) {
  data::Column column;
  column.name = "x";
  column.dtype = DType::kU8;
  column.shape = std::move(shape);
  return TransformChain(column, TransformSpec::ParseList(specs));
}

void Check(benchmark::State& state, double found, double expected, double tolerance) {
  if (std::fabs(found - expected) > tolerance) state.SkipWithError("the answer is wrong");
}

// A photograph's size and ImageNet's target: 375 x 500 to 224 x 224, or a source
// range(0) times as large, decoded whole or reduced.
void BM_DecodeResize(benchmark::State& state) {
  const int factor = static_cast<int>(state.range(0));
  const JpegRecipe recipe{.height = 375 * factor, .width = 500 * factor};
  const std::string bytes = EncodeJpeg(recipe);
  const std::string minimum = state.range(1) != 0 ? "" : R"(,"min_height":0)";
  const TransformChain chain =
      Chain({-1}, R"([{"column":"x","name":"decode")" + minimum +
                      R"(},{"column":"x","name":"resize","height":224,"width":224}])");
  TransformChain::Scratch scratch;
  const RowValue row{
      DType::kU8, {static_cast<int64_t>(bytes.size())}, reinterpret_cast<const uint8_t*>(bytes.data())};
  RowValue out;
  for (auto _ : state) out = chain.Apply(row, 1, nullptr, scratch);
  Check(state, out.data[112 * 224 + 112], 128, 6);            // red, half way to the right
  Check(state, out.data[224 * 224 + 200 * 224 + 5], 227, 6);  // green, near the bottom
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_DecodeResize)
    ->ArgNames({"factor", "reduced"})
    ->Args({1, 1})
    ->Args({4, 0})
    ->Args({4, 1})
    ->Unit(benchmark::kMillisecond);

std::vector<uint8_t> Noise(size_t count) {
  std::vector<uint8_t> values(count);
  Rng rng(3);
  for (uint8_t& value : values) value = static_cast<uint8_t>(rng());
  return values;
}

void BM_Resize(benchmark::State& state) {
  std::vector<uint8_t> image = Noise(3 * 375 * 500);
  for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<uint8_t>(i % 500 / 2);
  const TransformChain chain =
      Chain({3, 375, 500}, R"([{"column":"x","name":"resize","height":224,"width":224}])");
  TransformChain::Scratch scratch;
  RowValue out;
  for (auto _ : state) out = chain.Apply({DType::kU8, {3, 375, 500}, image.data()}, 1, nullptr, scratch);
  Check(state, out.data[100 * 224 + 100], 100.5 * 500 / 224 / 2, 1);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Resize)->Unit(benchmark::kMillisecond);

void BM_Normalise(benchmark::State& state) {
  const std::vector<uint8_t> image = Noise(3 * 224 * 224);
  const TransformChain chain =
      Chain({3, 224, 224}, R"([{"column":"x","name":"normalise","mean":[0.485,0.456,0.406],
      "std":[0.229,0.224,0.225],"scale":0.00392156862745098}])");
  std::vector<float> place(image.size());
  TransformChain::Scratch scratch;
  for (auto _ : state) {
    chain.Apply({DType::kU8, {3, 224, 224}, image.data()}, 1, reinterpret_cast<uint8_t*>(place.data()),
                scratch);
    benchmark::ClobberMemory();
  }
  Check(state, static_cast<double>(place.back()), (image.back() / 255.0 - 0.406) / 0.225, 1e-5);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(image.size()));
}
BENCHMARK(BM_Normalise)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace strop::feed
