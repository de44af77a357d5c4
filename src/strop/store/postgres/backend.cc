#include "strop/store/backend.h"

#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/store/postgres/connection.h"
#include "strop/store/postgres/dialect.h"
#include "strop/store/postgres/values.h"
#include "strop/store/postgres_plugin.h"

namespace strop::store::postgres {
namespace {

// As many as all rooms have different statements, several times over; those beyond it are prepared for each
// use.
constexpr size_t kPreparedStatements = 256;
// "strop" in ASCII. Writers hold it to the end of their transaction, so that they come one after another in
// the order in which they asked, and events, ids and revisions grow in the order of commits.
constexpr int64_t kWritersLock = 0x7374726f70;

class Postgres final : public Backend {
 public:
  explicit Postgres(std::string url) : url_(std::move(url)) {
    Ready();
    where_ = Where(connection_.get());
  }

  const std::string& where() const noexcept override { return where_; }

  int64_t Write(std::string_view sql, const std::vector<Value>& values) override {
    if (in_transaction_) return ChangedRows(Send(sql, values).get());
    Begin();
    try {
      const int64_t changed = ChangedRows(Send(sql, values).get());
      Commit();
      return changed;
    } catch (...) {
      Rollback();
      throw;
    }
  }

  // The result is here as a whole before the first row is shown, so that `row` may send statements.
  void Read(std::string_view sql, const std::vector<Value>& values,
            const std::function<bool(const Row&)>& row) override {
    const Result result = Send(sql, values);
    for (int i = 0; i < PQntuples(result.get()) && row(ResultRow(result.get(), i)); ++i) {
    }
  }

  void Script(const std::string& sql) override { Simple(ToPostgres(sql)); }

  bool HasTable(const std::string& name) override {
    bool found = false;
    Read("SELECT to_regclass(quote_ident(?)) IS NOT NULL", {name}, [&](const Row& row) {
      found = row.Int(0) != 0;
      return false;
    });
    return found;
  }

  // Not SERIALIZABLE: with the lock each statement sees all that earlier writers have done, and nothing has
  // to be tried again. The level is named, since the server's default may be one whose snapshot is of before
  // the wait.
  void Begin() override {
    Ready();
    in_transaction_ = true;
    try {
      Simple(fmt::format("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({})",
                         kWritersLock));
    } catch (...) {
      Rollback();
      throw;
    }
  }

  void Commit() override {
    const Result result(PQexec(connection_.get(), "COMMIT"));
    if (PQstatus(connection_.get()) != CONNECTION_OK) {
      throw Error(Code::kUnavailable, fmt::format("{}: the connection was lost while a transaction was being "
                                                  "committed: it may be stored or not",
                                                  where_));
    }
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) Fail(connection_.get(), result.get(), "COMMIT");
    if (std::string_view(PQcmdStatus(result.get())) != "COMMIT") {
      throw Error(
          Code::kFailedPrecondition,
          fmt::format("{}: a statement of the transaction failed, so nothing of it is stored", where_));
    }
    in_transaction_ = false;
  }

  void Rollback() noexcept override {
    if (PQstatus(connection_.get()) == CONNECTION_OK) PQclear(PQexec(connection_.get(), "ROLLBACK"));
    in_transaction_ = false;
  }

 private:
  struct Prepared {
    std::string name;
    std::vector<Oid> types;  // of its values, as the server has inferred them
  };

  // Connects, or connects anew. Within a transaction a lost connection shows as the error of its next
  // statement.
  void Ready() {
    if (in_transaction_ || !IsLost(connection_.get())) return;
    prepared_.clear();
    connection_ = connection_ ? Reconnect(url_) : Connect(url_);
  }

  void Simple(const std::string& sql) {
    const Result result(PQexec(connection_.get(), sql.c_str()));
    Check(result.get(), sql);
  }

  void Check(const PGresult* result, std::string_view sql) {
    switch (PQresultStatus(result)) {
      case PGRES_COMMAND_OK:
      case PGRES_TUPLES_OK:
        return;
      case PGRES_EMPTY_QUERY:
        throw Error(Code::kInvalidArgument, fmt::format("no statement in: {}", sql));
      default:
        Fail(connection_.get(), result, sql);
    }
  }

  Prepared Prepare(const std::string& sql) {
    if (const auto found = prepared_.find(sql); found != prepared_.end()) return found->second;
    const bool kept = prepared_.size() < kPreparedStatements;
    Prepared prepared{kept ? fmt::format("strop_{}", prepared_.size()) : "", {}};
    const Result made(
        PQprepare(connection_.get(), prepared.name.c_str(), ToPostgres(sql).c_str(), 0, nullptr));
    Check(made.get(), sql);
    const Result described(PQdescribePrepared(connection_.get(), prepared.name.c_str()));
    Check(described.get(), sql);
    for (int i = 0; i < PQnparams(described.get()); ++i)
      prepared.types.push_back(PQparamtype(described.get(), i));
    if (kept) prepared_.emplace(sql, prepared);
    return prepared;
  }

  Result Send(std::string_view sql, const std::vector<Value>& values) {
    Ready();
    const Prepared prepared = Prepare(std::string(sql));
    if (prepared.types.size() != values.size()) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{} values for the {} in: {}", values.size(), prepared.types.size(), sql));
    }
    std::vector<Encoded> encoded;
    for (size_t i = 0; i < values.size(); ++i) encoded.push_back(Encode(values[i], prepared.types[i]));
    std::vector<const char*> bytes;
    std::vector<int> lengths, formats;
    for (const Encoded& value : encoded) {
      bytes.push_back(value.null ? nullptr : value.bytes.data());
      lengths.push_back(static_cast<int>(value.bytes.size()));
      formats.push_back(value.binary ? 1 : 0);
    }
    Result result(PQexecPrepared(connection_.get(), prepared.name.c_str(), static_cast<int>(values.size()),
                                 bytes.data(), lengths.data(), formats.data(), /*resultFormat=*/0));
    Check(result.get(), sql);
    return result;
  }

  static int64_t ChangedRows(PGresult* result) {
    if (std::string_view(PQcmdStatus(result)).starts_with("SELECT")) return 0;
    return std::strtoll(PQcmdTuples(result), nullptr, 10);
  }

  std::string url_;
  std::string where_;
  Connection connection_;
  std::unordered_map<std::string, Prepared> prepared_;  // by their SQL
  bool in_transaction_ = false;
};

struct Registration {
  Registration() {
    RegisterPostgres([](const std::string& url) { return std::make_unique<Postgres>(url); });
  }
};
const Registration registration;

}  // namespace
}  // namespace strop::store::postgres
