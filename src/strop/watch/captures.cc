#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/watch/label_queue.h"
#include "strop/watch/tables.h"

namespace strop::watch {
namespace {

void Forget(store::Database& database, const std::vector<std::string>& request_ids) {
  for (const auto& id : request_ids) {
    database.Run("DELETE FROM captures WHERE request_id = ?", {id});
    database.Run("DELETE FROM label_queue WHERE request_id = ?", {id});
    database.Run("DELETE FROM labels WHERE request_id = ?", {id});
  }
}

void Prune(store::Database& database, int64_t capture_rows) {
  int64_t excess = std::get<int64_t>(*database.Scalar("SELECT count(*) FROM captures")) - capture_rows;
  // Two passes over the index of times, each stopping early: sorting by "labelled" would read every capture.
  for (const char* sql :
       {"SELECT request_id FROM captures AS c WHERE NOT EXISTS "
        "(SELECT 1 FROM labels WHERE labels.request_id = c.request_id) ORDER BY time LIMIT ?",
        "SELECT request_id FROM captures ORDER BY time LIMIT ?"}) {
    if (excess <= 0) return;
    std::vector<std::string> oldest;
    database.Query(sql, {excess}, [&](const store::Row& row) { oldest.push_back(row.Text(0)); });
    Forget(database, oldest);
    excess -= static_cast<int64_t>(oldest.size());
  }
}

}  // namespace

void RequireCapture(store::Database& database, const std::string& request_id) {
  if (database.Scalar("SELECT 1 FROM captures WHERE request_id = ?", {request_id})) return;
  throw Error(Code::kNotFound,
              fmt::format("request {} is not among the captured rows: it was never captured, or has since "
                          "made room for newer ones",
                          request_id));
}

void InsertWish(store::Database& database, const Wish& wish) {
  database.Run(
      "INSERT INTO label_queue VALUES (?, ?, ?) ON CONFLICT(request_id) DO UPDATE SET reason = "
      "excluded.reason "
      "WHERE excluded.reason = 'uniform'",
      {wish.request_id, std::string(ReasonName(wish.reason)), store::UnixTime()});
}

void LabelQueue::PutCaptures(const std::vector<Capture>& captures, int64_t capture_rows) {
  if (capture_rows < 1) {
    throw Error(Code::kInvalidArgument, fmt::format("capture_rows is {}: expected 1 or more", capture_rows));
  }
  if (captures.empty()) return;
  database_->Transaction([&] {
    for (const auto& capture : captures) {
      database_->Run("INSERT INTO captures VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT(request_id) DO NOTHING",
                     {capture.request_id, capture.model, capture.version, capture.time, capture.inputs,
                      capture.outputs, capture.uncertainty});
      if (capture.wanted) InsertWish(*database_, {capture.request_id, *capture.wanted});
    }
    Prune(*database_, capture_rows);
  });
}

}  // namespace strop::watch
