#include <chrono>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/store/impl.h"

namespace strop::store {
namespace {

constexpr int kBusyMilliseconds = 30'000;

// The path in SQLite's terms of a URL as SQLAlchemy writes it: three slashes are relative, four absolute.
std::string ParseUrl(const std::string& url) {
  const size_t scheme_end = url.find("://");
  if (scheme_end == std::string::npos) {
    if (url.empty()) throw Error(Code::kInvalidArgument, "the store's URL is empty: expected sqlite:///FILE");
    return url;
  }
  if (url.substr(0, scheme_end) != "sqlite") {
    throw Error(Code::kInvalidArgument,
                fmt::format("{}: expected sqlite:///relative.db, sqlite:////absolute.db, sqlite:// "
                            "(memory) or a path",
                            url));
  }
  const std::string rest = url.substr(scheme_end + 3);
  if (rest.empty() || rest == "/" || rest == "/:memory:") return ":memory:";
  if (rest[0] != '/') {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} names the host {}: write sqlite:///{} for a relative path", url,
                            rest.substr(0, rest.find('/')), rest));
  }
  return rest.substr(1);
}

void MakeParent(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  if (parent.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(parent, error);
  if (error)
    throw Error(Code::kIo, fmt::format("{}: cannot make the folder: {}", parent.string(), error.message()));
}

}  // namespace

Database Database::Open(const std::string& url) {
  const std::string path = ParseUrl(url);
  const bool memory = path == ":memory:";
  if (!memory) MakeParent(path);
  auto impl = std::make_unique<Impl>();
  impl->where = path;
  // A connection belongs to one thread at a time, so SQLite's own mutexes would only cost.
  const int result =
      sqlite3_open_v2(path.c_str(), &impl->connection,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (result != SQLITE_OK) impl->Fail(result, "open");
  sqlite3_extended_result_codes(impl->connection, 1);
  sqlite3_busy_timeout(impl->connection, kBusyMilliseconds);
  // Changing to WAL wants the file alone and does not wait for it by itself.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kBusyMilliseconds);
  while (!memory) {
    const int changed =
        sqlite3_exec(impl->connection, "PRAGMA journal_mode = WAL", nullptr, nullptr, nullptr);
    if (changed == SQLITE_OK) break;
    if ((changed & 0xff) != SQLITE_BUSY || std::chrono::steady_clock::now() > deadline)
      impl->Fail(changed, "open");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  impl->Execute("PRAGMA synchronous = FULL");
  impl->Execute("PRAGMA foreign_keys = ON");
  Database database(std::move(impl));
  database.Migrate(
      {"store",
       {"CREATE TABLE events(id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, room TEXT NOT NULL, "
        "event TEXT NOT NULL, detail TEXT NOT NULL);"
        "CREATE INDEX events_room ON events(room, id);"}});
  return database;
}

}  // namespace strop::store
