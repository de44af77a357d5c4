#include "strop/engine/layers/permute.h"

#include <algorithm>
#include <cstring>

namespace strop::engine {

Permutation::Permutation(const Shape& shape, std::span<const int64_t> perm, int64_t element) noexcept
    : element_(element) {
  std::array<int64_t, kMostAxes> strides{};
  int64_t stride = 1;
  for (size_t axis = shape.size(); axis-- > 0; stride *= shape[axis]) strides[axis] = stride;
  for (const int64_t axis : perm)
    Append({shape[static_cast<size_t>(axis)], strides[static_cast<size_t>(axis)], 0});
  if (element != 1 && element != 4) {  // which the kernels transpose: others move as runs of bytes
    for (size_t i = 0; i < count_; ++i) axes_[i].in *= element;
    element_ = 1;
    Append({element, 1, 0});
  }
  int64_t out = 1;
  for (size_t i = count_; i-- > 0; out *= axes_[i].size) axes_[i].out = out;
  if (count_ == 0) return;
  const Axis last = axes_[count_ - 1];
  --count_;
  if (last.in == 1) {
    run_ = last.size;
  } else {
    // The input's last axis and the answer's: what lies between them repeats.
    const auto inner = std::find_if(axes_.begin(), axes_.begin() + static_cast<ptrdiff_t>(count_),
                                    [](const Axis& axis) { return axis.in == 1; });
    run_ = 0;
    rows_ = last.size;
    in_row_ = last.in;
    columns_ = inner->size;
    out_row_ = inner->out;
    std::copy(inner + 1, axes_.begin() + static_cast<ptrdiff_t>(count_), inner);
    --count_;
  }
  for (size_t i = 0; i < count_; ++i) pieces_ *= axes_[i].size;
}

void Permutation::Append(Axis axis) noexcept {
  if (axis.size == 1) return;
  if (count_ > 0 && axes_[count_ - 1].in == axis.in * axis.size) {
    axes_[count_ - 1].size *= axis.size;
    axes_[count_ - 1].in = axis.in;
    return;
  }
  axes_[count_++] = axis;
}

void Permutation::Run(const void* in, void* out, int64_t begin, int64_t end,
                      TransposeFn transpose) const noexcept {
  std::array<int64_t, kMostAxes + 1> index{};
  const char* from = static_cast<const char*>(in);
  char* to = static_cast<char*>(out);
  int64_t rest = begin;
  for (size_t i = count_; i-- > 0; rest /= axes_[i].size) {
    index[i] = rest % axes_[i].size;
    from += index[i] * axes_[i].in * element_;
    to += index[i] * axes_[i].out * element_;
  }
  for (int64_t piece = begin; piece < end; ++piece) {
    Piece(from, to, transpose);
    for (size_t i = count_; i-- > 0;) {
      from += axes_[i].in * element_;
      to += axes_[i].out * element_;
      if (++index[i] < axes_[i].size) break;
      from -= axes_[i].size * axes_[i].in * element_;
      to -= axes_[i].size * axes_[i].out * element_;
      index[i] = 0;
    }
  }
}

void Permutation::Piece(const char* in, char* out, TransposeFn transpose) const noexcept {
  if (run_ > 0) {
    std::memcpy(out, in, static_cast<size_t>(run_ * element_));
    return;
  }
  TransposeArgs args;
  args.rows = rows_;
  args.columns = columns_;
  args.element = element_;
  args.in = in;
  args.in_row = in_row_;
  args.out = out;
  args.out_row = out_row_;
  transpose(args);
}

}  // namespace strop::engine
