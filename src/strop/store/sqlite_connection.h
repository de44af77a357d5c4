#pragma once

#include <chrono>
#include <random>
#include <string>
#include <string_view>

#include <sqlite3.h>

namespace strop::store {

// A connection to a SQLite file, as database.h promises it: WAL, synchronous=FULL, foreign keys.
class SqliteConnection {
 public:
  // Makes the file and its parent folders where they are missing; ":memory:" has neither.
  explicit SqliteConnection(std::string path);
  SqliteConnection(const SqliteConnection&) = delete;
  ~SqliteConnection();

  sqlite3* handle() const noexcept { return handle_; }
  const std::string& path() const noexcept { return path_; }

  // SQL without values and results; may hold several statements.
  void Execute(const std::string& sql);
  // Throws the Error of a result code and of what SQLite says of the connection.
  [[noreturn]] void Fail(int result, std::string_view what) const;

 private:
  void RefuseForeign();
  void UseWal();
  static int WaitForWriter(void* connection, int tried);

  std::string path_;
  sqlite3* handle_ = nullptr;
  std::chrono::steady_clock::time_point waits_since_;
  std::minstd_rand jitter_{std::random_device{}()};
};

}  // namespace strop::store
