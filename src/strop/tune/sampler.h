#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "strop/base/api.h"
#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/tune/space.h"

namespace strop::tune {

// What a sampler may know of a trial.
struct Observation {
  int64_t number = 0;
  Params params;
  std::optional<double> value;  // none: it failed, or is still running
};

// Everything that a suggestion depends on.
struct Question {
  const Space& space;
  std::span<const Observation> finished;  // by number: done, failed and pruned
  std::span<const Observation> pending;   // by number: running elsewhere
  bool minimize = true;
  uint64_t seed = 0;
  int64_t trial = 0;  // the number of the trial that is asked for
};

// A discrete space has no untried configuration left.
class STROP_API Exhausted : public Error {
 public:
  explicit Exhausted(size_t tried);
  ~Exhausted() override;
};

// Suggests the parameters of the next trial. A sampler keeps nothing between calls: the answer is a pure
// function of the question, with randomness keyed by (seed, trial), so that a study continues after any stop
// as if it had not stopped. Thread safe.
class STROP_API Sampler {
 public:
  virtual ~Sampler();
  // On a space without continuous ranges never answers a configuration that was tried or is pending; throws
  // Exhausted (kFailedPrecondition) when none is left.
  virtual Params Ask(const Question& question) const = 0;
};

// random, sobol, grid, gp, auto. Throws kInvalidArgument that lists them.
STROP_API std::unique_ptr<Sampler> MakeSampler(const std::string& name);

// Uniform and independent (in the logarithm where `log`).
STROP_API Params AskRandom(const Question& question);
// Scrambled Sobol points by trial number (sobol.h).
STROP_API Params AskSobol(const Question& question);

// The configurations of a question that are taken, in a space where that matters; empty in a continuous one.
class STROP_API Taken {
 public:
  explicit Taken(const Question& question);
  bool Holds(const Params& params) const;
  // `params` if it is free, else a free one at random. Throws Exhausted.
  Params Free(Params params, Rng& rng) const;

 private:
  const Space& space_;
  bool discrete_;
  std::set<std::string> texts_;
};

}  // namespace strop::tune
