#include <array>

#include <fmt/format.h>

#include "strop/model/dims.h"
#include "strop/model/shapes/rule.h"

namespace strop::model::shapes {
namespace {

// -1 matches anything.
void CheckDims(const Call& call, size_t input, const Shape& wanted) {
  const Dims* dims = call.DimsOf(input);
  if (!dims) return;
  bool fits = dims->size() == wanted.size();
  for (size_t i = 0; fits && i < wanted.size(); ++i)
    fits = !(*dims)[i].known() || wanted[i] < 0 || (*dims)[i].size == wanted[i];
  if (!fits) {
    ThrowNode(call.node, fmt::format("the input at position {} is {}, expected {}", input,
                                     ShapeText(SizesOf(*dims)), ShapeText(wanted)));
  }
}

int64_t Directions(const Call& call) {
  const std::string direction = call.node.Text("direction", "forward");
  if (direction == "bidirectional") return 2;
  if (direction != "forward" && direction != "reverse")
    ThrowNode(call.node, "its direction is none of forward, reverse and bidirectional");
  return 1;
}

Dim Size(const Call& call, size_t input, size_t axis, size_t rank) {
  const Dims* dims = call.DimsOf(input);
  return dims && dims->size() == rank ? (*dims)[axis] : Dim{};
}

// RNN, GRU and LSTM, of 1, 3 and 4 gates: X [time, batch, in], W [directions, gates * hidden, in],
// R [directions, gates * hidden, hidden], B [directions, 2 * gates * hidden], lengths [batch] and states
// [directions, batch, hidden]. With layout 1 the batch leads X, the states and the answers.
void Infer(Call& call, int64_t gates) {
  const bool batch_leads = call.node.Int("layout", 0) != 0;
  const int64_t directions = Directions(call);
  Dim hidden = Size(call, 2, 2, 3);
  const int64_t declared = call.node.Int("hidden_size", hidden.size);
  if (call.node.attributes.contains("hidden_size") &&
      (declared < 1 || declared > INT32_MAX || (hidden.known() && hidden.size != declared))) {
    ThrowNode(call.node, fmt::format("hidden_size is {}, but R is of {}", declared,
                                     hidden.known() ? std::to_string(hidden.size) : "unknown size"));
  }
  hidden = {declared, {}};
  const Dim time = Size(call, 0, batch_leads ? 1 : 0, 3), batch = Size(call, 0, batch_leads ? 0 : 1, 3);
  const int64_t rows = hidden.known() ? gates * hidden.size : -1;
  const Shape state =
      batch_leads ? Shape{batch.size, directions, hidden.size} : Shape{directions, batch.size, hidden.size};
  CheckDims(call, 0, {-1, -1, Size(call, 1, 2, 3).size});
  CheckDims(call, 1, {directions, rows, -1});
  CheckDims(call, 2, {directions, rows, hidden.size});
  CheckDims(call, 3, {directions, rows < 0 ? -1 : 2 * rows});
  CheckDims(call, 4, {batch.size});
  CheckDims(call, 5, state);
  if (gates == 4) {
    CheckDims(call, 6, state);
    CheckDims(call, 7, {directions, hidden.known() ? 3 * hidden.size : -1});
  }
  const Type* x = call.In(0);
  if (!x) return;
  const Dim ways{directions, {}};
  const Dims last = batch_leads ? Dims{batch, ways, hidden} : Dims{ways, batch, hidden};
  call.Out(0, x->dtype, batch_leads ? Dims{batch, time, ways, hidden} : Dims{time, ways, batch, hidden});
  call.Out(1, x->dtype, last);
  if (gates == 4) call.Out(2, x->dtype, last);
}

constexpr std::array kRules = {
    Rule{"GRU", [](Call& call) { Infer(call, 3); }},
    Rule{"LSTM", [](Call& call) { Infer(call, 4); }},
    Rule{"RNN", [](Call& call) { Infer(call, 1); }},
};

}  // namespace

std::span<const Rule> RecurrentRules() { return kRules; }

}  // namespace strop::model::shapes
