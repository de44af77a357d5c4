#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "strop/store/database.h"

namespace strop::store {

// What a Database stands on: one connection to one kind of database. One thread at a time. SQL is SQLite's,
// as far as docs/store.md allows it. Errors are as database.h says, for every kind the same codes.
class Backend {
 public:
  virtual ~Backend() = default;

  // The file, or the URL without its password: for messages.
  virtual const std::string& where() const noexcept = 0;

  // Runs one statement and answers the number of changed rows; outside Begin and Commit it is a transaction
  // of its own.
  virtual int64_t Write(std::string_view sql, const std::vector<Value>& values) = 0;
  // Calls `row` with each row of a statement until it answers false. One that writes only between Begin and
  // Commit.
  virtual void Read(std::string_view sql, const std::vector<Value>& values,
                    const std::function<bool(const Row&)>& row) = 0;
  // Several statements without values and results.
  virtual void Script(const std::string& sql) = 0;
  virtual bool HasTable(const std::string& name) = 0;

  // A transaction that no other writer runs beside. Begin that throws has begun nothing; Rollback comes after
  // a Commit that threw, too.
  virtual void Begin() = 0;
  virtual void Commit() = 0;
  virtual void Rollback() noexcept = 0;
};

// How long a writer waits for another, and a connection for its server.
inline constexpr int kWaitSeconds = 30;

// `path` in SQLite's terms.
std::unique_ptr<Backend> OpenSqlite(const std::string& path);

}  // namespace strop::store
