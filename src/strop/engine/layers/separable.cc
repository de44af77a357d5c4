#include "strop/engine/layers/separable.h"

#include <algorithm>
#include <utility>

#include "strop/engine/layers/search.h"
#include "strop/engine/step.h"

namespace strop::engine {
namespace {

// Of the depthwise input: where fewer rows are shared among threads, each would expand its neighbours' edges
// too, and smaller images stay in L2 by themselves.
constexpr int64_t kFewestRows = 14;

bool IsPoint(const ConvLayer& conv) {
  const auto all = [&](const char* attribute, int64_t wanted) {
    const std::vector<int64_t> values = conv.window.Ints(attribute);
    return std::all_of(values.begin(), values.end(), [&](int64_t value) { return value == wanted; });
  };
  return !conv.depthwise && conv.kernel_h == 1 && conv.kernel_w == 1 && all("strides", 1) && all("pads", 0);
}

// Whether `next` alone reads what `conv` makes, as it is.
bool Feeds(const Search& search, const ConvLayer& conv, const ConvLayer& next) {
  const size_t reader = search.OnlyConsumer(conv.output);
  return next.input == conv.output && !conv.chain &&
         std::find(next.nodes.begin(), next.nodes.end(), reader) != next.nodes.end();
}

}  // namespace

std::vector<SeparableLayer> JoinSeparable(const Search& search, std::vector<ConvLayer>& convs) {
  std::vector<SeparableLayer> found;
  std::vector<bool> joined(convs.size(), false);
  const auto find = [&](auto fits) {
    return static_cast<size_t>(std::find_if(convs.begin(), convs.end(), fits) - convs.begin());
  };
  for (size_t i = 0; i < convs.size(); ++i) {
    const ConvLayer& depthwise = convs[i];
    if (!depthwise.depthwise || depthwise.height < kFewestRows) continue;
    const size_t next =
        find([&](const ConvLayer& conv) { return IsPoint(conv) && Feeds(search, depthwise, conv); });
    if (next == convs.size()) continue;
    const size_t before =
        find([&](const ConvLayer& conv) { return IsPoint(conv) && Feeds(search, conv, depthwise); });
    SeparableLayer layer{{}, depthwise, convs[next]};
    if (before < convs.size() && !joined[before]) {
      layer.expand = convs[before];
      joined[before] = true;
    }
    joined[i] = joined[next] = true;
    found.push_back(std::move(layer));
  }
  std::vector<ConvLayer> left;
  for (size_t i = 0; i < convs.size(); ++i)
    if (!joined[i]) left.push_back(std::move(convs[i]));
  convs = std::move(left);
  return found;
}

Layer AsLayer(SeparableLayer separable) {
  Layer layer;
  const ConvLayer& first = separable.expand ? *separable.expand : separable.depthwise;
  if (separable.expand) layer.nodes = separable.expand->nodes;
  for (const ConvLayer* conv : {&separable.depthwise, &separable.project})
    layer.nodes.insert(layer.nodes.end(), conv->nodes.begin(), conv->nodes.end());
  std::sort(layer.nodes.begin(), layer.nodes.end());
  layer.head = separable.depthwise.conv;
  layer.orders = Orders::kAny;
  layer.inputs = {first.input};
  const std::optional<Chain>& chain = separable.project.chain;
  for (size_t i = 1; chain && i < chain->inputs.size(); ++i) layer.inputs.push_back(chain->inputs[i].value);
  layer.output = separable.project.output;
  layer.make = [separable = std::move(separable)](const LayerBuild& build) {
    return MakeSeparableStep(build, separable);
  };
  return layer;
}

}  // namespace strop::engine
