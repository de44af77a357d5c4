#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "strop/base/api.h"
#include "strop/engine/layers/conv.h"
#include "strop/engine/layers/layer.h"

namespace strop::engine {

class Search;

// A depthwise separable convolution (Howard et al., "MobileNets", 2017), behind an expansion of its channels
// where it is an inverted residual (Sandler et al., "MobileNetV2", 2018): point convolution, depthwise, point
// convolution with its chain. Run strip by strip of rows, so that the wide images between are never whole.
struct STROP_API SeparableLayer {
  std::optional<ConvLayer> expand;
  ConvLayer depthwise, project;
};

// Takes out of `convs` those that make such layers of images too large for the caches; what is between them
// nothing else reads.
STROP_API std::vector<SeparableLayer> JoinSeparable(const Search& search, std::vector<ConvLayer>& convs);
Layer AsLayer(SeparableLayer layer);
std::unique_ptr<Step> MakeSeparableStep(const LayerBuild& build, const SeparableLayer& layer);

}  // namespace strop::engine
