#include "strop/model/reference/control.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/reference/numeric.h"
#include "strop/model/subgraph.h"

namespace strop::model::reference {
namespace {

Graph Body(const Call& call, const char* attribute) {
  const auto found = call.node.attributes.find(attribute);
  const auto* bytes =
      found == call.node.attributes.end() ? nullptr : std::get_if<SubgraphBytes>(&found->second);
  if (bytes == nullptr) call.Fail(fmt::format("the graph {} is missing", attribute));
  return ReadSubgraph(*bytes);
}

Results If(const Call& call, const TensorMap& scope, const RunBody& run) {
  const Tensor& condition = call.In(0);
  if (condition.dtype() != DType::kBool || condition.size() != 1) call.Fail("the condition is not one bool");
  return run(Body(call, condition.As<bool>()[0] ? "then_branch" : "else_branch"), scope);
}

// x[..., at, ...] without the axis.
Tensor Picked(const Tensor& x, int64_t axis, int64_t at) {
  std::vector<int64_t> strides = RowMajorStrides(x.shape());
  const int64_t step = strides[static_cast<size_t>(axis)];
  Shape shape = x.shape();
  shape.erase(shape.begin() + axis);
  strides.erase(strides.begin() + axis);
  return CopyWalk(x, shape, strides, at * step);
}

Tensor Stacked(const Call& call, const std::vector<Tensor>& parts, int64_t axis) {
  Shape shape = parts.at(0).shape();
  axis = NormalAxis(call.node, axis, static_cast<int64_t>(shape.size()) + 1);
  shape.insert(shape.begin() + axis, static_cast<int64_t>(parts.size()));
  const Tensor y = Tensor::New(parts[0].dtype(), shape);
  const Around around = SplitAround(shape, axis);
  const size_t bytes = static_cast<size_t>(around.inner) * SizeOf(y.dtype());
  for (int64_t i = 0; i < around.size; ++i) {
    const Tensor& part = parts[static_cast<size_t>(i)];
    if (part.shape() != parts[0].shape() || part.dtype() != y.dtype())
      call.Fail("the steps answer other shapes");
    for (int64_t outer = 0; outer < around.outer; ++outer)
      std::memcpy(static_cast<char*>(y.data()) + static_cast<size_t>(outer * around.size + i) * bytes,
                  static_cast<const char*>(part.data()) + static_cast<size_t>(outer) * bytes, bytes);
  }
  return y;
}

// One number for each of `count` scanned values.
std::vector<int64_t> PerValue(const Call& call, const char* attribute, size_t count) {
  std::vector<int64_t> values = call.node.Ints(attribute, std::vector<int64_t>(count, 0));
  if (values.size() != count)
    call.Fail(fmt::format("{} has {} values, expected {}", attribute, values.size(), count));
  return values;
}

Results Scan(const Call& call, const TensorMap& scope, const RunBody& run) {
  const Graph body = Body(call, "body");
  const auto scanned = static_cast<size_t>(std::max<int64_t>(0, call.node.Int("num_scan_inputs", 0)));
  if (scanned < 1 || scanned > call.inputs.size() || body.inputs.size() != call.inputs.size())
    call.Fail(fmt::format("{} scanned inputs of {}", scanned, call.inputs.size()));
  const size_t states = call.inputs.size() - scanned;
  if (body.outputs.size() < states) call.Fail("the body answers fewer values than there are states");
  const size_t collected = body.outputs.size() - states;
  std::vector<int64_t> axes = PerValue(call, "scan_input_axes", scanned);
  const std::vector<int64_t> back = PerValue(call, "scan_input_directions", scanned);
  int64_t steps = -1;
  for (size_t i = 0; i < scanned; ++i) {
    const Shape& shape = call.In(states + i).shape();
    axes[i] = NormalAxis(call.node, axes[i], static_cast<int64_t>(shape.size()));
    const int64_t size = shape[static_cast<size_t>(axes[i])];
    if (steps >= 0 && size != steps) call.Fail("the scanned inputs differ in length");
    steps = size;
  }
  if (steps < 1) call.Refuse("a scan of no step");
  Results state(call.inputs.begin(), call.inputs.begin() + static_cast<ptrdiff_t>(states));
  std::vector<std::vector<Tensor>> seen(collected);
  for (int64_t step = 0; step < steps; ++step) {
    TensorMap inside = scope;
    for (size_t i = 0; i < states; ++i) inside[body.inputs[i].name] = state[i];
    for (size_t i = 0; i < scanned; ++i)
      inside[body.inputs[states + i].name] =
          Picked(call.In(states + i), axes[i], back[i] != 0 ? steps - 1 - step : step);
    const Results answers = run(body, inside);
    std::copy_n(answers.begin(), states, state.begin());
    for (size_t i = 0; i < collected; ++i) seen[i].push_back(answers[states + i]);
  }
  const std::vector<int64_t> out_axes = PerValue(call, "scan_output_axes", collected);
  const std::vector<int64_t> out_back = PerValue(call, "scan_output_directions", collected);
  for (size_t i = 0; i < collected; ++i) {
    if (out_back[i] != 0) std::reverse(seen[i].begin(), seen[i].end());
    state.push_back(Stacked(call, seen[i], out_axes[i]));
  }
  return state;
}

}  // namespace

// Scan of opset 8 has a batch and lengths.
bool IsControl(const Node& node, int64_t opset) {
  return node.domain.empty() && (node.op == "If" || (node.op == "Scan" && opset >= 9));
}

std::vector<Graph> Bodies(const Node& node) {
  std::vector<Graph> bodies;
  for (const auto& [name, attribute] : node.attributes)
    if (const auto* bytes = std::get_if<SubgraphBytes>(&attribute)) bodies.push_back(ReadSubgraph(*bytes));
  return bodies;
}

Results EvaluateControl(const Call& call, const TensorMap& scope, const RunBody& run) {
  return call.node.op == "If" ? If(call, scope, run) : Scan(call, scope, run);
}

}  // namespace strop::model::reference
