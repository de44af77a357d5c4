#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"
#include "strop/model/text.h"

namespace strop::model::reference {
namespace {

struct Sizes {
  int64_t batch, length, heads, key_heads, width, value_width;
};

Sizes SizesOf(const Call& call) {
  const Shape &q = call.In(0).shape(), &k = call.In(1).shape(), &v = call.In(2).shape();
  const int64_t heads = call.node.Int("q_num_heads", 0), key_heads = call.node.Int("kv_num_heads", 0);
  if (heads < 1 || key_heads < 1 || heads % key_heads != 0)
    call.Fail(fmt::format("{} heads of queries for {} of keys", heads, key_heads));
  const bool fits = q.size() == 3 && k.size() == 3 && v.size() == 3 && q[2] % heads == 0 &&
                    v[2] % key_heads == 0 && k == Shape{q[0], q[1], q[2] / heads * key_heads} &&
                    v[0] == q[0] && v[1] == q[1];
  if (!fits)
    call.Fail(fmt::format("queries {}, keys {} and values {} do not belong together", ShapeText(q),
                          ShapeText(k), ShapeText(v)));
  return {q[0], q[1], heads, key_heads, q[2] / heads, v[2] / key_heads};
}

// A [batch, length, n] input where n is one of `widths`, or nothing when the rule has none.
Tensor Gate(const Call& call, size_t input, bool wanted, const char* name, const Sizes& sizes,
            std::initializer_list<int64_t> widths) {
  if (call.Has(input) != wanted)
    call.Fail(fmt::format("the update rule {} {}", wanted ? "needs" : "has no", name));
  if (!wanted) return {};
  const Shape& shape = call.In(input).shape();
  if (shape.size() != 3 || shape[0] != sizes.batch || shape[1] != sizes.length ||
      std::find(widths.begin(), widths.end(), shape[2]) == widths.end())
    call.Fail(fmt::format("{} is {}", name, ShapeText(shape)));
  return Doubles(call.In(input));
}

// One step of one head: state [width, value_width] decays and takes k vᵀ up; delta: beta times what v adds.
struct Step {
  const double *k, *v, *decay;  // decay: nullptr, or one a key dimension by `decay_step`
  int64_t decay_step;
  const double* beta;
};

void TakeUp(const Step& step, const Sizes& sizes, double* state) {
  std::vector<double> value(step.v, step.v + sizes.value_width);
  for (int64_t d = 0; step.decay && d < sizes.width; ++d) {
    const double factor = std::exp(step.decay[d * step.decay_step]);
    for (int64_t m = 0; m < sizes.value_width; ++m) state[d * sizes.value_width + m] *= factor;
  }
  for (int64_t m = 0; step.beta && m < sizes.value_width; ++m) {
    double held = 0;
    for (int64_t d = 0; d < sizes.width; ++d) held += state[d * sizes.value_width + m] * step.k[d];
    value[static_cast<size_t>(m)] = *step.beta * (step.v[m] - held);
  }
  for (int64_t d = 0; d < sizes.width; ++d)
    for (int64_t m = 0; m < sizes.value_width; ++m)
      state[d * sizes.value_width + m] += step.k[d] * value[static_cast<size_t>(m)];
}

Tensor StartState(const Call& call, const Sizes& sizes) {
  const Shape shape = {sizes.batch, sizes.key_heads, sizes.width, sizes.value_width};
  if (call.Has(3)) {
    if (call.In(3).shape() != shape)
      call.Fail(
          fmt::format("past_state is {}, expected {}", ShapeText(call.In(3).shape()), ShapeText(shape)));
    return Doubles(call.In(3)).Clone();
  }
  const Tensor state = NewDoubles(shape);
  std::ranges::fill(state.As<double>(), 0.0);
  return state;
}

// chunk_size is a hint that changes no answer.
Results LinearAttention(const Call& call) {
  const DType dtype = call.In(0).dtype();
  const std::string rule = call.node.Text("update_rule", "gated_delta");
  const bool gated = rule == "gated" || rule == "gated_delta",
             delta = rule == "delta" || rule == "gated_delta";
  if (!gated && !delta && rule != "linear") call.Fail(fmt::format("update_rule \"{}\"", Printable(rule)));
  const Sizes sizes = SizesOf(call);
  const int64_t key_width = sizes.key_heads * sizes.width;
  const Tensor q = Doubles(call.In(0)), k = Doubles(call.In(1)), v = Doubles(call.In(2));
  const Tensor decay = Gate(call, 4, gated, "decay", sizes, {sizes.key_heads, key_width});
  const Tensor beta = Gate(call, 5, delta, "beta", sizes, {sizes.key_heads, 1});
  const int64_t decays = gated ? decay.shape()[2] : 0, betas = delta ? beta.shape()[2] : 0;
  const bool a_dimension = decays == key_width && sizes.width > 1;
  const double given = call.node.Float("scale", 0);
  const double scale = given == 0 ? 1 / std::sqrt(static_cast<double>(sizes.width)) : given;
  const Tensor state = StartState(call, sizes);
  const Tensor y = NewDoubles({sizes.batch, sizes.length, sizes.heads * sizes.value_width});
  const int64_t group = sizes.heads / sizes.key_heads, cells = sizes.width * sizes.value_width;
  for (int64_t n = 0; n < sizes.batch * sizes.length; ++n) {
    for (int64_t head = 0; head < sizes.key_heads; ++head) {
      double* own = state.As<double>().data() + (n / sizes.length * sizes.key_heads + head) * cells;
      const double* gate =
          gated ? decay.As<double>().data() + n * decays + head * (a_dimension ? sizes.width : 1) : nullptr;
      const double* much = delta ? beta.As<double>().data() + n * betas + (betas == 1 ? 0 : head) : nullptr;
      TakeUp({k.As<double>().data() + (n * sizes.key_heads + head) * sizes.width,
              v.As<double>().data() + (n * sizes.key_heads + head) * sizes.value_width, gate,
              a_dimension ? 1 : 0, much},
             sizes, own);
      for (int64_t reader = head * group; reader < (head + 1) * group; ++reader) {
        const double* asks = q.As<double>().data() + (n * sizes.heads + reader) * sizes.width;
        double* out = y.As<double>().data() + (n * sizes.heads + reader) * sizes.value_width;
        for (int64_t m = 0; m < sizes.value_width; ++m) {
          double sum = 0;
          for (int64_t d = 0; d < sizes.width; ++d) sum += asks[d] * own[d * sizes.value_width + m];
          out[m] = scale * sum;
        }
      }
    }
  }
  return {y.Cast(dtype), state.Cast(call.Has(3) ? call.In(3).dtype() : dtype)};
}

constexpr Operator kOperators[] = {{"LinearAttention", 27, LinearAttention}};

}  // namespace

std::span<const Operator> LinearAttentionOperators() { return kOperators; }

}  // namespace strop::model::reference
