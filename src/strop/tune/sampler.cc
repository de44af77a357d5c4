#include "strop/tune/sampler.h"

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/tune/gp/gp_sampler.h"

namespace strop::tune {
namespace {

class RandomSampler : public Sampler {
 public:
  Params Ask(const Question& question) const override { return AskRandom(question); }
};

class SobolSampler : public Sampler {
 public:
  Params Ask(const Question& question) const override { return AskSobol(question); }
};

// Every configuration in order; a continuous range in kSteps equal parts, at their middles.
class GridSampler : public Sampler {
 public:
  Params Ask(const Question& question) const override {
    static constexpr int64_t kSteps = 10;
    std::set<std::string> taken;
    for (const auto& trials : {question.finished, question.pending})
      for (const Observation& trial : trials) taken.insert(ParamsText(trial.params));
    std::optional<Params> free;
    question.space.Enumerate(kSteps, [&](const Params& params) {
      if (taken.count(ParamsText(params))) return true;
      free = params;
      return false;
    });
    if (!free) throw Exhausted(taken.size());
    return *free;
  }
};

}  // namespace

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
  if (name == "gp" || name == "auto") return std::make_unique<gp::GpSampler>();
  throw Error(Code::kInvalidArgument,
              fmt::format("sampler \"{}\": expected auto, gp, random, sobol or grid", name));
}

Params AskRandom(const Question& question) {
  Rng rng(question.seed, static_cast<uint64_t>(question.trial));
  std::vector<double> draw(question.space.parameters().size());
  for (double& u : draw) u = rng.Uniform();
  return Taken(question).Free(question.space.FromDraw(draw), rng);
}

Taken::Taken(const Question& question) : space_(question.space), discrete_(question.space.discrete()) {
  if (!discrete_) return;
  for (const auto& trials : {question.finished, question.pending})
    for (const Observation& trial : trials) texts_.insert(ParamsText(trial.params));
}

bool Taken::Holds(const Params& params) const { return discrete_ && texts_.count(ParamsText(params)) > 0; }

Params Taken::Free(Params params, Rng& rng) const {
  if (!Holds(params)) return params;
  std::vector<double> draw(space_.parameters().size());
  for (int attempt = 0; attempt < 100; ++attempt) {
    for (double& u : draw) u = rng.Uniform();
    params = space_.FromDraw(draw);
    if (!Holds(params)) return params;
  }
  // Nearly all are taken: list some that are not, and draw among those.
  static constexpr size_t kListed = 1000;
  std::vector<Params> free;
  space_.Enumerate(0, [&](const Params& candidate) {
    if (!Holds(candidate)) free.push_back(candidate);
    return free.size() < kListed;
  });
  if (free.empty()) throw Exhausted(texts_.size());
  return free[rng.Below(free.size())];
}

}  // namespace strop::tune
