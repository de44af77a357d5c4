#include "strop/tune/trial_cache.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"

namespace strop::tune {
namespace {

using nlohmann::json;
using store::Row;

TrialState ParseState(const std::string& text) {
  for (TrialState state : {TrialState::kRunning, TrialState::kDone, TrialState::kFailed, TrialState::kPruned})
    if (text == TrialStateName(state)) return state;
  throw Error(Code::kCorrupt, fmt::format("trial state \"{}\" in the store is not known", text));
}

std::vector<double> ParseNumbers(const std::string& text) {
  return text.empty() ? std::vector<double>() : json::parse(text).get<std::vector<double>>();
}

// By name; an early Strop kept a list, whose places stand for names.
std::map<std::string, double> ParseViolations(const std::string& text) {
  std::map<std::string, double> violations;
  if (text.empty()) return violations;
  const json told = json::parse(text);
  for (const auto& [name, violation] : told.items()) violations[name] = violation.get<double>();
  return violations;
}

}  // namespace

TrialCache::TrialCache(int64_t id, std::vector<std::string> directions, std::string space_text, bool by_run)
    : id_(id), directions_(std::move(directions)), by_run_(by_run) {
  SetSpace(std::move(space_text));
}

void TrialCache::Refresh(store::Database& db) {
  if (by_run_) {
    std::string text = std::get<std::string>(*db.Scalar("SELECT space FROM study WHERE id = ?", {id_}));
    if (text != space_text_) SetSpace(std::move(text));
  }
  db.Query(
      "SELECT number, state, proposal, params, value, error, owner, attempts, started, finished, revision, "
      "further, violations, sampler, reason, sampler_state FROM trials WHERE study = ? AND revision > ? "
      "ORDER BY revision",
      {id_, seen_}, [&](const Row& row) {
        seen_ = std::max(seen_, row.Int(10));
        Take(ParseRow(row));
      });
}

void TrialCache::Take(Trial trial) {
  const size_t known_constraints = constraints_.size();
  for (const auto& [name, violation] : trial.record.violations) constraints_.insert(name);
  if (trial.record.state == TrialState::kRunning)
    running_.insert(trial.record.number);
  else
    Observe(trial);
  trials_[trial.record.number] = std::move(trial);
  if (constraints_.size() == known_constraints) return;
  for (Observation& one : finished_) one.violations = Violations(trials_.at(one.number).record);
}

TrialCache TrialCache::AtItsStart() const {
  return TrialCache(id_, directions_, by_run_ ? Space().ToText() : space_text_, by_run_);
}

TrialCache::Trial TrialCache::ParseRow(const Row& row) {
  Trial trial;
  TrialRecord& record = trial.record;
  record.number = row.Int(0);
  record.state = ParseState(row.Text(1));
  trial.proposal_text = row.Text(2);
  trial.params_text = row.Text(3);
  if (!row.IsNull(4)) record.values = {row.Real(4)};
  for (double value : ParseNumbers(row.Text(11))) record.values.push_back(value);
  record.violations = ParseViolations(row.Text(12));
  record.error = row.Text(5);
  if (!row.IsNull(6)) trial.owner = row.Text(6);
  record.attempts = row.Int(7);
  record.started = row.Real(8);
  record.finished = row.Real(9);
  record.sampler = row.Text(13);
  record.reason = row.Text(14);
  trial.state = row.Text(15);
  TakeParams(trial);  // last, as it takes from the trial that this one replaces
  return trial;
}

// Parses them, or takes them away from where the same text was parsed before.
void TrialCache::TakeParams(Trial& trial) {
  TrialRecord& record = trial.record;
  const auto known = trials_.find(record.number);
  const bool same = known != trials_.end() && known->second.proposal_text == trial.proposal_text;
  if (same)
    trial.proposal = std::move(known->second.proposal);
  else if (!suggested_text_.empty() && trial.proposal_text == suggested_text_)
    trial.proposal = std::move(suggested_);
  else
    trial.proposal = ParseParams(trial.proposal_text);
  if (trial.proposal_text == suggested_text_) suggested_text_.clear();
  if (same && known->second.params_text == trial.params_text)
    record.params = std::move(known->second.record.params);
  else if (trial.params_text == trial.proposal_text)
    record.params = trial.proposal;
  else
    record.params = ParseParams(trial.params_text);
}

void TrialCache::Forget() {
  trials_.clear();
  finished_.clear();
  running_.clear();
  seconds_.clear();
  constraints_.clear();
  seen_ = 0;
}

int64_t TrialCache::NextRevision() { return written_ = std::max(written_, seen_) + 1; }

void TrialCache::Suggested(Params params, const std::string& text) {
  suggested_ = std::move(params);
  suggested_text_ = text;
}

void TrialCache::SetSpace(std::string text) {
  space_text_ = std::move(text);
  space_ = Space::FromText(space_text_);
  for (Observation& observation : finished_) {
    const Trial& trial = trials_.at(observation.number);
    observation = ToObservation(trial, trial.record.params);
  }
}

// Keeps what samplers may know of a trial that has ended.
void TrialCache::Observe(const Trial& trial) {
  running_.erase(trial.record.number);
  if (trial.record.state == TrialState::kDone)
    seconds_.push_back(trial.record.finished - trial.record.started);
  const auto at = std::lower_bound(finished_.begin(), finished_.end(), trial.record.number,
                                   [](const Observation& o, int64_t number) { return o.number < number; });
  Observation observation = ToObservation(trial, trial.record.params);
  if (at != finished_.end() && at->number == trial.record.number)
    *at = std::move(observation);
  else
    finished_.insert(at, std::move(observation));
}

Observation TrialCache::ToObservation(const Trial& trial, const Params& params) const {
  Observation observation = Observation::Of(space_, trial.record.number, params, Losses(trial.record));
  observation.violations = Violations(trial.record);
  observation.state = trial.state;
  if (by_run_) {
    const TrialState state = trial.record.state;
    observation.repeatable = state == TrialState::kFailed || state == TrialState::kPruned;
    if (!(params == trial.proposal)) observation.suggested = space_.ToDraw(trial.proposal);
  }
  return observation;
}

std::vector<Observation> TrialCache::Pending() const {
  std::vector<Observation> pending;
  for (const int64_t number : running_) {
    const Trial& trial = trials_.at(number);
    Params params = trial.proposal;
    for (const auto& [name, value] : trial.record.params) params[name] = value;
    pending.push_back(ToObservation(trial, params));
  }
  return pending;
}

std::vector<double> TrialCache::Losses(const TrialRecord& trial) const {
  std::vector<double> losses = trial.values;
  for (size_t i = 0; i < losses.size(); ++i)
    if (directions_[i] == "maximize") losses[i] = -losses[i];
  return losses;
}

// By the names of all constraints of the study; empty for a trial that told of none.
std::vector<double> TrialCache::Violations(const TrialRecord& trial) const {
  std::vector<double> violations;
  if (trial.violations.empty()) return violations;
  for (const std::string& name : constraints_) {
    const auto told = trial.violations.find(name);
    violations.push_back(told == trial.violations.end() ? 0 : told->second);
  }
  return violations;
}

double TrialCache::MedianSeconds() {
  if (seconds_.empty()) return 0;
  const auto middle = seconds_.begin() + static_cast<std::ptrdiff_t>(seconds_.size() / 2);
  std::nth_element(seconds_.begin(), middle, seconds_.end());
  return *middle;
}

}  // namespace strop::tune
