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

// Every configuration in order; a continuous range in kSteps equal parts, at their middles.
class GridSampler : public Sampler {
 public:
  Suggestion Ask(const Question& question) const override {
    static constexpr int64_t kSteps = 10;
    std::set<std::string> taken;
    for (const auto& trials : {question.finished, question.pending})
      for (const Observation& trial : trials) taken.insert(Key(trial.draw));
    std::optional<Params> free;
    question.space.Enumerate(kSteps, [&](const Params& params) {
      if (taken.count(Key(question.space.ToDraw(params)))) return true;
      free = params;
      return false;
    });
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
  if (!discrete_) return;
  for (const auto& trials : {question.finished, question.pending})
    for (const Observation& trial : trials) keys_.insert(Key(trial.draw));
}

bool Taken::Holds(std::span<const double> draw) const {
  return (discrete_ && keys_.count(Key(draw)) > 0) || !space_.Allows(draw);
}

std::vector<double> Taken::Free(std::vector<double> draw, Rng& rng) const {
  space_.Settle(draw);
  if (!Holds(draw)) return draw;
  const int attempts = discrete_ ? 100 : 100'000;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    for (double& u : draw) u = rng.Uniform();
    space_.Settle(draw);
    if (!Holds(draw)) return draw;
  }
  if (!discrete_)
    throw Error(
        Code::kFailedPrecondition,
        fmt::format("none of {} random configurations keeps to the constraints of the space", attempts));
  // Nearly all are taken: list some that are not, and draw among those.
  static constexpr size_t kListed = 1000;
  std::vector<std::vector<double>> free;
  space_.Enumerate(0, [&](const Params& candidate) {
    std::vector<double> settled = space_.ToDraw(candidate);
    if (!Holds(settled)) free.push_back(std::move(settled));
    return free.size() < kListed;
  });
  if (free.empty()) throw Exhausted(keys_.size());
  return free[rng.Below(free.size())];
}

}  // namespace strop::tune
