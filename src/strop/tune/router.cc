#include "strop/tune/router.h"

#include <algorithm>

#include <fmt/format.h>

#include "strop/base/rng.h"

namespace strop::tune {
namespace {

constexpr uint64_t kArmStream = 0xa4b;

bool OnRandomArm(const Question& question) {
  return Rng(MixSeed(question.seed, kArmStream), static_cast<uint64_t>(question.trial))
             .Below(AutoSampler::kRandomEvery) == 0;
}

}  // namespace

Suggestion AutoSampler::Ask(const Question& question) const {
  Suggestion suggestion;
  std::string reason;
  if (question.trial >= gp::GpSampler::StartupTrials(question.space) && OnRandomArm(question)) {
    suggestion = AskRandom(question);
    reason = fmt::format("one trial in {} is random", kRandomEvery);
  } else {
    suggestion = Choose(question, reason).Ask(question);
    if (!suggestion.reason.empty()) reason += "; " + suggestion.reason;
  }
  suggestion.reason = std::move(reason);
  return suggestion;
}

const Sampler& AutoSampler::Choose(const Question& question, std::string& reason) const {
  const size_t parameters = question.space.size(), finished = question.finished.size();
  if (parameters > kGpParameters) {
    reason = fmt::format("{} parameters, above {}", parameters, kGpParameters);
    return cma_;
  }
  if (finished > kGpTrials) {
    reason = fmt::format("{} finished trials, above {}", finished, kGpTrials);
    return tpe_;
  }
  if (question.trial_seconds >= kCostly && !question.pending.empty()) {
    reason = fmt::format("{} more are running and trials take {:.2g} s, at least {} s: a Monte Carlo gain",
                         question.pending.size(), question.trial_seconds, kCostly);
    return noisy_gp_;
  }
  reason = fmt::format("{} parameters, at most {}", parameters, kGpParameters);
  return question.trial_seconds >= kCostly ? wary_gp_ : gp_;
}

}  // namespace strop::tune
