#include "strop/tune/study.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/store/database.h"
#include "strop/tune/json.h"
#include "strop/tune/owner.h"
#include "strop/tune/pareto.h"
#include "strop/tune/replay.h"
#include "strop/tune/trial_cache.h"

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
                                        "ALTER TABLE study DROP COLUMN revision",
                                        "ALTER TABLE study ADD COLUMN metric TEXT NOT NULL DEFAULT ''"}};

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
    std::string space_text, metric;
    db.Query("SELECT id, direction, seed, space, by_run, metric FROM study WHERE name = ?", {options.name},
             [&](const Row& row) {
               found = true;
               id = row.Int(0);
               directions = ParseDirections(row.Text(1));
               seed = std::stoull(row.Text(2));
               space_text = row.Text(3);
               by_run = row.Int(4) != 0;
               metric = row.Text(5);
             });
    if (!found && options.must_exist)
      throw Error(Code::kNotFound, fmt::format("study \"{}\" is not in {}", options.name, db.where()));
    if (!found) {
      seed = options.seed;
      by_run = options.space.empty();
      db.Run(
          "INSERT INTO study (name, direction, seed, space, by_run, metric, created) VALUES (?, ?, ?, ?, ?, "
          "?, ?)",
          {options.name, DirectionsText(options.directions), std::to_string(seed), options.space.ToText(),
           int64_t{by_run}, options.metric, store::UnixTime()});
      id = std::get<int64_t>(*db.Scalar("SELECT id FROM study WHERE name = ?", {options.name}));
      cache = TrialCache(id, options.directions, options.space.ToText(), by_run);
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
    if (!metric.empty() && !options.metric.empty() && metric != options.metric)
      throw Error(Code::kInvalidArgument,
                  fmt::format("study \"{}\" was made for the metric \"{}\", not \"{}\": choose another name",
                              options.name, metric, options.metric));
    cache = TrialCache(id, directions, std::move(space_text), by_run);
    if (by_run && !options.space.empty())
      throw Error(
          Code::kInvalidArgument,
          fmt::format("study \"{}\" was made without a space, which its trials define: choose another "
                      "name, or give no space",
                      options.name));
    if (!by_run && !options.space.empty() && !(cache.space() == options.space))
      throw Error(
          Code::kInvalidArgument,
          fmt::format(
              "study \"{}\" was made with another search space ({}): choose another name, or give the "
              "space that it was made with",
              options.name, Difference(cache.space(), options.space)));
  }

  static std::string Difference(const Space& stored, const Space& given) {
    for (const Parameter& p : stored.parameters()) {
      const Parameter* other = given.Find(p.name);
      if (!other) return fmt::format("with \"{}\"", p.name);
      if (!(p == *other)) return fmt::format("\"{}\" differs", p.name);
    }
    for (const Parameter& p : given.parameters())
      if (!stored.Find(p.name)) return fmt::format("without \"{}\"", p.name);
    return "the constraints differ";
  }

  void Log(std::string_view event, json detail) {
    detail["study"] = options.name;
    db.Log("tune", event, detail.dump(-1, ' ', false, json::error_handler_t::replace));
  }

  // Takes running trials from processes that have died.
  void Reclaim() {
    std::map<std::string, bool> dead;
    bool reclaimed = false;
    for (const int64_t number : cache.running()) {
      const TrialCache::Trial& trial = cache.trials().at(number);
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
               {cache.NextRevision(), id, number});
        Log("reclaimed", {{"trial", number}});
      }
    }
    if (reclaimed) cache.Refresh(db);
  }

  std::optional<TrialRecord> Ask(int64_t limit) {
    cache.Refresh(db);
    Reclaim();
    auto counted = static_cast<int64_t>(cache.trials().size());
    const TrialCache::Trial* orphan = nullptr;
    for (const int64_t other : cache.running()) {
      const TrialCache::Trial& trial = cache.trials().at(other);
      if (!trial.owner.empty()) continue;
      --counted;
      if (!orphan) orphan = &trial;
    }
    if (counted >= limit) return std::nullopt;
    int64_t number = static_cast<int64_t>(cache.trials().size());
    if (orphan) {
      number = orphan->record.number;
      db.Run(
          "UPDATE trials SET owner = ?, attempts = attempts + 1, started = ?, params = ?, violations = '', "
          "revision = ? WHERE study = ? AND number = ?",
          {ProcessOwner(), store::UnixTime(), by_run ? "{}" : ParamsText(orphan->proposal),
           cache.NextRevision(), id, number});
      db.Run("DELETE FROM reports WHERE study = ? AND number = ?", {id, number});
    } else {
      Suggestion suggestion = Propose(cache, number);
      const std::string proposal = ParamsText(suggestion.params);
      cache.Suggested(std::move(suggestion.params), proposal);
      db.Run(
          "INSERT INTO trials (study, number, state, proposal, params, owner, attempts, started, revision, "
          "sampler, reason, sampler_state) VALUES (?, ?, 'running', ?, ?, ?, 1, ?, ?, ?, ?, ?)",
          {id, number, proposal, by_run ? "{}" : proposal, ProcessOwner(), store::UnixTime(),
           cache.NextRevision(), suggestion.sampler, suggestion.reason, suggestion.state});
    }
    Log("ask", {{"trial", number}});
    cache.Refresh(db);
    return cache.trials().at(number).record;
  }

  // For what is known of the other trials.
  Suggestion Propose(TrialCache& known, int64_t number) {
    const Space& space = known.space();
    if (space.empty()) return {};
    const std::vector<Observation> pending = known.Pending();
    return sampler->Ask(
        {space, known.finished(), pending, seed, number, options.directions.size(), known.MedianSeconds()});
  }

  ParamValue Suggest(int64_t number, const Parameter& parameter) {
    cache.Refresh(db);
    const TrialCache::Trial& trial = Running(number);
    if (const Parameter* known = cache.space().Find(parameter.name)) {
      // In a study with a space, a trainer may ask for what it was given.
      if (!by_run && !known->SameDomain(parameter))
        throw Error(Code::kInvalidArgument,
                    fmt::format("parameter \"{}\" has another range in the space of study \"{}\"",
                                parameter.name, options.name));
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
      Space wider = cache.space();
      wider.Add(parameter);
      const std::string text = wider.ToText();
      db.Run("UPDATE study SET space = ? WHERE id = ?", {text, id});
      cache.SetSpace(text);
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
           {ParamsText(params), cache.NextRevision(), id, number});
    if (proposed == trial.proposal.end())
      Log("parameter",
          {{"trial", number}, {"name", parameter.name}, {"value", ToJson(params.at(parameter.name))}});
    cache.Refresh(db);
    return params.at(parameter.name);
  }

  const TrialCache::Trial& Running(int64_t number) {
    const auto found = cache.trials().find(number);
    if (found == cache.trials().end())
      throw Error(Code::kNotFound, fmt::format("trial {} is not in study \"{}\", which has {}", number,
                                               options.name, cache.trials().size()));
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
         cache.NextRevision(), id, number});
    json detail = {{"trial", number}, {"state", TrialStateName(state)}};
    if (values.size() == 1) detail["value"] = values[0];
    if (values.size() > 1) detail["values"] = std::vector<double>(values.begin(), values.end());
    if (!error.empty()) detail["error"] = error;
    Log("trial", std::move(detail));
  }

  void GiveBack(int64_t number, std::string_view attempts) {
    cache.Refresh(db);
    Running(number);
    db.Run(fmt::format(
               "UPDATE trials SET owner = NULL, attempts = {}, revision = ? WHERE study = ? AND number = ?",
               attempts),
           {cache.NextRevision(), id, number});
  }

  void Transact(const std::function<void()>& body) {
    std::lock_guard lock(mutex);
    try {
      db.Transaction(body);
    } catch (...) {
      cache.Forget();
      throw;
    }
  }

  void Tell(int64_t number, TrialState state, std::span<const double> values, const std::string& error) {
    Transact([&] {
      cache.Refresh(db);
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
  bool by_run = false;
  TrialCache cache;
};

Study::Study(StudyOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Study::Study(Study&&) noexcept = default;
Study::~Study() = default;

std::optional<TrialRecord> Study::Ask(int64_t limit) {
  std::optional<TrialRecord> trial;
  std::exception_ptr exhausted;
  impl_->Transact([&] {
    try {
      trial = impl_->Ask(limit);
    } catch (const Exhausted&) {
      exhausted = std::current_exception();  // what was reclaimed from dead processes stays so
    }
  });
  if (exhausted) std::rethrow_exception(exhausted);
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
    impl_->cache.Refresh(impl_->db);
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
    impl_->cache.Refresh(impl_->db);
    if (!impl_->cache.constraints().contains(name))
      impl_->Log("constraint", {{"trial", trial}, {"name", name}});
    std::map<std::string, double> violations = impl_->Running(trial).record.violations;
    violations[name] = violation;
    impl_->db.Run("UPDATE trials SET violations = ?, revision = ? WHERE study = ? AND number = ?",
                  {json(violations).dump(), impl_->cache.NextRevision(), impl_->id, trial});
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
  impl_->cache.Refresh(impl_->db);
  std::vector<TrialRecord> records;
  for (const auto& [number, trial] : impl_->cache.trials()) records.push_back(trial.record);
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
  for (const TrialRecord& trial : trials) losses.push_back(impl_->cache.Losses(trial));
  const std::vector<size_t> ranks = NonDominatedRanks(losses);
  std::vector<TrialRecord> front;
  for (size_t i = 0; i < trials.size(); ++i)
    if (ranks[i] == 0) front.push_back(std::move(trials[i]));
  return front;
}

std::vector<int64_t> Study::Replay() {
  std::lock_guard lock(impl_->mutex);
  impl_->cache.Refresh(impl_->db);
  std::vector<int64_t> others;
  tune::Replay(impl_->db, name(), impl_->cache, [&](TrialCache& then, const TrialCache::Trial& suggested) {
    const int64_t trial = suggested.record.number;
    if (impl_->Propose(then, trial).params != suggested.proposal) others.push_back(trial);
  });
  return others;
}

const std::string& Study::name() const noexcept { return impl_->options.name; }
const std::vector<std::string>& Study::directions() const noexcept { return impl_->options.directions; }
bool Study::minimize(size_t objective) const noexcept {
  return impl_->options.directions[objective] == "minimize";
}
uint64_t Study::seed() const noexcept { return impl_->seed; }

Space Study::space() {
  std::lock_guard lock(impl_->mutex);
  impl_->cache.Refresh(impl_->db);
  return impl_->cache.space();
}

}  // namespace strop::tune
