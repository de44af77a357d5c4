#include "strop/store/database.h"

#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/store/impl.h"

namespace strop::store {
namespace {

// As many as all rooms have different statements, several times over; beyond it the SQL is made of values,
// which a cache does not help.
constexpr size_t kIdleStatements = 256;

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
std::string_view Remedy(int result) {
  switch (result & 0xff) {
    case SQLITE_NOTADB:
      return "; name another file, or move this one away";
    case SQLITE_BUSY:
      return "; another process has been writing for 30 s";
    case SQLITE_FULL:
      return "; free space on its disk";
    default:
      return "";
  }
}

// One use of a statement: values bound, given back to the cache at the end.
class Use {
 public:
  Use(Database::Impl& impl, std::string_view sql, const std::vector<Value>& values)
      : impl_(impl), statement_(impl.Take(sql)), sql_(sql) {
    try {
      Bind(values);
    } catch (...) {
      impl_.Return(statement_);
      throw;
    }
  }
  Use(const Use&) = delete;
  ~Use() { impl_.Return(statement_); }

  // Whether there is a row.
  bool Step() {
    const int result = sqlite3_step(statement_);
    if (result == SQLITE_ROW) return true;
    if (result != SQLITE_DONE) impl_.Fail(sqlite3_extended_errcode(impl_.connection), sql_);
    return false;
  }
  sqlite3_stmt* statement() const noexcept { return statement_; }

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
      if (result != SQLITE_OK) impl_.Fail(result, sql_);
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

  Database::Impl& impl_;
  sqlite3_stmt* statement_;
  std::string_view sql_;
};

}  // namespace

Database::Impl::~Impl() {
  for (const auto& [sql, statement] : idle) sqlite3_finalize(statement);
  sqlite3_close_v2(connection);
}

sqlite3_stmt* Database::Impl::Take(std::string_view sql) {
  if (const auto found = idle.find(std::string(sql)); found != idle.end()) {
    sqlite3_stmt* const statement = found->second;
    idle.erase(found);
    return statement;
  }
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v3(connection, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (result != SQLITE_OK) Fail(result, sql);
  if (!statement) throw Error(Code::kInvalidArgument, fmt::format("no statement in: {}", sql));
  return statement;
}

void Database::Impl::Return(sqlite3_stmt* statement) noexcept {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  try {
    if (idle.size() < kIdleStatements && idle.emplace(sqlite3_sql(statement), statement).second) return;
  } catch (const std::bad_alloc&) {
    // Then it is not kept.
  }
  sqlite3_finalize(statement);
}

void Database::Impl::Execute(const std::string& sql) {
  const int result = sqlite3_exec(connection, sql.c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) Fail(sqlite3_extended_errcode(connection), sql);
}

void Database::Impl::Fail(int result, std::string_view what) const {
  std::string context;
  // A statement is worth showing when it is the mistake, not when the disk is.
  if (CodeOf(result) == Code::kInternal || (result & 0xff) == SQLITE_CONSTRAINT) {
    context = fmt::format(" (in: {})", what.substr(0, what.find('\n')));
  }
  throw Error(CodeOf(result),
              fmt::format("{}: {}{}{}", where, sqlite3_errmsg(connection), context, Remedy(result)));
}

bool Row::IsNull(int column) const noexcept { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
int64_t Row::Int(int column) const noexcept { return sqlite3_column_int64(statement_, column); }
double Row::Real(int column) const noexcept { return sqlite3_column_double(statement_, column); }

std::string Row::Text(int column) const {
  const auto* const text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return text ? std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement_, column)))
              : std::string();
}

Blob Row::Bytes(int column) const {
  const auto* const bytes = static_cast<const uint8_t*>(sqlite3_column_blob(statement_, column));
  return bytes ? Blob(bytes, bytes + sqlite3_column_bytes(statement_, column)) : Blob();
}

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

int64_t Database::Run(std::string_view sql, const std::vector<Value>& values) {
  const int64_t before = sqlite3_total_changes64(impl_->connection);
  Use use(*impl_, sql, values);
  while (use.Step()) {
  }
  return sqlite3_total_changes64(impl_->connection) - before;
}

void Database::Query(std::string_view sql, const std::vector<Value>& values,
                     const std::function<void(const Row&)>& row) {
  Use use(*impl_, sql, values);
  while (use.Step()) row(Row(use.statement()));
}

std::optional<Value> Database::Scalar(std::string_view sql, const std::vector<Value>& values) {
  Use use(*impl_, sql, values);
  if (!use.Step()) return std::nullopt;
  const Row row(use.statement());
  switch (sqlite3_column_type(use.statement(), 0)) {
    case SQLITE_INTEGER:
      return Value(row.Int(0));
    case SQLITE_FLOAT:
      return Value(row.Real(0));
    case SQLITE_TEXT:
      return Value(row.Text(0));
    case SQLITE_BLOB:
      return Value(row.Bytes(0));
    default:
      return Value(nullptr);
  }
}

int64_t Database::LastId() const noexcept { return sqlite3_last_insert_rowid(impl_->connection); }

void Database::Transaction(const std::function<void()>& body) {
  if (impl_->in_transaction) {
    throw Error(
        Code::kFailedPrecondition,
        fmt::format("{}: a transaction within a transaction; let the outer one hold both", impl_->where));
  }
  impl_->Execute("BEGIN IMMEDIATE");
  impl_->in_transaction = true;
  try {
    body();
    impl_->Execute("COMMIT");
  } catch (...) {
    // SQLite may have rolled back by itself (disk full); a second attempt then fails harmlessly.
    sqlite3_exec(impl_->connection, "ROLLBACK", nullptr, nullptr, nullptr);
    impl_->in_transaction = false;
    throw;
  }
  impl_->in_transaction = false;
}

double UnixTime() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace strop::store
