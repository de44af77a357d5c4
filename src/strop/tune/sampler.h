#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/tune/space.h"

namespace strop::tune {

// What a sampler may know of a trial.
struct STROP_API Observation {
  int64_t number = 0;
  std::vector<double> draw;        // settled (Space::ToDraw)
  std::vector<double> losses;      // one an objective, lower is better; empty: it failed, or is still running
  std::vector<double> violations;  // of the outcome constraints; feasible where none is above 0
  std::string state;               // what its suggestion left for later ones
  // Of a study defined by run. What was suggested, settled, where less of it was asked for; and whether it
  // ended early, so that the same may be suggested again.
  std::vector<double> suggested = {};
  bool repeatable = false;

  static Observation Of(const Space& space, int64_t number, const Params& params,
                        std::vector<double> losses = {});
  bool feasible() const noexcept;
};

// Everything that a suggestion depends on.
struct Question {
  const Space& space;
  std::span<const Observation> finished;  // by number: done, failed and pruned
  std::span<const Observation> pending;   // by number: running elsewhere
  uint64_t seed = 0;
  int64_t trial = 0;  // the number of the trial that is asked for
  size_t objectives = 1;
  double trial_seconds = 0;  // what a trial takes, the median; 0: not known yet
};

struct Suggestion {
  Params params;
  std::string sampler;  // who made it
  std::string reason;   // of a choice among samplers; empty: there was none
  std::string state;    // see Observation
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
  virtual Suggestion Ask(const Question& question) const = 0;
};

// random, sobol, grid, gp, tpe, cmaes, auto. Throws kInvalidArgument that lists them.
STROP_API std::unique_ptr<Sampler> MakeSampler(const std::string& name);

// Uniform and independent (in the logarithm where `log`).
STROP_API Suggestion AskRandom(const Question& question);
// Scrambled Sobol points by trial number (sobol.h).
STROP_API Suggestion AskSobol(const Question& question);

// The draws that a suggestion must not be: those that break a constraint of the space and, in a space without
// continuous ranges, those that were tried or are pending.
class STROP_API Taken {
 public:
  explicit Taken(const Question& question);
  // Of a settled draw.
  bool Holds(std::span<const double> draw) const;
  // `draw`, settled, if it is free, else a free one at random. Throws Exhausted, or kFailedPrecondition when
  // no configuration, or none of many, keeps to the constraints.
  std::vector<double> Free(std::vector<double> draw, Rng& rng) const;

 private:
  const Space& space_;
  bool discrete_;
  std::set<std::string, std::less<>> keys_;
};

}  // namespace strop::tune
