#include "strop/store/database.h"

#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/store/backend.h"

namespace strop::store {

Database::Database(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

const std::string& Database::where() const noexcept { return backend_->where(); }

int64_t Database::Run(std::string_view sql, const std::vector<Value>& values) {
  return backend_->Write(sql, values);
}

void Database::Query(std::string_view sql, const std::vector<Value>& values,
                     const std::function<void(const Row&)>& row) {
  backend_->Read(sql, values, [&](const Row& found) {
    row(found);
    return true;
  });
}

std::optional<Value> Database::Scalar(std::string_view sql, const std::vector<Value>& values) {
  std::optional<Value> value;
  backend_->Read(sql, values, [&](const Row& row) {
    value = row.Get(0);
    return false;
  });
  return value;
}

bool Database::HasTable(const std::string& name) { return backend_->HasTable(name); }

void Database::Transaction(const std::function<void()>& body) {
  if (in_transaction_) {
    throw Error(Code::kFailedPrecondition,
                fmt::format("{}: a transaction within a transaction; let the outer one hold both", where()));
  }
  backend_->Begin();
  in_transaction_ = true;
  try {
    body();
    backend_->Commit();
  } catch (...) {
    backend_->Rollback();
    in_transaction_ = false;
    throw;
  }
  in_transaction_ = false;
}

double UnixTime() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace strop::store
