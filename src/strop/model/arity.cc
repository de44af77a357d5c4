#include "strop/model/arity.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <tuple>

#include <fmt/format.h>

#include "strop/model/dims.h"

namespace strop::model {
namespace {

struct Arity {
  std::string_view domain, op;
  int64_t since;
  size_t required;  // the first inputs, which are not optional
  size_t variadic;  // the input from which on all are of one list
  size_t least_inputs, most_inputs, least_outputs, most_outputs;
};

// In the order of domain, operator and opset; machine-made by arity.py.
constexpr Arity kArities[] = {
#include "arity.inc"
};

const Arity* Find(const Node& node, int64_t opset) {
  const auto key = std::tuple(std::string_view(node.domain), std::string_view(node.op), opset);
  const auto after = std::upper_bound(std::begin(kArities), std::end(kArities), key,
                                      [](const auto& wanted, const Arity& row) {
                                        return wanted < std::tuple(row.domain, row.op, row.since);
                                      });
  if (after == std::begin(kArities)) return nullptr;
  const Arity* found = std::prev(after);
  return found->domain == node.domain && found->op == node.op ? found : nullptr;
}

void CheckCount(const Node& node, const char* what, size_t count, size_t least, size_t most) {
  if (count >= least && count <= most) return;
  ThrowNode(node, fmt::format("it has {} {}, expected {}{}", count, what, least,
                              most == least       ? ""
                              : most == INT32_MAX ? " or more"
                                                  : fmt::format(" to {}", most)));
}

}  // namespace

void CheckArity(const Node& node, const std::map<std::string, int64_t>& opsets) {
  const auto opset = opsets.find(node.domain);
  const Arity* arity = Find(node, opset == opsets.end() ? INT64_MAX : opset->second);
  if (!arity) return;
  CheckCount(node, "inputs", node.inputs.size(), arity->least_inputs, arity->most_inputs);
  CheckCount(node, "outputs", node.outputs.size(), arity->least_outputs, arity->most_outputs);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i].empty() && (i < arity->required || i >= arity->variadic))
      ThrowNode(node, fmt::format("its input at position {} is missing", i));
  }
}

}  // namespace strop::model
