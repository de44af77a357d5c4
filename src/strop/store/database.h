#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "strop/base/api.h"

struct sqlite3;
struct sqlite3_stmt;

namespace strop::store {

using Blob = std::vector<uint8_t>;
using Value = std::variant<std::nullptr_t, int64_t, double, std::string, Blob>;

// One row of a result; valid until the next step of its statement. Column indexes start at 0.
class STROP_API Row {
 public:
  explicit Row(sqlite3_stmt* statement) noexcept : statement_(statement) {}
  bool IsNull(int column) const noexcept;
  int64_t Int(int column) const noexcept;
  double Real(int column) const noexcept;
  std::string Text(int column) const;
  Blob Bytes(int column) const;

 private:
  sqlite3_stmt* statement_;
};

// A room's tables: `steps` in order, each run once, in a transaction with its own record.
struct STROP_API Migrations {
  std::string room;                // "tune", "watch", …
  std::vector<std::string> steps;  // SQL; never edited once released, only appended to
};

// An entry of the event log.
struct STROP_API Event {
  int64_t id = 0;   // grows in the order of commits; never reused
  double time = 0;  // Unix seconds
  std::string room;
  std::string event;
  std::string detail;  // JSON
};

// Unix seconds, as every table keeps time.
STROP_API double UnixTime();

// A SQLite file in WAL mode with synchronous=FULL: a committed transaction survives kill -9 and power loss.
// Several processes may share it; a writer waits for another up to 30 s, then throws kTimeout. One Database
// is used by one thread at a time; open one a thread.
class STROP_API Database {
 public:
  struct Impl;

  // "sqlite:///relative.db", "sqlite:////absolute.db", a bare path, or "sqlite://" for memory. Makes parent
  // folders. Throws kInvalidArgument for another scheme, kCorrupt naming the file when it is not a database.
  static Database Open(const std::string& url);

  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  // Throws kFailedPrecondition when the file was written by a newer Strop. Not within a Transaction.
  void Migrate(const Migrations& migrations);

  // Runs one statement with values for its ?; answers the number of changed rows. Outside a Transaction it is
  // one of its own, on disk when this returns. Throws kAlreadyExists when it would break a primary key or
  // UNIQUE, kInvalidArgument for another constraint.
  int64_t Run(std::string_view sql, const std::vector<Value>& values = {});
  void Query(std::string_view sql, const std::vector<Value>& values,
             const std::function<void(const Row&)>& row);
  // First column of the first row.
  std::optional<Value> Scalar(std::string_view sql, const std::vector<Value>& values = {});
  int64_t LastId() const noexcept;

  // Runs `body` between BEGIN IMMEDIATE and COMMIT; rolls back and rethrows what it throws. On disk
  // when this returns. Nested use throws kFailedPrecondition.
  void Transaction(const std::function<void()>& body);

  // What happened, in order, for people, `strop status` and replay: kept forever, never updated. `detail` is
  // JSON.
  void Log(std::string_view room, std::string_view event, std::string_view detail_json);
  // Events after the one with id `after`, oldest first, at most `limit`; of one room unless it is empty. A
  // reader polls with the last id it has seen and misses none.
  std::vector<Event> Events(int64_t after, int64_t limit = 1000, std::string_view room = {});

 private:
  explicit Database(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace strop::store
