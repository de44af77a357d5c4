#include "strop/tune/sampler.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/tune/cma/cma_sampler.h"
#include "strop/tune/gp/gp_sampler.h"
#include "strop/tune/router.h"
#include "strop/tune/tpe/tpe_sampler.h"

namespace strop::tune {
namespace {

class RandomSampler : public Sampler {
 public:
  Suggestion Ask(const Question& question) const override { return AskRandom(question); }
};

class SobolSampler : public Sampler {
 public:
  Suggestion Ask(const Question& question) const override { return AskSobol(question); }
};

// What two settled draws of one configuration share: the bytes of their numbers, all NaN alike.
std::string Key(std::span<const double> draw) {
  std::string key;
  for (double u : draw) {
    if (std::isnan(u)) u = -1;
    key.append(reinterpret_cast<const char*>(&u), sizeof u);
  }
  return key;
}

// The keys of what must not be suggested again.
std::set<std::string, std::less<>> TakenKeys(const Question& question) {
  std::set<std::string, std::less<>> keys;
  for (const auto& trials : {question.finished, question.pending}) {
    for (const Observation& trial : trials) {
      if (trial.repeatable) continue;
      keys.insert(Key(trial.draw));
      if (!trial.suggested.empty()) keys.insert(Key(trial.suggested));
    }
  }
  return keys;
}

[[noreturn]] void ThrowInfeasible(const Space& space, const std::string& what) {
  std::string texts;
  for (const Constraint& constraint : space.constraints())
    texts += fmt::format("{}\"{}\"", texts.empty() ? "" : ", ", constraint.text());
  throw Error(Code::kFailedPrecondition,
              fmt::format("{} keeps to the constraints of the space: {}", what, texts));
}

// Every configuration in order; a continuous range in kSteps equal parts, at their middles.
class GridSampler : public Sampler {
 public:
  Suggestion Ask(const Question& question) const override {
    static constexpr int64_t kSteps = 10;
    const auto taken = TakenKeys(question);
    bool allowed = false;
    std::optional<Params> free;
    question.space.Enumerate(kSteps, [&](const Params& params) {
      allowed = true;
      if (taken.contains(Key(question.space.ToDraw(params)))) return true;
      free = params;
      return false;
    });
    if (!allowed) ThrowInfeasible(question.space, "no configuration of the grid");
    if (!free) throw Exhausted(taken.size());
    return {*free, "grid", "", ""};
  }
};

}  // namespace

Observation Observation::Of(const Space& space, int64_t number, const Params& params,
                            std::vector<double> losses) {
  return {number, space.ToDraw(params), std::move(losses), {}, ""};
}

bool Observation::feasible() const noexcept {
  return std::all_of(violations.begin(), violations.end(), [](double violation) { return violation <= 0; });
}

Sampler::~Sampler() = default;

Exhausted::Exhausted(size_t tried)
    : Error(Code::kFailedPrecondition,
            fmt::format("exhausted: all {} configurations of the search space were tried; widen it to go on",
                        tried)) {}
Exhausted::~Exhausted() = default;

std::unique_ptr<Sampler> MakeSampler(const std::string& name) {
  if (name == "random") return std::make_unique<RandomSampler>();
  if (name == "sobol") return std::make_unique<SobolSampler>();
  if (name == "grid") return std::make_unique<GridSampler>();
  if (name == "gp") return std::make_unique<gp::GpSampler>();
  if (name == "auto") return std::make_unique<AutoSampler>();
  if (name == "tpe") return std::make_unique<tpe::TpeSampler>();
  if (name == "cmaes") return std::make_unique<cma::CmaSampler>();
  throw Error(Code::kInvalidArgument,
              fmt::format("sampler \"{}\": expected auto, gp, tpe, cmaes, random, sobol or grid", name));
}

Suggestion AskRandom(const Question& question) {
  Rng rng(question.seed, static_cast<uint64_t>(question.trial));
  std::vector<double> draw(question.space.size());
  for (double& u : draw) u = rng.Uniform();
  return {question.space.FromDraw(Taken(question).Free(std::move(draw), rng)), "random", "", ""};
}

Taken::Taken(const Question& question) : space_(question.space), discrete_(question.space.discrete()) {
  if (discrete_) keys_ = TakenKeys(question);
}

bool Taken::Holds(std::span<const double> draw) const {
  return (discrete_ && keys_.count(Key(draw)) > 0) || !space_.Allows(draw);
}

std::vector<double> Taken::Free(std::vector<double> draw, Rng& rng) const {
  space_.Settle(draw);
  if (!Holds(draw)) return draw;
  // Few enough are listed, when luck does not find a free one soon.
  static constexpr double kListed = 1e6;
  const bool listable = discrete_ && space_.MostConfigurations() <= kListed;
  const int attempts = listable ? 100 : 100'000;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    for (double& u : draw) u = rng.Uniform();
    space_.Settle(draw);
    if (!Holds(draw)) return draw;
  }
  if (!listable) ThrowInfeasible(space_, fmt::format("none of {} random configurations", attempts));
  uint64_t allowed = 0, free = 0;
  space_.Enumerate(0, [&](const Params& candidate) {
    ++allowed;
    std::vector<double> settled = space_.ToDraw(candidate);
    if (!Holds(settled) && rng.Below(++free) == 0) draw = std::move(settled);  // each with the same chance
    return true;
  });
  if (allowed == 0) ThrowInfeasible(space_, "no configuration");
  if (free == 0) throw Exhausted(keys_.size());
  return draw;
}

}  // namespace strop::tune
