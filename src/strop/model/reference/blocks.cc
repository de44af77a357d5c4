#include <fmt/format.h>

#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"

// Blocks of pixels to channels and back.
namespace strop::model::reference {
namespace {

// x seen under the shape `split`, its axes in the order `perm`, under the shape `out`.
Tensor Rearranged(const Tensor& x, const Shape& split, const std::vector<size_t>& perm, const Shape& out) {
  const std::vector<int64_t> own = RowMajorStrides(split);
  Shape shape;
  std::vector<int64_t> strides;
  for (const size_t axis : perm) {
    shape.push_back(split[axis]);
    strides.push_back(own[axis]);
  }
  return CopyWalk(x, shape, strides).Reshaped(out);
}

// Whether channels lie as [C, block, block] (CRD) and not as [block, block, C] (DCR).
bool ChannelsFirst(const Call& call) {
  const std::string mode = call.node.Text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") call.Fail("the mode is neither DCR nor CRD");
  return mode == "CRD";
}

constexpr int64_t kMostBlock = 1 << 15;  // whose square times a size cannot overflow

Results SpaceToDepth(const Call& call) {
  const Shape& in = call.In(0).shape();
  const int64_t block = call.node.Int("blocksize", 0);
  if (in.size() != 4 || block < 1 || block > kMostBlock || in[2] % block != 0 || in[3] % block != 0)
    call.Fail(fmt::format("{} has no whole blocks of {}", ShapeText(in), block));
  const int64_t height = in[2] / block, width = in[3] / block;
  const std::vector<size_t> perm =
      ChannelsFirst(call) ? std::vector<size_t>{0, 1, 3, 5, 2, 4} : std::vector<size_t>{0, 3, 5, 1, 2, 4};
  return {Rearranged(call.In(0), {in[0], in[1], height, block, width, block}, perm,
                     {in[0], in[1] * block * block, height, width})};
}

Results DepthToSpace(const Call& call) {
  const Shape& in = call.In(0).shape();
  const int64_t block = call.node.Int("blocksize", 0);
  if (in.size() != 4 || block < 1 || block > kMostBlock || in[1] % (block * block) != 0)
    call.Fail(fmt::format("{} has no channels for blocks of {}", ShapeText(in), block));
  const int64_t channels = in[1] / (block * block);
  const Shape out = {in[0], channels, in[2] * block, in[3] * block};
  if (ChannelsFirst(call))
    return {Rearranged(call.In(0), {in[0], channels, block, block, in[2], in[3]}, {0, 1, 4, 2, 5, 3}, out)};
  return {Rearranged(call.In(0), {in[0], block, block, channels, in[2], in[3]}, {0, 3, 4, 1, 5, 2}, out)};
}

constexpr Operator kOperators[] = {{"DepthToSpace", 1, DepthToSpace}, {"SpaceToDepth", 1, SpaceToDepth}};

}  // namespace

std::span<const Operator> BlockOperators() { return kOperators; }

}  // namespace strop::model::reference
