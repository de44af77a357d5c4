#include <limits>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/feed/transforms/options.h"
#include "strop/feed/transforms/registry.h"

namespace strop::feed {
namespace {

// Elements of up to 24 bits are exact in float; larger ones are scaled in double.
template <class From>
void ScaleRun(const From* in, size_t count, double factor, double offset, float* out) {
  using Real = std::conditional_t<(sizeof(From) > 2 && !std::is_same_v<From, float>), double, float>;
  const auto a = static_cast<Real>(factor), b = static_cast<Real>(offset);
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<float>(static_cast<Real>(in[i]) * a + b);
}

// Channels of one element: a vector of features with a mean each.
template <class From>
void ScaleEach(const From* in, size_t count, const double* factor, const double* offset, float* out) {
  for (size_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(static_cast<double>(in[i]) * factor[i] + offset[i]);
  }
}

class Normalise final : public Transform {
 public:
  Normalise(const std::vector<double>& mean, const std::vector<double>& deviation, double scale) {
    const size_t channels = std::max(mean.size(), deviation.size());
    for (size_t c = 0; c < channels; ++c) {
      const double by = deviation[deviation.size() == 1 ? 0 : c];
      factor_.push_back(scale / by);
      offset_.push_back(-mean[mean.size() == 1 ? 0 : c] / by);
    }
  }

  data::Column Plan(const data::Column& in) override {
    if (factor_.size() > 1 && (in.shape.empty() || in.shape[0] != static_cast<int64_t>(factor_.size()))) {
      RefuseInput(in, fmt::format("{} channels first, one for each mean and std", factor_.size()));
    }
    data::Column out = in;
    out.dtype = DType::kF32;
    return out;
  }

  void Apply(const RowValue& in, uint64_t /*key*/, RowOut& out) const override {
    auto* to = reinterpret_cast<float*>(out.Take(DType::kF32, in.shape));
    if (in.dtype == DType::kF16) {
      const Tensor wide =
          Tensor::Wrap(in.dtype, in.shape, const_cast<uint8_t*>(in.data), nullptr).Cast(DType::kF32);
      return Scale(static_cast<const float*>(wide.data()), in.shape, to);
    }
    ScaleAs(in, to);
  }

 private:
  void ScaleAs(const RowValue& in, float* to) const {
    switch (in.dtype) {
      case DType::kF32:
        return Scale(reinterpret_cast<const float*>(in.data), in.shape, to);
      case DType::kF64:
        return Scale(reinterpret_cast<const double*>(in.data), in.shape, to);
      case DType::kU8:
      case DType::kBool:
        return Scale(in.data, in.shape, to);
      case DType::kI8:
        return Scale(reinterpret_cast<const int8_t*>(in.data), in.shape, to);
      case DType::kU16:
        return Scale(reinterpret_cast<const uint16_t*>(in.data), in.shape, to);
      case DType::kI16:
        return Scale(reinterpret_cast<const int16_t*>(in.data), in.shape, to);
      case DType::kU32:
        return Scale(reinterpret_cast<const uint32_t*>(in.data), in.shape, to);
      case DType::kI32:
        return Scale(reinterpret_cast<const int32_t*>(in.data), in.shape, to);
      case DType::kU64:
        return Scale(reinterpret_cast<const uint64_t*>(in.data), in.shape, to);
      case DType::kI64:
        return Scale(reinterpret_cast<const int64_t*>(in.data), in.shape, to);
      case DType::kF16:
        return;
    }
  }

  template <class From>
  void Scale(const From* in, const Shape& shape, float* to) const {
    const size_t count = static_cast<size_t>(ElementCount(shape));
    const size_t channels = factor_.size();
    if (channels == count) return ScaleEach(in, count, factor_.data(), offset_.data(), to);
    const size_t run = count / channels;
    for (size_t c = 0; c < channels; ++c) ScaleRun(in + c * run, run, factor_[c], offset_[c], to + c * run);
  }

  std::vector<double> factor_, offset_;  // out = in * factor + offset
};

}  // namespace

std::unique_ptr<Transform> MakeNormalise(const TransformSpec& spec) {
  constexpr double kAny = std::numeric_limits<double>::max();
  const Options options(spec, {"mean", "std", "scale"});
  const auto mean = options.Numbers("mean", -kAny);
  const auto deviation = options.Numbers("std", 0.0);
  if (mean.size() > 1 && deviation.size() > 1 && mean.size() != deviation.size()) {
    options.Refuse("std", fmt::format("one number, or {} as mean has", mean.size()));
  }
  return std::make_unique<Normalise>(mean, deviation, options.Number("scale", -kAny, kAny, 1.0));
}

}  // namespace strop::feed
