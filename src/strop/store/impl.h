#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sqlite3.h>

#include "strop/store/database.h"

namespace strop::store {

struct Database::Impl {
  sqlite3* connection = nullptr;
  std::string where;  // the file, for messages
  bool in_transaction = false;
  // Prepared statements that nobody steps, by their SQL.
  std::unordered_map<std::string, sqlite3_stmt*> idle;

  Impl() = default;
  Impl(const Impl&) = delete;
  ~Impl();

  sqlite3_stmt* Take(std::string_view sql);
  void Return(sqlite3_stmt* statement) noexcept;
  // SQL without values and results; may hold several statements.
  void Execute(const std::string& sql);
  // Throws the Error of a result code and of what SQLite says of the connection.
  [[noreturn]] void Fail(int result, std::string_view what) const;
};

}  // namespace strop::store
