#include "strop/loop/state.h"

#include <array>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::loop {
namespace {

constexpr std::array<std::string_view, 9> kStepNames = {"tune",    "train",      "compress", "watch", "label",
                                                        "retrain", "recompress", "validate", "swap"};

store::Migrations LoopMigrations() {
  return {"loop",
          {"CREATE TABLE loop_state (id INTEGER PRIMARY KEY CHECK (id = 1), step TEXT NOT NULL, round "
           "INTEGER NOT NULL,"
           " alarm_time REAL NOT NULL, labels_used INTEGER NOT NULL, seen_event INTEGER NOT NULL, "
           "champion_f32 TEXT NOT NULL,"
           " champion_served TEXT NOT NULL)"}};
}

}  // namespace

std::string_view StepName(Step step) noexcept { return kStepNames[static_cast<size_t>(step)]; }

Step ParseStep(std::string_view name) {
  for (size_t i = 0; i < kStepNames.size(); ++i) {
    if (kStepNames[i] == name) return static_cast<Step>(i);
  }
  throw Error(Code::kInternal,
              fmt::format("the store holds the loop step '{}', which this Strop does not know", name));
}

StateStore::StateStore(const std::string& url) : database_(store::Database::Open(url)) {
  database_.Migrate(LoopMigrations());
}

LoopState StateStore::Load() {
  LoopState state;
  database_.Query(
      "SELECT step, round, alarm_time, labels_used, seen_event, champion_f32, champion_served FROM "
      "loop_state",
      {}, [&](const store::Row& row) {
        state = {ParseStep(row.Text(0)),
                 row.Int(1),
                 row.Real(2),
                 row.Int(3),
                 row.Int(4),
                 row.Text(5),
                 row.Text(6)};
      });
  return state;
}

void StateStore::Save(const LoopState& state, std::string_view event, std::string_view detail_json) {
  database_.Transaction([&] {
    database_.Run("DELETE FROM loop_state");
    database_.Run("INSERT INTO loop_state VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
                  {std::string(StepName(state.step)), state.round, state.alarm_time, state.labels_used,
                   state.seen_event, state.champion_f32, state.champion_served});
    database_.Log("loop", event, detail_json);
  });
}

void StateStore::Log(std::string_view event, std::string_view detail_json) {
  database_.Log("loop", event, detail_json);
}

std::optional<Alarm> StateStore::AlarmAfter(int64_t seen) {
  std::optional<Alarm> alarm;
  database_.Query(
      "SELECT id, time, detail FROM events WHERE room = 'watch' AND event = 'alarm' AND id > ? ORDER BY id "
      "LIMIT 1",
      {seen}, [&](const store::Row& row) {
        alarm = Alarm{row.Int(0), row.Real(1), row.Text(2)};
      });
  return alarm;
}

int64_t StateStore::LastAlarm() {
  return std::get<int64_t>(
      *database_.Scalar("SELECT coalesce(max(id), 0) FROM events WHERE room = 'watch' AND event = 'alarm'"));
}

int64_t StateStore::LabelsSince(double time, const std::string& reason) {
  if (!database_.HasTable("captures")) return 0;
  const auto count = database_.Scalar(
      "SELECT count(*) FROM labels JOIN captures USING (request_id) JOIN label_queue USING (request_id)"
      " WHERE captures.time >= ?1 AND (?2 = 'any' OR label_queue.reason = ?2)",
      {time, reason});
  return std::get<int64_t>(*count);
}

std::optional<Candidate> StateStore::Offered() {
  if (!database_.HasTable("candidates")) return std::nullopt;
  std::optional<Candidate> candidate;
  database_.Query("SELECT id, path FROM candidates WHERE state = 'offered' ORDER BY id LIMIT 1", {},
                  [&](const store::Row& row) {
                    candidate = Candidate{row.Int(0), row.Text(1)};
                  });
  return candidate;
}

void StateStore::Decide(int64_t candidate, bool promoted, std::string_view evidence_json) {
  database_.Transaction([&] {
    database_.Run("UPDATE candidates SET state = ?, evidence_json = ? WHERE id = ?",
                  {std::string(promoted ? "promoted" : "rejected"), std::string(evidence_json), candidate});
    database_.Log("loop", promoted ? "promoted" : "rejected", evidence_json);
  });
}

}  // namespace strop::loop
