#include "strop/watch/label_queue.h"

#include <algorithm>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/watch/tables.h"

namespace strop::watch {

std::string_view ReasonName(Reason reason) noexcept {
  return reason == Reason::kUniform ? "uniform" : "uncertain";
}

Reason ParseReason(std::string_view name) {
  if (name == "uniform") return Reason::kUniform;
  if (name == "uncertain") return Reason::kUncertain;
  throw Error(Code::kInvalidArgument, fmt::format("reason \"{}\": expected uniform or uncertain", name));
}

LabelQueue::LabelQueue(store::Database* database) : database_(database) {
  // A label has no declared type, so that it stays a number or text as it came.
  database_->Migrate(
      {"watch",
       {"CREATE TABLE captures(request_id TEXT PRIMARY KEY, model TEXT NOT NULL, version INTEGER NOT NULL, "
        "time REAL NOT NULL, inputs BLOB NOT NULL, outputs BLOB NOT NULL, uncertainty REAL NOT NULL);"
        "CREATE INDEX captures_time ON captures(time);"
        "CREATE TABLE label_queue(request_id TEXT PRIMARY KEY, reason TEXT NOT NULL, time REAL NOT NULL);"
        "CREATE INDEX label_queue_time ON label_queue(time);"
        "CREATE TABLE labels(request_id TEXT PRIMARY KEY, label NOT NULL, time REAL NOT NULL);"}});
}

void LabelQueue::Request(const std::vector<Wish>& wishes) {
  if (wishes.empty()) return;
  database_->Transaction([&] {
    for (const auto& wish : wishes) {
      RequireCapture(*database_, wish.request_id);
      InsertWish(*database_, wish);
    }
  });
}

std::vector<Wish> LabelQueue::Wanted(int64_t limit) const {
  std::vector<Wish> wishes;
  database_->Query(
      "SELECT request_id, reason FROM label_queue AS q WHERE NOT EXISTS "
      "(SELECT 1 FROM labels WHERE labels.request_id = q.request_id) ORDER BY time DESC, request_id DESC "
      "LIMIT ?",
      {std::max<int64_t>(0, limit)}, [&](const store::Row& row) {
        wishes.push_back({row.Text(0), ParseReason(row.Text(1))});
      });
  return wishes;
}

void LabelQueue::PutLabels(const std::vector<Label>& labels) {
  if (labels.empty()) return;
  for (const auto& label : labels) {
    if (std::holds_alternative<std::nullptr_t>(label.label) ||
        std::holds_alternative<store::Blob>(label.label)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("the label of request {} is neither a number nor text", label.request_id));
    }
  }
  database_->Transaction([&] {
    for (const auto& label : labels) {
      RequireCapture(*database_, label.request_id);
      database_->Run(
          "INSERT INTO labels VALUES (?, ?, ?) ON CONFLICT(request_id) DO UPDATE "
          "SET label = excluded.label, time = excluded.time WHERE labels.label IS DISTINCT FROM "
          "excluded.label",
          {label.request_id, label.label, store::UnixTime()});
    }
  });
}

LabelCounts LabelQueue::Counts(double since) const {
  LabelCounts counts;
  database_->Query("SELECT count(*) FROM captures WHERE time >= ?", {since},
                   [&](const store::Row& row) { counts.captured = row.Int(0); });
  database_->Query(
      "SELECT coalesce(q.reason, ''), count(*), count(l.request_id) FROM captures AS c "
      "LEFT JOIN label_queue AS q USING (request_id) LEFT JOIN labels AS l USING (request_id) "
      "WHERE c.time >= ? AND (q.request_id IS NOT NULL OR l.request_id IS NOT NULL) GROUP BY 1",
      {since}, [&](const store::Row& row) {
        const std::string reason = row.Text(0);
        counts.labelled += row.Int(2);
        if (reason == "uniform") {
          counts.wanted_uniform = row.Int(1);
          counts.labelled_uniform = row.Int(2);
        } else if (reason == "uncertain") {
          counts.wanted_uncertain = row.Int(1);
          counts.labelled_uncertain = row.Int(2);
        }
      });
  return counts;
}

}  // namespace strop::watch
