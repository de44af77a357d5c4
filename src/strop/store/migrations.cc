#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/store/backend.h"

namespace strop::store {
namespace {

// How many of a room's steps this store has had.
int64_t StepsDone(Database& database, const std::string& room) {
  const auto done = database.Scalar("SELECT count(*) FROM migrations WHERE room = ?", {room});
  return std::get<int64_t>(*done);
}

}  // namespace

void Database::Migrate(const Migrations& migrations) {
  const auto wanted = static_cast<int64_t>(migrations.steps.size());
  const auto check = [&](int64_t done) {
    if (done > wanted) {
      throw Error(
          Code::kFailedPrecondition,
          fmt::format(
              "{} was written by a newer Strop: its {} tables are at step {}, and this one knows {}; update "
              "Strop, or name another store",
              where(), migrations.room, done, wanted));
    }
    return done == wanted;
  };
  // Without the lock first, so that opening a store that is up to date never waits for a writer.
  if (HasTable("migrations") && check(StepsDone(*this, migrations.room))) return;
  Transaction([&] {
    Run("CREATE TABLE IF NOT EXISTS migrations(room TEXT NOT NULL, step INTEGER NOT NULL, time REAL NOT "
        "NULL, "
        "PRIMARY KEY (room, step))");
    // Another process may have come first.
    int64_t done = StepsDone(*this, migrations.room);
    check(done);
    for (; done < wanted; ++done) {
      backend_->Script(migrations.steps[static_cast<size_t>(done)]);
      Run("INSERT INTO migrations VALUES (?, ?, ?)", {migrations.room, done + 1, UnixTime()});
    }
  });
}

}  // namespace strop::store
