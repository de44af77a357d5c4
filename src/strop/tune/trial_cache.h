#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/store/database.h"
#include "strop/tune/sampler.h"
#include "strop/tune/space.h"
#include "strop/tune/study.h"

namespace strop::tune {

// A study's trials as this process has last read them, so that each is read once. Every row carries the
// revision of the transaction that wrote it, a number above all before; Refresh reads what is newer. Not
// thread safe.
class STROP_API TrialCache {
 public:
  struct Trial {
    TrialRecord record;
    Params proposal;
    std::string proposal_text, params_text;
    std::string owner;
    std::string state;  // of the sampler
  };

  TrialCache() = default;
  // Of the study with a row id; `by_run`: whose space grows.
  TrialCache(int64_t id, std::vector<std::string> directions, std::string space_text, bool by_run);

  // Within a transaction, or of what others have committed.
  void Refresh(store::Database& db);
  // As the trial stands at some time.
  void Take(Trial trial);
  // Of the same study before its first trial.
  TrialCache AtItsStart() const;
  // What was read within a transaction that failed was never so: starts anew.
  void Forget();
  // Of a transaction that has refreshed.
  int64_t NextRevision();
  // Spares parsing what this process is about to write.
  void Suggested(Params params, const std::string& text);
  void SetSpace(std::string text);

  const Space& space() const noexcept { return space_; }
  bool by_run() const noexcept { return by_run_; }
  // Of outcomes, that any trial told of.
  const std::set<std::string>& constraints() const noexcept { return constraints_; }
  const std::map<int64_t, Trial>& trials() const noexcept { return trials_; }
  const std::set<int64_t>& running() const noexcept { return running_; }
  // Of those that have ended, by number.
  const std::vector<Observation>& finished() const noexcept { return finished_; }
  // Those that run, with what they were suggested where nothing else is known.
  std::vector<Observation> Pending() const;
  // The values, negated where higher ones are better.
  std::vector<double> Losses(const TrialRecord& trial) const;
  // What a done trial took; 0 before one is.
  double MedianSeconds();

 private:
  Trial ParseRow(const store::Row& row);
  void TakeParams(Trial& trial);
  void Observe(const Trial& trial);
  Observation ToObservation(const Trial& trial, const Params& params) const;
  std::vector<double> Violations(const TrialRecord& trial) const;

  int64_t id_ = 0;
  std::vector<std::string> directions_;
  Space space_;
  std::string space_text_;
  bool by_run_ = false;
  Params suggested_;
  std::string suggested_text_;
  std::map<int64_t, Trial> trials_;
  std::vector<Observation> finished_;
  std::set<int64_t> running_;
  std::vector<double> seconds_;  // in no order
  std::set<std::string> constraints_;
  int64_t seen_ = 0, written_ = 0;
};

}  // namespace strop::tune
