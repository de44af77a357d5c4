#include "strop/tune/study.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <span>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/store/database.h"
#include "strop/tune/owner.h"
#include "strop/tune/pareto.h"

namespace strop::tune {
namespace {

using nlohmann::json;
using store::Database;
using store::Row;

const store::Migrations kMigrations = {"tune",
                                       {R"(
CREATE TABLE study (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, direction TEXT NOT NULL, seed TEXT NOT NULL,
  space TEXT NOT NULL, by_run INTEGER NOT NULL, revision INTEGER NOT NULL, created REAL NOT NULL);
CREATE TABLE trials (
  study INTEGER NOT NULL REFERENCES study(id), number INTEGER NOT NULL, state TEXT NOT NULL,
  proposal TEXT NOT NULL, params TEXT NOT NULL, value REAL, error TEXT NOT NULL DEFAULT '',
  owner TEXT, attempts INTEGER NOT NULL, started REAL NOT NULL, finished REAL NOT NULL DEFAULT 0,
  revision INTEGER NOT NULL, PRIMARY KEY (study, number));
CREATE INDEX trials_by_revision ON trials (study, revision);
CREATE TABLE reports (
  study INTEGER NOT NULL, number INTEGER NOT NULL, step INTEGER NOT NULL, value REAL, metrics TEXT NOT NULL,
  time REAL NOT NULL, PRIMARY KEY (study, number, step));
)",
                                        R"(
ALTER TABLE trials ADD COLUMN further TEXT NOT NULL DEFAULT '';
ALTER TABLE trials ADD COLUMN violations TEXT NOT NULL DEFAULT '';
ALTER TABLE trials ADD COLUMN sampler TEXT NOT NULL DEFAULT '';
ALTER TABLE trials ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE trials ADD COLUMN sampler_state TEXT NOT NULL DEFAULT '';
)",
                                        "ALTER TABLE study DROP COLUMN revision"}};

TrialState ParseState(const std::string& text) {
  for (TrialState state : {TrialState::kRunning, TrialState::kDone, TrialState::kFailed, TrialState::kPruned})
    if (text == TrialStateName(state)) return state;
  throw Error(Code::kCorrupt, fmt::format("trial state \"{}\" in the store is not known", text));
}

// Stable across machines and releases, unlike std::hash.
uint64_t HashName(std::string_view name) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

// A list of numbers as the store keeps it; "" for none.
std::string NumbersText(std::span<const double> numbers) {
  return numbers.empty() ? "" : json(std::vector<double>(numbers.begin(), numbers.end())).dump();
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

// Of what a trainer printed, or an exception said: UTF-8 without NUL, which every store holds.
std::string Storable(const std::string& text) {
  std::string storable = json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace));
  std::replace(storable.begin(), storable.end(), '\0', ' ');
  return storable;
}

// The directions of a study: one as a word, several as a JSON list.
std::string DirectionsText(const std::vector<std::string>& directions) {
  return directions.size() == 1 ? directions[0] : json(directions).dump();
}
std::vector<std::string> ParseDirections(const std::string& text) {
  return text.starts_with("[") ? json::parse(text).get<std::vector<std::string>>() : std::vector{text};
}

}  // namespace

bool TrialRecord::feasible() const noexcept {
  return std::all_of(violations.begin(), violations.end(), [](const auto& one) { return one.second <= 0; });
}

std::string_view TrialStateName(TrialState state) noexcept {
  switch (state) {
    case TrialState::kRunning:
      return "running";
    case TrialState::kDone:
      return "done";
    case TrialState::kFailed:
      return "failed";
    case TrialState::kPruned:
      return "pruned";
  }
  return "";
}

struct Study::Impl {
  explicit Impl(StudyOptions given) : options(std::move(given)), db(OpenStore(options)) {
    if (options.directions.empty())
      throw Error(Code::kInvalidArgument, "directions: expected minimize or maximize for every objective");
    for (const std::string& direction : options.directions)
      if (direction != "minimize" && direction != "maximize")
        throw Error(Code::kInvalidArgument,
                    fmt::format("direction \"{}\": expected minimize or maximize", direction));
    sampler = options.own_sampler ? options.own_sampler : MakeSampler(options.sampler);
    db.Migrate(kMigrations);
    db.Transaction([&] { CreateOrLoad(); });
  }

  static Database OpenStore(const StudyOptions& options) {
    if (options.must_exist && !Database::Exists(options.storage))
      throw Error(Code::kNotFound, fmt::format("study \"{}\" is not in {}, which is not there", options.name,
                                               options.storage));
    return Database::Open(options.storage);
  }

  void CreateOrLoad() {
    bool found = false;
    std::vector<std::string> directions;
    db.Query("SELECT id, direction, seed, space, by_run FROM study WHERE name = ?", {options.name},
             [&](const Row& row) {
               found = true;
               id = row.Int(0);
               directions = ParseDirections(row.Text(1));
               seed = std::stoull(row.Text(2));
               space_text = row.Text(3);
               space = Space::FromText(space_text);
               by_run = row.Int(4) != 0;
             });
    if (!found && options.must_exist)
      throw Error(Code::kNotFound, fmt::format("study \"{}\" is not in {}", options.name, db.where()));
    if (!found) {
      seed = options.seed;
      space = options.space;
      by_run = space.empty();
      db.Run("INSERT INTO study (name, direction, seed, space, by_run, created) VALUES (?, ?, ?, ?, ?, ?)",
             {options.name, DirectionsText(options.directions), std::to_string(seed), space.ToText(),
              int64_t{by_run}, store::UnixTime()});
      id = std::get<int64_t>(*db.Scalar("SELECT id FROM study WHERE name = ?", {options.name}));
      Log("study", {{"direction", DirectionsText(options.directions)}, {"seed", seed}});
      return;
    }
    if (!options.load_if_exists)
      throw Error(Code::kAlreadyExists,
                  fmt::format("study \"{}\" is already in {}: choose another name, or load it "
                              "with load_if_exists",
                              options.name, db.where()));
    if (options.must_exist) options.directions = directions;
    if (directions != options.directions)
      throw Error(Code::kInvalidArgument,
                  fmt::format("study \"{}\" was made to {}, not to {}: choose another name", options.name,
                              DirectionsText(directions), DirectionsText(options.directions)));
    if (!by_run && !options.space.empty() && !(space == options.space))
      throw Error(
          Code::kInvalidArgument,
          fmt::format(
              "study \"{}\" was made with another search space ({}): choose another name, or give the "
              "space that it was made with",
              options.name, Difference(space, options.space)));
  }

  static std::string Difference(const Space& stored, const Space& given) {
    for (const Parameter& p : stored.parameters()) {
      const Parameter* other = given.Find(p.name);
      if (!other) return fmt::format("with \"{}\"", p.name);
      if (!(p == *other)) return fmt::format("\"{}\" differs", p.name);
    }
    for (const Parameter& p : given.parameters())
      if (!stored.Find(p.name)) return fmt::format("without \"{}\"", p.name);
    return "";
  }

  void Log(std::string_view event, json detail) {
    detail["study"] = options.name;
    db.Log("tune", event, detail.dump(-1, ' ', false, json::error_handler_t::replace));
  }

  // A number above all before it, written to every row that a transaction changes: the others read what is
  // newer. Of a transaction that has refreshed.
  int64_t NextRevision() { return written = std::max(written, seen) + 1; }

  struct Cached {
    TrialRecord record;
    Params proposal;
    std::string proposal_text, params_text;
    std::string owner;
    std::string state;  // of the sampler
  };

  void Refresh() {
    RefreshSpace();
    const size_t known_constraints = constraints.size();
    db.Query(
        "SELECT number, state, proposal, params, value, error, owner, attempts, started, finished, revision, "
        "further, violations, sampler, reason, sampler_state FROM trials WHERE study = ? AND revision > ? "
        "ORDER BY revision",
        {id, seen}, [&](const Row& row) {
          Cached cached;
          TrialRecord& record = cached.record;
          record.number = row.Int(0);
          record.state = ParseState(row.Text(1));
          cached.proposal_text = row.Text(2);
          cached.params_text = row.Text(3);
          TakeParams(cached);
          if (!row.IsNull(4)) record.values = {row.Real(4)};
          for (double value : ParseNumbers(row.Text(11))) record.values.push_back(value);
          record.violations = ParseViolations(row.Text(12));
          record.error = row.Text(5);
          if (!row.IsNull(6)) cached.owner = row.Text(6);
          record.attempts = row.Int(7);
          record.started = row.Real(8);
          record.finished = row.Real(9);
          record.sampler = row.Text(13);
          record.reason = row.Text(14);
          cached.state = row.Text(15);
          seen = std::max(seen, row.Int(10));
          for (const auto& [name, violation] : record.violations) constraints.insert(name);
          if (record.state == TrialState::kRunning)
            running.insert(record.number);
          else
            Observe(cached);
          trials[record.number] = std::move(cached);
        });
    if (constraints.size() == known_constraints) return;
    for (Observation& trial : finished) trial.violations = Violations(trials.at(trial.number).record);
  }

  // Parses them, or takes them from where the same text was parsed before.
  void TakeParams(Cached& cached) {
    TrialRecord& record = cached.record;
    const auto known = trials.find(record.number);
    const bool same = known != trials.end() && known->second.proposal_text == cached.proposal_text;
    if (same)
      cached.proposal = known->second.proposal;
    else
      cached.proposal =
          cached.proposal_text == suggested_text ? suggested : ParseParams(cached.proposal_text);
    if (cached.params_text == cached.proposal_text)
      record.params = cached.proposal;
    else if (same && known->second.params_text == cached.params_text)
      record.params = known->second.record.params;
    else
      record.params = ParseParams(cached.params_text);
  }

  void RefreshSpace() {
    if (!by_run) return;
    std::string text = std::get<std::string>(*db.Scalar("SELECT space FROM study WHERE id = ?", {id}));
    if (text != space_text) SetSpace(std::move(text));
  }

  void SetSpace(std::string text) {
    space_text = std::move(text);
    space = Space::FromText(space_text);
    for (Observation& trial : finished) trial.draw = space.ToDraw(trials.at(trial.number).record.params);
  }

  // Keeps what samplers may know of a trial that has ended.
  void Observe(const Cached& trial) {
    running.erase(trial.record.number);
    if (trial.record.state == TrialState::kDone)
      seconds.push_back(trial.record.finished - trial.record.started);
    const auto at = std::lower_bound(finished.begin(), finished.end(), trial.record.number,
                                     [](const Observation& o, int64_t number) { return o.number < number; });
    Observation observation = ToObservation(trial, trial.record.params);
    if (at != finished.end() && at->number == trial.record.number)
      *at = std::move(observation);
    else
      finished.insert(at, std::move(observation));
  }

  Observation ToObservation(const Cached& trial, const Params& params) const {
    Observation observation = Observation::Of(space, trial.record.number, params, Losses(trial.record));
    observation.violations = Violations(trial.record);
    observation.state = trial.state;
    return observation;
  }

  // Its values, negated where higher ones are better.
  std::vector<double> Losses(const TrialRecord& trial) const {
    std::vector<double> losses = trial.values;
    for (size_t i = 0; i < losses.size(); ++i)
      if (options.directions[i] == "maximize") losses[i] = -losses[i];
    return losses;
  }

  // By the names of all constraints of the study; empty for a trial that told of none.
  std::vector<double> Violations(const TrialRecord& trial) const {
    std::vector<double> violations;
    if (trial.violations.empty()) return violations;
    for (const std::string& name : constraints) {
      const auto told = trial.violations.find(name);
      violations.push_back(told == trial.violations.end() ? 0 : told->second);
    }
    return violations;
  }

  // Takes running trials from processes that have died.
  void Reclaim() {
    std::map<std::string, bool> dead;
    bool reclaimed = false;
    for (const int64_t number : running) {
      const Cached& trial = trials.at(number);
      if (trial.owner.empty()) continue;
      auto [found, fresh] = dead.try_emplace(trial.owner, false);
      if (fresh) found->second = OwnerIsDead(trial.owner);
      if (!found->second) continue;
      reclaimed = true;
      if (trial.record.attempts >= kMaxAttempts) {
        const std::string error =
            fmt::format("its process died in each of {} attempts", trial.record.attempts);
        End(number, TrialState::kFailed, {}, error);
      } else {
        db.Run("UPDATE trials SET owner = NULL, revision = ? WHERE study = ? AND number = ?",
               {NextRevision(), id, number});
        Log("reclaimed", {{"trial", number}});
      }
    }
    if (reclaimed) Refresh();
  }

  std::optional<TrialRecord> Ask(int64_t limit) {
    Refresh();
    Reclaim();
    auto counted = static_cast<int64_t>(trials.size());
    const Cached* orphan = nullptr;
    for (const int64_t other : running) {
      if (!trials.at(other).owner.empty()) continue;
      --counted;
      if (!orphan) orphan = &trials.at(other);
    }
    if (counted >= limit) return std::nullopt;
    int64_t number = static_cast<int64_t>(trials.size());
    if (orphan) {
      number = orphan->record.number;
      db.Run(
          "UPDATE trials SET owner = ?, attempts = attempts + 1, started = ?, params = ?, violations = '', "
          "revision = ? WHERE study = ? AND number = ?",
          {ProcessOwner(), store::UnixTime(), by_run ? "{}" : ParamsText(orphan->proposal), NextRevision(),
           id, number});
      db.Run("DELETE FROM reports WHERE study = ? AND number = ?", {id, number});
    } else {
      const Suggestion suggestion = Propose(number);
      const std::string proposal = ParamsText(suggestion.params);
      suggested = suggestion.params;
      suggested_text = proposal;
      db.Run(
          "INSERT INTO trials (study, number, state, proposal, params, owner, attempts, started, revision, "
          "sampler, reason, sampler_state) VALUES (?, ?, 'running', ?, ?, ?, 1, ?, ?, ?, ?, ?)",
          {id, number, proposal, by_run ? "{}" : proposal, ProcessOwner(), store::UnixTime(), NextRevision(),
           suggestion.sampler, suggestion.reason, suggestion.state});
    }
    Refresh();
    return trials.at(number).record;
  }

  Suggestion Propose(int64_t number) {
    if (space.empty()) return {};
    std::vector<Observation> pending;
    for (const int64_t other : running) {
      const Cached& trial = trials.at(other);
      Params params = trial.proposal;
      for (const auto& [name, value] : trial.record.params) params[name] = value;
      pending.push_back(ToObservation(trial, params));
    }
    return sampler->Ask({space, finished, pending, seed, number, options.directions.size(), MedianSeconds()});
  }

  // What a trial takes; 0 before one is done.
  double MedianSeconds() {
    if (seconds.empty()) return 0;
    const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
    std::nth_element(seconds.begin(), middle, seconds.end());
    return *middle;
  }

  ParamValue Suggest(int64_t number, const Parameter& parameter) {
    Refresh();
    const Cached& trial = Running(number);
    if (const Parameter* known = space.Find(parameter.name)) {
      // In a study with a space, a trainer may ask for what it was given; the space's own range counts.
      if (by_run && !(*known == parameter))
        throw Error(
            Code::kInvalidArgument,
            fmt::format("parameter \"{}\" of study \"{}\" was suggested with another range before: a range "
                        "must stay the same within a study",
                        parameter.name, options.name));
    } else if (!by_run) {
      throw Error(Code::kInvalidArgument, fmt::format("parameter \"{}\" is not in the space of study \"{}\"",
                                                      parameter.name, options.name));
    } else {
      Space wider = space;
      wider.Add(parameter);
      SetSpace(wider.ToText());
      db.Run("UPDATE study SET space = ? WHERE id = ?", {space_text, id});
    }
    if (auto found = trial.record.params.find(parameter.name); found != trial.record.params.end())
      return found->second;
    if (!by_run)
      throw Error(Code::kInvalidArgument,
                  fmt::format("parameter \"{}\" is inactive in trial {}: its condition does "
                              "not hold",
                              parameter.name, number));
    Params params = trial.record.params;
    const auto proposed = trial.proposal.find(parameter.name);
    params[parameter.name] =
        proposed != trial.proposal.end()
            ? proposed->second
            : Space::FromUnit(
                  parameter,
                  Rng(MixSeed(seed, HashName(parameter.name)), static_cast<uint64_t>(number)).Uniform());
    db.Run("UPDATE trials SET params = ?, revision = ? WHERE study = ? AND number = ?",
           {ParamsText(params), NextRevision(), id, number});
    Refresh();
    return params.at(parameter.name);
  }

  const Cached& Running(int64_t number) {
    const auto found = trials.find(number);
    if (found == trials.end())
      throw Error(Code::kNotFound, fmt::format("trial {} is not in study \"{}\", which has {}", number,
                                               options.name, trials.size()));
    if (found->second.record.state != TrialState::kRunning)
      throw Error(Code::kFailedPrecondition,
                  fmt::format("trial {} of study \"{}\" is already {}", number, options.name,
                              TrialStateName(found->second.record.state)));
    return found->second;
  }

  void End(int64_t number, TrialState state, std::span<const double> values, const std::string& error) {
    store::Value first;
    if (!values.empty()) first = values[0];
    db.Run(
        "UPDATE trials SET state = ?, value = ?, further = ?, error = ?, owner = NULL, finished = ?, "
        "revision = ? WHERE study = ? AND number = ?",
        {std::string(TrialStateName(state)), first,
         NumbersText(values.subspan(std::min<size_t>(1, values.size()))), error, store::UnixTime(),
         NextRevision(), id, number});
    json detail = {{"trial", number}, {"state", TrialStateName(state)}};
    if (values.size() == 1) detail["value"] = values[0];
    if (values.size() > 1) detail["values"] = std::vector<double>(values.begin(), values.end());
    if (!error.empty()) detail["error"] = error;
    Log("trial", std::move(detail));
  }

  void GiveBack(int64_t number, std::string_view attempts) {
    Refresh();
    Running(number);
    db.Run(fmt::format(
               "UPDATE trials SET owner = NULL, attempts = {}, revision = ? WHERE study = ? AND number = ?",
               attempts),
           {NextRevision(), id, number});
  }

  // What was read within a transaction that failed was never so: the cache starts anew.
  void Transact(const std::function<void()>& body) {
    std::lock_guard lock(mutex);
    try {
      db.Transaction(body);
    } catch (...) {
      trials.clear();
      finished.clear();
      running.clear();
      seconds.clear();
      constraints.clear();
      seen = 0;
      throw;
    }
  }

  void Tell(int64_t number, TrialState state, std::span<const double> values, const std::string& error) {
    Transact([&] {
      Refresh();
      Running(number);
      End(number, state, values, Storable(error));
    });
  }

  StudyOptions options;
  std::mutex mutex;
  Database db;
  std::shared_ptr<const Sampler> sampler;
  int64_t id = 0;
  uint64_t seed = 0;
  Space space;
  std::string space_text;
  bool by_run = false;
  Params suggested;  // the last by this process
  std::string suggested_text;
  std::map<int64_t, Cached> trials;   // as of revision `seen`
  std::vector<Observation> finished;  // of those, by number
  std::set<int64_t> running;
  std::vector<double> seconds;        // that done trials took, in no order
  std::set<std::string> constraints;  // the outcome constraints that any trial told of
  int64_t seen = 0, written = 0;
};

Study::Study(StudyOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Study::Study(Study&&) noexcept = default;
Study::~Study() = default;

std::optional<TrialRecord> Study::Ask(int64_t limit) {
  std::optional<TrialRecord> trial;
  impl_->Transact([&] { trial = impl_->Ask(limit); });
  return trial;
}

ParamValue Study::Suggest(int64_t trial, const Parameter& parameter) {
  const Space checked({parameter});
  ParamValue value;
  impl_->Transact([&] { value = impl_->Suggest(trial, parameter); });
  return value;
}

void Study::Report(int64_t trial, int64_t step, double value, const std::string& metrics) {
  impl_->Transact([&] {
    impl_->Refresh();
    impl_->Running(trial);
    impl_->db.Run(
        "INSERT INTO reports (study, number, step, value, metrics, time) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (study, number, step) DO UPDATE SET value = excluded.value, metrics = excluded.metrics, "
        "time = excluded.time",
        {impl_->id, trial, step, std::isnan(value) ? store::Value(nullptr) : store::Value(value), metrics,
         store::UnixTime()});
  });
}

void Study::SetConstraint(int64_t trial, const std::string& name, double violation) {
  if (!std::isfinite(violation))
    throw Error(
        Code::kInvalidArgument,
        fmt::format("trial {}: constraint \"{}\" is {}: expected a finite number, 0 or less where it holds",
                    trial, name, violation));
  impl_->Transact([&] {
    impl_->Refresh();
    std::map<std::string, double> violations = impl_->Running(trial).record.violations;
    violations[name] = violation;
    impl_->db.Run("UPDATE trials SET violations = ?, revision = ? WHERE study = ? AND number = ?",
                  {json(violations).dump(), impl_->NextRevision(), impl_->id, trial});
  });
}

void Study::Tell(int64_t trial, const std::vector<double>& values) {
  const size_t objectives = impl_->options.directions.size();
  if (values.size() != objectives)
    throw Error(Code::kInvalidArgument, fmt::format("trial {}: {} values: study \"{}\" has {} objectives",
                                                    trial, values.size(), name(), objectives));
  for (double value : values)
    if (!std::isfinite(value))
      return impl_->Tell(trial, TrialState::kFailed, {}, fmt::format("its value is {}", value));
  impl_->Tell(trial, TrialState::kDone, values, "");
}

void Study::TellFailed(int64_t trial, const std::string& error) {
  impl_->Tell(trial, TrialState::kFailed, {}, error);
}

void Study::TellPruned(int64_t trial, std::optional<double> value) {
  std::vector<double> values;
  if (value && std::isfinite(*value) && directions().size() == 1) values = {*value};
  impl_->Tell(trial, TrialState::kPruned, values, "");
}

void Study::Release(int64_t trial) {
  impl_->Transact([&] { impl_->GiveBack(trial, "attempts - 1"); });
}

void Study::Retry(int64_t trial, const std::string& error) {
  impl_->Transact([&] {
    impl_->GiveBack(trial, "attempts");
    impl_->Log("retry", {{"trial", trial}, {"error", error}});
  });
}

std::vector<TrialRecord> Study::Trials() {
  std::lock_guard lock(impl_->mutex);
  impl_->Refresh();
  std::vector<TrialRecord> records;
  for (const auto& [number, trial] : impl_->trials) records.push_back(trial.record);
  return records;
}

std::vector<ReportRecord> Study::Reports(int64_t trial) {
  std::lock_guard lock(impl_->mutex);
  std::vector<ReportRecord> reports;
  impl_->db.Query(
      "SELECT step, value, time, metrics FROM reports WHERE study = ? AND number = ? ORDER BY step",
      {impl_->id, trial}, [&](const Row& row) {
        reports.push_back({row.Int(0), row.IsNull(1) ? std::nan("") : row.Real(1), row.Real(2), row.Text(3)});
      });
  return reports;
}

std::optional<TrialRecord> Study::Best() {
  if (directions().size() > 1)
    throw Error(Code::kFailedPrecondition,
                fmt::format("study \"{}\" has {} objectives, so no one best trial: ask for its Pareto front",
                            name(), directions().size()));
  const bool lower = minimize();
  std::optional<TrialRecord> best;
  for (TrialRecord& trial : Trials()) {
    if (trial.state != TrialState::kDone || !trial.feasible()) continue;
    if (!best || (trial.values[0] != best->values[0] && (trial.values[0] < best->values[0]) == lower))
      best = std::move(trial);
  }
  return best;
}

std::vector<TrialRecord> Study::ParetoFront() {
  std::vector<TrialRecord> trials = Trials();
  std::erase_if(
      trials, [](const TrialRecord& trial) { return trial.state != TrialState::kDone || !trial.feasible(); });
  std::vector<std::vector<double>> losses;
  for (const TrialRecord& trial : trials) losses.push_back(impl_->Losses(trial));
  const std::vector<size_t> ranks = NonDominatedRanks(losses);
  std::vector<TrialRecord> front;
  for (size_t i = 0; i < trials.size(); ++i)
    if (ranks[i] == 0) front.push_back(std::move(trials[i]));
  return front;
}

const std::string& Study::name() const noexcept { return impl_->options.name; }
const std::vector<std::string>& Study::directions() const noexcept { return impl_->options.directions; }
bool Study::minimize(size_t objective) const noexcept {
  return impl_->options.directions[objective] == "minimize";
}
uint64_t Study::seed() const noexcept { return impl_->seed; }

Space Study::space() {
  std::lock_guard lock(impl_->mutex);
  impl_->Refresh();
  return impl_->space;
}

}  // namespace strop::tune
