#include "strop/store/sqlite_connection.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/store/backend.h"

namespace strop::store {
namespace {

using std::chrono::steady_clock;

Code CodeOf(int result) {
  switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::kTimeout;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return Code::kCorrupt;
    case SQLITE_CONSTRAINT:
      return result == SQLITE_CONSTRAINT_PRIMARYKEY || result == SQLITE_CONSTRAINT_UNIQUE ||
                     result == SQLITE_CONSTRAINT_ROWID
                 ? Code::kAlreadyExists
                 : Code::kInvalidArgument;
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
      return Code::kInvalidArgument;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return Code::kIo;
    default:
      return Code::kInternal;
  }
}

// What to do about it, where there is something.
std::string Remedy(int result) {
  switch (result & 0xff) {
    case SQLITE_NOTADB:
      return "; name another file, or move this one away";
    case SQLITE_BUSY:
      return fmt::format("; another process has been writing for {} s", kWaitSeconds);
    case SQLITE_FULL:
      return "; free space on its disk";
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return "; the file and its folder must be writable";
    default:
      return "";
  }
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

SqliteConnection::SqliteConnection(std::string path) : path_(std::move(path)) {
  const bool memory = path_ == ":memory:";
  if (!memory) MakeParent(path_);
  // A connection belongs to one thread at a time, so SQLite's own mutexes would only cost.
  const int result = sqlite3_open_v2(
      path_.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  try {
    if (result != SQLITE_OK) Fail(result, "open");
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_busy_handler(handle_, WaitForWriter, this);
    if (!memory) {
      RefuseForeign();
      UseWal();
    }
    Execute("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
  } catch (...) {
    sqlite3_close_v2(handle_);
    throw;
  }
}

SqliteConnection::~SqliteConnection() { sqlite3_close_v2(handle_); }

// Another program's database is left as it is. Strop's has the table that every store begins with.
void SqliteConnection::RefuseForeign() {
  int tables = 0, ours = 0;
  const auto read = [&](const char* sql, int& into) {
    const auto take = [](void* to, int, char** columns, char**) {
      *static_cast<int*>(to) = std::atoi(columns[0]);
      return 0;
    };
    const int result = sqlite3_exec(handle_, sql, take, &into, nullptr);
    if (result != SQLITE_OK) Fail(result, "open");
  };
  read("SELECT count(*) FROM sqlite_master", tables);
  read("SELECT count(*) FROM pragma_table_info('migrations') WHERE name IN ('room', 'step', 'time')", ours);
  if (tables == 0 || ours == 3) return;
  throw Error(Code::kFailedPrecondition,
              fmt::format("{}: a database of another program: name another file", path_));
}

// Changing to WAL wants the file alone and does not wait for it by itself.
void SqliteConnection::UseWal() {
  const auto deadline = steady_clock::now() + std::chrono::seconds(kWaitSeconds);
  while (true) {
    const int result = sqlite3_exec(handle_, "PRAGMA journal_mode = WAL", nullptr, nullptr, nullptr);
    if (result == SQLITE_OK) return;
    if ((result & 0xff) != SQLITE_BUSY || steady_clock::now() > deadline) Fail(result, "open");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// SQLite's own handler waits ever longer, up to 100 ms, so that among many writers those who have waited
// longest come last and some wait for minutes. With short waits each has about the same chance whenever the
// file is free.
int SqliteConnection::WaitForWriter(void* connection, int tried) {
  auto& self = *static_cast<SqliteConnection*>(connection);
  const auto now = steady_clock::now();
  if (tried == 0) self.waits_since_ = now;
  if (now - self.waits_since_ > std::chrono::seconds(kWaitSeconds)) return 0;
  const int longest = 1000 * std::min(tried + 1, 8);
  std::this_thread::sleep_for(
      std::chrono::microseconds(std::uniform_int_distribution(500, longest)(self.jitter_)));
  return 1;
}

void SqliteConnection::Execute(const std::string& sql) {
  const int result = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) Fail(sqlite3_extended_errcode(handle_), sql);
}

void SqliteConnection::Fail(int result, std::string_view what) const {
  std::string context;
  // A statement is worth showing when it is the mistake, not when the disk is.
  if (CodeOf(result) == Code::kInternal || (result & 0xff) == SQLITE_CONSTRAINT) {
    context = fmt::format(" (in: {})", what.substr(0, what.find('\n')));
  }
  const int primary = result & 0xff;
  if (const int reason = sqlite3_system_errno(handle_);
      reason != 0 && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN)) {
    context = fmt::format(" ({})", std::generic_category().message(reason));
  }
  throw Error(CodeOf(result),
              fmt::format("{}: {}{}{}", path_, sqlite3_errmsg(handle_), context, Remedy(result)));
}

}  // namespace strop::store
