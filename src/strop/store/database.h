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

namespace strop::store {

class Backend;

using Blob = std::vector<uint8_t>;
using Value = std::variant<std::nullptr_t, int64_t, double, std::string, Blob>;

// One row of a result, for as long as it is shown. Column indexes start at 0. A column of another type is
// converted where that makes sense, and is 0 or empty where not.
class STROP_API Row {
 public:
  virtual ~Row() = default;
  virtual bool IsNull(int column) const noexcept = 0;
  virtual int64_t Int(int column) const noexcept = 0;
  virtual double Real(int column) const noexcept = 0;
  virtual std::string Text(int column) const = 0;
  virtual Blob Bytes(int column) const = 0;
  // As it is kept.
  virtual Value Get(int column) const = 0;
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

// A store: a SQLite file (WAL, synchronous=FULL) or a PostgreSQL database. A committed transaction survives
// kill -9 and power loss. Several processes may share it; a writer waits for another up to 30 s, then throws
// kTimeout. One Database is used by one thread at a time; open one a thread. SQL is SQLite's, as far as
// docs/store.md has both kinds understand it. A full disk and a store that may only be read are kIo, a server
// that has gone is kUnavailable.
class STROP_API Database {
 public:
  // "sqlite:///relative.db", "sqlite:////absolute.db", a bare path, or "sqlite://" for memory; makes parent
  // folders. "postgresql://user:password@host:port/db", with the parameters that libpq knows; messages never
  // show the password. Throws kInvalidArgument for another scheme or a login that the server refuses,
  // kCorrupt naming the file when it is not a database, kNotFound for a database that the server does not
  // have, kFailedPrecondition where libpq is missing.
  static Database Open(const std::string& url);
  // False for a SQLite file that is not there, which Open would make.
  static bool Exists(const std::string& url);

  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  // The file, or the URL without its password: for messages.
  const std::string& where() const noexcept;

  // Throws kFailedPrecondition when the store was written by a newer Strop. Not within a Transaction.
  void Migrate(const Migrations& migrations);

  // Runs one statement with values for its ?; answers the number of changed rows. Outside a Transaction it is
  // one of its own, on disk when this returns. Throws kAlreadyExists when it would break a primary key or
  // UNIQUE, kInvalidArgument for another constraint.
  int64_t Run(std::string_view sql, const std::vector<Value>& values = {});
  // Shows each row to `row`, which may read from this Database, and within a Transaction write. A statement
  // that writes (INSERT … RETURNING id) only within a Transaction.
  void Query(std::string_view sql, const std::vector<Value>& values,
             const std::function<void(const Row&)>& row);
  // First column of the first row. As Query.
  std::optional<Value> Scalar(std::string_view sql, const std::vector<Value>& values = {});
  bool HasTable(const std::string& name);

  // Runs `body` in a transaction that no other writer runs beside; rolls back and rethrows what it throws. On
  // disk when this returns. Nested use throws kFailedPrecondition. A statement that fails ends the whole
  // transaction, so `body` must let its error out.
  void Transaction(const std::function<void()>& body);

  // What happened, in order, for people, `strop status` and replay: kept forever, never updated. `detail` is
  // JSON.
  void Log(std::string_view room, std::string_view event, std::string_view detail_json);
  // Events after the one with id `after`, oldest first, at most `limit`; of one room unless it is empty. A
  // reader polls with the last id it has seen and misses none.
  std::vector<Event> Events(int64_t after, int64_t limit = 1000, std::string_view room = {});

 private:
  explicit Database(std::unique_ptr<Backend> backend);

  std::unique_ptr<Backend> backend_;
  bool in_transaction_ = false;
};

}  // namespace strop::store
