#include "strop/tune/study.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <mutex>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/store/database.h"
#include "strop/tune/owner.h"

namespace strop::tune {
namespace {

using nlohmann::json;
using store::Database;
using store::Row;

const store::Migrations kMigrations = {"tune", {R"(
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
)"}};

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

}  // namespace

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
  explicit Impl(StudyOptions given) : options(std::move(given)), db(Database::Open(options.storage)) {
    if (options.direction != "minimize" && options.direction != "maximize")
      throw Error(Code::kInvalidArgument,
                  fmt::format("direction \"{}\": expected minimize or maximize", options.direction));
    sampler = MakeSampler(options.sampler);
    db.Migrate(kMigrations);
    db.Transaction([&] { CreateOrLoad(); });
  }

  void CreateOrLoad() {
    bool found = false;
    std::string direction;
    db.Query("SELECT id, direction, seed, space, by_run FROM study WHERE name = ?", {options.name},
             [&](const Row& row) {
               found = true;
               id = row.Int(0);
               direction = row.Text(1);
               seed = std::stoull(row.Text(2));
               space = Space::FromText(row.Text(3));
               by_run = row.Int(4) != 0;
             });
    if (!found && options.must_exist)
      throw Error(Code::kNotFound, fmt::format("study \"{}\" is not in {}", options.name, options.storage));
    if (!found) {
      seed = options.seed;
      space = options.space;
      by_run = space.empty();
      db.Run(
          "INSERT INTO study (name, direction, seed, space, by_run, revision, created) VALUES (?, ?, ?, ?, "
          "?, 0, ?)",
          {options.name, options.direction, std::to_string(seed), space.ToText(), int64_t{by_run},
           store::UnixTime()});
      id = db.LastId();
      Log("study", {{"direction", options.direction}, {"seed", seed}});
      return;
    }
    if (!options.load_if_exists)
      throw Error(Code::kAlreadyExists,
                  fmt::format("study \"{}\" is already in {}: choose another name, or load it "
                              "with load_if_exists",
                              options.name, options.storage));
    if (options.must_exist) options.direction = direction;
    if (direction != options.direction)
      throw Error(Code::kInvalidArgument,
                  fmt::format("study \"{}\" was made to {}, not to {}: choose another name", options.name,
                              direction, options.direction));
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
    db.Log("tune", event, detail.dump());
  }

  // A number above all before it, written to every row that a transaction changes: the others read what is
  // newer.
  int64_t NextRevision() {
    db.Run("UPDATE study SET revision = revision + 1 WHERE id = ?", {id});
    return std::get<int64_t>(*db.Scalar("SELECT revision FROM study WHERE id = ?", {id}));
  }

  struct Cached {
    TrialRecord record;
    Params proposal;
    std::string owner;
  };

  void Refresh() {
    db.Query(
        "SELECT number, state, proposal, params, value, error, owner, attempts, started, finished, revision "
        "FROM "
        "trials WHERE study = ? AND revision > ? ORDER BY revision",
        {id, seen}, [&](const Row& row) {
          Cached cached;
          cached.record.number = row.Int(0);
          cached.record.state = ParseState(row.Text(1));
          cached.proposal = ParseParams(row.Text(2));
          cached.record.params = ParseParams(row.Text(3));
          if (!row.IsNull(4)) cached.record.value = row.Real(4);
          cached.record.error = row.Text(5);
          if (!row.IsNull(6)) cached.owner = row.Text(6);
          cached.record.attempts = row.Int(7);
          cached.record.started = row.Real(8);
          cached.record.finished = row.Real(9);
          seen = std::max(seen, row.Int(10));
          trials[cached.record.number] = std::move(cached);
        });
    if (by_run)
      space =
          Space::FromText(std::get<std::string>(*db.Scalar("SELECT space FROM study WHERE id = ?", {id})));
  }

  // Takes running trials from processes that have died.
  void Reclaim() {
    std::map<std::string, bool> dead;
    for (const auto& [number, trial] : trials) {
      if (trial.record.state != TrialState::kRunning || trial.owner.empty()) continue;
      auto [found, fresh] = dead.try_emplace(trial.owner, false);
      if (fresh) found->second = OwnerIsDead(trial.owner);
      if (!found->second) continue;
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
    Refresh();
  }

  std::optional<TrialRecord> Ask(int64_t limit) {
    Refresh();
    Reclaim();
    int64_t counted = 0;
    const Cached* orphan = nullptr;
    for (const auto& [number, trial] : trials) {
      const bool given_back = trial.record.state == TrialState::kRunning && trial.owner.empty();
      if (!given_back) ++counted;
      if (given_back && !orphan) orphan = &trial;
    }
    if (counted >= limit) return std::nullopt;
    int64_t number = static_cast<int64_t>(trials.size());
    if (orphan) {
      number = orphan->record.number;
      db.Run(
          "UPDATE trials SET owner = ?, attempts = attempts + 1, started = ?, params = ?, revision = ? WHERE "
          "study = ? AND "
          "number = ?",
          {ProcessOwner(), store::UnixTime(), by_run ? "{}" : ParamsText(orphan->proposal), NextRevision(),
           id, number});
      db.Run("DELETE FROM reports WHERE study = ? AND number = ?", {id, number});
    } else {
      const std::string proposal = ParamsText(Propose(number));
      db.Run(
          "INSERT INTO trials (study, number, state, proposal, params, owner, attempts, started, revision) "
          "VALUES "
          "(?, ?, 'running', ?, ?, ?, 1, ?, ?)",
          {id, number, proposal, by_run ? "{}" : proposal, ProcessOwner(), store::UnixTime(),
           NextRevision()});
    }
    Refresh();
    return trials.at(number).record;
  }

  Params Propose(int64_t number) {
    if (space.empty()) return {};
    std::vector<Observation> finished, pending;
    for (const auto& [other, trial] : trials) {
      const TrialRecord& record = trial.record;
      if (record.state != TrialState::kRunning) {
        finished.push_back({other, record.params, record.value});
        continue;
      }
      Params params = trial.proposal;
      for (const auto& [name, value] : record.params) params[name] = value;
      pending.push_back({other, std::move(params), {}});
    }
    return sampler->Ask({space, finished, pending, options.direction == "minimize", seed, number});
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
      space.Add(parameter);
      db.Run("UPDATE study SET space = ? WHERE id = ?", {space.ToText(), id});
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

  void End(int64_t number, TrialState state, std::optional<double> value, const std::string& error) {
    db.Run(
        "UPDATE trials SET state = ?, value = ?, error = ?, owner = NULL, finished = ?, revision = ? WHERE "
        "study = ? "
        "AND number = ?",
        {std::string(TrialStateName(state)), value ? store::Value(*value) : store::Value(nullptr), error,
         store::UnixTime(), NextRevision(), id, number});
    json detail = {{"trial", number}, {"state", TrialStateName(state)}};
    if (value) detail["value"] = *value;
    if (!error.empty()) detail["error"] = error;
    Log("trial", std::move(detail));
  }

  // What was read within a transaction that failed was never so: the cache starts anew.
  void Transact(const std::function<void()>& body) {
    std::lock_guard lock(mutex);
    try {
      db.Transaction(body);
    } catch (...) {
      trials.clear();
      seen = 0;
      throw;
    }
  }

  void Tell(int64_t number, TrialState state, std::optional<double> value, const std::string& error) {
    Transact([&] {
      Refresh();
      Running(number);
      End(number, state, value, error);
    });
  }

  StudyOptions options;
  std::mutex mutex;
  Database db;
  std::unique_ptr<Sampler> sampler;
  int64_t id = 0;
  uint64_t seed = 0;
  Space space;
  bool by_run = false;
  std::map<int64_t, Cached> trials;  // as of revision `seen`
  int64_t seen = 0;
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
        "INSERT OR REPLACE INTO reports (study, number, step, value, metrics, time) VALUES (?, ?, ?, ?, ?, "
        "?)",
        {impl_->id, trial, step, std::isnan(value) ? store::Value(nullptr) : store::Value(value), metrics,
         store::UnixTime()});
  });
}

void Study::Tell(int64_t trial, double value) {
  if (std::isfinite(value)) return impl_->Tell(trial, TrialState::kDone, value, "");
  impl_->Tell(trial, TrialState::kFailed, {}, fmt::format("its value is {}", value));
}

void Study::TellFailed(int64_t trial, const std::string& error) {
  impl_->Tell(trial, TrialState::kFailed, {}, error);
}

void Study::TellPruned(int64_t trial, std::optional<double> value) {
  if (value && !std::isfinite(*value)) value.reset();
  impl_->Tell(trial, TrialState::kPruned, value, "");
}

void Study::Release(int64_t trial) {
  impl_->Transact([&] {
    impl_->Refresh();
    impl_->Running(trial);
    impl_->db.Run(
        "UPDATE trials SET owner = NULL, attempts = attempts - 1, revision = ? WHERE study = ? AND number = "
        "?",
        {impl_->NextRevision(), impl_->id, trial});
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
  impl_->db.Query("SELECT step, value, time FROM reports WHERE study = ? AND number = ? ORDER BY step",
                  {impl_->id, trial}, [&](const Row& row) {
                    reports.push_back({row.Int(0), row.IsNull(1) ? std::nan("") : row.Real(1), row.Real(2)});
                  });
  return reports;
}

std::optional<TrialRecord> Study::Best() {
  const bool lower = minimize();
  std::optional<TrialRecord> best;
  for (TrialRecord& trial : Trials()) {
    if (trial.state != TrialState::kDone) continue;
    if (!best || (*trial.value != *best->value && (*trial.value < *best->value) == lower))
      best = std::move(trial);
  }
  return best;
}

const std::string& Study::name() const noexcept { return impl_->options.name; }
bool Study::minimize() const noexcept { return impl_->options.direction == "minimize"; }
uint64_t Study::seed() const noexcept { return impl_->seed; }

Space Study::space() {
  std::lock_guard lock(impl_->mutex);
  impl_->Refresh();
  return impl_->space;
}

}  // namespace strop::tune
