#include "strop/model/reference/taps.h"

#include "strop/model/reference/numeric.h"

namespace strop::model::reference {

Taps TapsAt(const Window& window, const Shape& spatial, const std::vector<int64_t>& position) {
  Taps result;
  const std::vector<int64_t> strides = RowMajorStrides(spatial);
  const int64_t kernel_size = Product(window.kernel, 0, window.kernel.size());
  Walk walk(window.kernel, {});
  for (int64_t k = 0; k < kernel_size; ++k, walk.Next()) {
    bool inside = true, in_pads = true;
    int64_t offset = 0;
    for (size_t axis = 0; axis < spatial.size(); ++axis) {
      const int64_t at = position[axis] * window.strides[axis] + walk.index()[axis] * window.dilations[axis] -
                         window.pads_begin[axis];
      inside = inside && at >= 0 && at < spatial[axis];
      in_pads = in_pads && at < spatial[axis] + window.pads_end[axis];
      offset += at * strides[axis];
    }
    if (inside) result.taps.push_back({offset, k});
    if (in_pads) ++result.padded;
  }
  return result;
}

}  // namespace strop::model::reference
