#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/store/backend.h"
#include "strop/store/sqlite_connection.h"

namespace strop::store {
namespace {

// As many as all rooms have different statements, several times over; beyond it the SQL is made of values,
// which a cache does not help.
constexpr size_t kIdleStatements = 256;

// Prepared statements by their SQL. One that is in use is taken out, so that a statement may be used within
// itself.
class Statements {
 public:
  explicit Statements(const SqliteConnection& connection) : connection_(connection) {}
  Statements(const Statements&) = delete;
  ~Statements() {
    for (const auto& [sql, statement] : idle_) sqlite3_finalize(statement);
  }

  sqlite3_stmt* Take(std::string_view sql) {
    if (const auto found = idle_.find(std::string(sql)); found != idle_.end()) {
      sqlite3_stmt* const statement = found->second;
      idle_.erase(found);
      return statement;
    }
    sqlite3_stmt* statement = nullptr;
    const int result = sqlite3_prepare_v3(connection_.handle(), sql.data(), static_cast<int>(sql.size()),
                                          SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (result != SQLITE_OK) connection_.Fail(result, sql);
    if (!statement) throw Error(Code::kInvalidArgument, fmt::format("no statement in: {}", sql));
    return statement;
  }

  void Return(sqlite3_stmt* statement) noexcept {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    try {
      if (idle_.size() < kIdleStatements && idle_.emplace(sqlite3_sql(statement), statement).second) return;
    } catch (const std::bad_alloc&) {
      // Then it is not kept.
    }
    sqlite3_finalize(statement);
  }

 private:
  const SqliteConnection& connection_;
  std::unordered_map<std::string, sqlite3_stmt*> idle_;
};

class SqliteRow final : public Row {
 public:
  explicit SqliteRow(sqlite3_stmt* statement) : statement_(statement) {}
  bool IsNull(int column) const noexcept override {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
  }
  int64_t Int(int column) const noexcept override { return sqlite3_column_int64(statement_, column); }
  double Real(int column) const noexcept override { return sqlite3_column_double(statement_, column); }
  std::string Text(int column) const override {
    const auto* const text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return text ? std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement_, column)))
                : std::string();
  }
  Blob Bytes(int column) const override {
    const auto* const bytes = static_cast<const uint8_t*>(sqlite3_column_blob(statement_, column));
    return bytes ? Blob(bytes, bytes + sqlite3_column_bytes(statement_, column)) : Blob();
  }
  Value Get(int column) const override {
    switch (sqlite3_column_type(statement_, column)) {
      case SQLITE_INTEGER:
        return Int(column);
      case SQLITE_FLOAT:
        return Real(column);
      case SQLITE_TEXT:
        return Text(column);
      case SQLITE_BLOB:
        return Bytes(column);
      default:
        return nullptr;
    }
  }

 private:
  sqlite3_stmt* statement_;
};

// One use of a statement: values bound, given back to the cache at the end.
class Use {
 public:
  Use(const SqliteConnection& connection, Statements& statements, std::string_view sql,
      const std::vector<Value>& values)
      : connection_(connection), statements_(statements), statement_(statements.Take(sql)), sql_(sql) {
    try {
      Bind(values);
    } catch (...) {
      statements_.Return(statement_);
      throw;
    }
  }
  Use(const Use&) = delete;
  ~Use() { statements_.Return(statement_); }

  // Whether there is a row.
  bool Step() {
    const int result = sqlite3_step(statement_);
    if (result == SQLITE_ROW) return true;
    if (result != SQLITE_DONE) connection_.Fail(sqlite3_extended_errcode(connection_.handle()), sql_);
    return false;
  }
  SqliteRow row() const { return SqliteRow(statement_); }

 private:
  void Bind(const std::vector<Value>& values) {
    if (const int wanted = sqlite3_bind_parameter_count(statement_);
        wanted != static_cast<int>(values.size())) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{} values for the {} in: {}", values.size(), wanted, sql_));
    }
    for (size_t i = 0; i < values.size(); ++i) {
      const int index = static_cast<int>(i) + 1;
      const int result = std::visit([&](const auto& value) { return BindOne(index, value); }, values[i]);
      if (result != SQLITE_OK) connection_.Fail(result, sql_);
    }
  }
  // Values outlive the use, so SQLite need not copy them.
  int BindOne(int index, std::nullptr_t) { return sqlite3_bind_null(statement_, index); }
  int BindOne(int index, int64_t value) { return sqlite3_bind_int64(statement_, index, value); }
  int BindOne(int index, double value) { return sqlite3_bind_double(statement_, index, value); }
  int BindOne(int index, const std::string& value) {
    return sqlite3_bind_text64(statement_, index, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  int BindOne(int index, const Blob& value) {
    if (value.empty()) return sqlite3_bind_zeroblob(statement_, index, 0);
    return sqlite3_bind_blob64(statement_, index, value.data(), value.size(), SQLITE_STATIC);
  }

  const SqliteConnection& connection_;
  Statements& statements_;
  sqlite3_stmt* statement_;
  std::string_view sql_;
};

class Sqlite final : public Backend {
 public:
  explicit Sqlite(const std::string& path) : connection_(path) {}

  const std::string& where() const noexcept override { return connection_.path(); }

  int64_t Write(std::string_view sql, const std::vector<Value>& values) override {
    const int64_t before = sqlite3_total_changes64(connection_.handle());
    Use use(connection_, statements_, sql, values);
    while (use.Step()) {
    }
    return sqlite3_total_changes64(connection_.handle()) - before;
  }
  void Read(std::string_view sql, const std::vector<Value>& values,
            const std::function<bool(const Row&)>& row) override {
    Use use(connection_, statements_, sql, values);
    while (use.Step() && row(use.row())) {
    }
  }
  void Script(const std::string& sql) override { connection_.Execute(sql); }
  bool HasTable(const std::string& name) override {
    bool found = false;
    Read("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", {name},
         [&](const Row&) { return found = true; });
    return found;
  }

  void Begin() override { Write("BEGIN IMMEDIATE", {}); }
  void Commit() override { Write("COMMIT", {}); }
  // SQLite may have rolled back by itself (disk full); this then fails harmlessly.
  void Rollback() noexcept override {
    sqlite3_exec(connection_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }

 private:
  SqliteConnection connection_;
  Statements statements_{connection_};
};

}  // namespace

std::unique_ptr<Backend> OpenSqlite(const std::string& path) { return std::make_unique<Sqlite>(path); }

}  // namespace strop::store
