#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/store/backend.h"
#include "strop/store/postgres_plugin.h"

namespace strop::store {
namespace {

// The path in SQLite's terms of what follows sqlite://, as SQLAlchemy writes it: three slashes are relative,
// four absolute.
std::string SqlitePath(const std::string& rest) {
  if (rest.empty() || rest == "/" || rest == "/:memory:") return ":memory:";
  if (rest[0] != '/') {
    throw Error(Code::kInvalidArgument,
                fmt::format("sqlite://{} names the host {}: write sqlite:///{} for a relative path", rest,
                            rest.substr(0, rest.find('/')), rest));
  }
  return rest.substr(1);
}

// nullopt for a URL of PostgreSQL.
std::optional<std::string> SqlitePathOf(const std::string& url) {
  if (url.empty()) throw Error(Code::kInvalidArgument, "the store's URL is empty: expected sqlite:///FILE");
  const size_t scheme_end = url.find("://");
  if (scheme_end == std::string::npos) return url;
  const std::string scheme = url.substr(0, scheme_end);
  if (scheme == "sqlite") return SqlitePath(url.substr(scheme_end + 3));
  if (scheme == "postgresql" || scheme == "postgres") return std::nullopt;
  // Not the whole URL: it may hold a password.
  throw Error(
      Code::kInvalidArgument,
      fmt::format("a store at {}://: expected sqlite:///relative.db, sqlite:////absolute.db, sqlite:// "
                  "(memory), a path, or postgresql://user:password@host:port/db",
                  scheme));
}

}  // namespace

bool Database::Exists(const std::string& url) {
  const std::optional<std::string> path = SqlitePathOf(url);
  return !path || *path == ":memory:" || std::filesystem::exists(*path);
}

Database Database::Open(const std::string& url) {
  const std::optional<std::string> path = SqlitePathOf(url);
  Database database(path ? OpenSqlite(*path) : OpenPostgres(url));
  database.Migrate(
      {"store",
       {"CREATE TABLE events(id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, room TEXT NOT NULL, "
        "event TEXT NOT NULL, detail TEXT NOT NULL);"
        "CREATE INDEX events_room ON events(room, id);"}});
  return database;
}

}  // namespace strop::store
