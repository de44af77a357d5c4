#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strop/base/api.h"
#include "strop/tune/sampler.h"
#include "strop/tune/space.h"

namespace strop::tune {

enum class TrialState { kRunning, kDone, kFailed, kPruned };
STROP_API std::string_view TrialStateName(TrialState state) noexcept;  // running, done, failed, pruned

// A trial as the store has it.
struct STROP_API TrialRecord {
  int64_t number = 0;  // from 0, without gaps
  TrialState state = TrialState::kRunning;
  Params params;
  std::vector<double> values;                // one an objective; done: always; pruned: where they were told
  std::map<std::string, double> violations;  // of outcome constraints by name: above 0 is infeasible
  std::string error;                         // failed: why
  std::string sampler, reason;               // who suggested it and, where a sampler was chosen, why
  int64_t attempts = 1;  // above 1: an earlier process died, or was stopped, while running it
  double started = 0;    // Unix seconds
  double finished = 0;

  bool feasible() const noexcept;
};

struct ReportRecord {
  int64_t step = 0;
  double value = 0;
  double time = 0;      // Unix seconds
  std::string metrics;  // as reported
};

struct StudyOptions {
  std::string storage = "sqlite://";  // as store::Database::Open; this default: in memory
  std::string name = "study";
  Space space;                                         // empty: defined by run, through Suggest
  std::vector<std::string> directions = {"minimize"};  // one an objective; or maximize
  std::string sampler = "auto";
  uint64_t seed = 0;
  bool load_if_exists = true;
  bool must_exist =
      false;  // throws kNotFound when it is not there; space and directions are then the stored ones
  std::shared_ptr<const Sampler> own_sampler = nullptr;  // if there is one, `sampler` is not looked at
  std::string metric = {};                               // what the value is called, where that is known
};

// A search, in a store. Whatever Ask, Report, Tell have returned from is on disk and survives kill -9.
// Several threads and several processes may work on one study; each suggestion knows the running trials of
// all.
//
// A running trial whose process has died is handed out again, under its number and with its parameters, by
// the next Ask of any process; after kMaxAttempts it fails. So a study that was killed and goes on makes the
// same trials as one that was not. Processes are told apart by host, boot, process id and start time: a
// process that died on another host cannot be seen to be dead, and its trials stay running.
class STROP_API Study {
 public:
  static constexpr int64_t kMaxAttempts = 3;

  // Creates or continues. When it continues, the stored seed holds. Throws kAlreadyExists when it is there
  // and load_if_exists is false; kInvalidArgument when it is there with another space, metric or other
  // directions.
  explicit Study(StudyOptions options);
  Study(Study&&) noexcept;
  ~Study();

  // The next trial; nullopt when the study has `limit` trials that are finished or run elsewhere. Throws
  // Exhausted.
  std::optional<TrialRecord> Ask(int64_t limit = std::numeric_limits<int64_t>::max());
  // Define-by-run: the trial's value of a parameter, which the study's space learns. Throws kInvalidArgument
  // when the name was suggested before with another range, or the study was made with a space that lacks it.
  ParamValue Suggest(int64_t trial, const Parameter& parameter);
  // An intermediate value; a step reported twice keeps the later one. `metrics` is JSON, for people.
  void Report(int64_t trial, int64_t step, double value, const std::string& metrics = "{}");
  // How far a running trial breaks an outcome constraint, 0 or less where it keeps to it; the later one
  // counts. A trial keeps to those that it does not tell of. Throws kInvalidArgument for a value that is not
  // finite.
  void SetConstraint(int64_t trial, const std::string& name, double violation);
  // Ends a trial with a value an objective. A value that is not finite is a failure. Throw
  // kFailedPrecondition when the trial is not running, kNotFound when there is none, kInvalidArgument for
  // another number of values.
  void Tell(int64_t trial, const std::vector<double>& values);
  void Tell(int64_t trial, double value) { Tell(trial, std::vector<double>{value}); }
  void TellFailed(int64_t trial, const std::string& error);
  void TellPruned(int64_t trial, std::optional<double> value = {});
  // Gives a running trial back, to be run again by whoever asks next, as if this run had not been; Retry: as
  // one more attempt, with the error of this one in the event log.
  void Release(int64_t trial);
  void Retry(int64_t trial, const std::string& error);

  std::vector<TrialRecord> Trials();
  std::vector<ReportRecord> Reports(int64_t trial);
  // The done and feasible trial with the best value, the first of equals. Throws kFailedPrecondition in a
  // study of several objectives.
  std::optional<TrialRecord> Best();
  // The done and feasible trials that no other is better than in one objective and as good as in the rest, by
  // number. With one objective: all with the best value.
  std::vector<TrialRecord> ParetoFront();

  // Asks this study's sampler for every trial again, with what was known where the event log has its
  // suggestion; answers the numbers of the trials that come out otherwise: those of another sampler. Throws
  // kFailedPrecondition for a study that an early Strop began.
  std::vector<int64_t> Replay();

  const std::string& name() const noexcept;
  const std::vector<std::string>& directions() const noexcept;
  // Whether lower values of an objective are better.
  bool minimize(size_t objective = 0) const noexcept;
  uint64_t seed() const noexcept;
  Space space();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strop::tune
