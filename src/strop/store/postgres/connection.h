#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <libpq-fe.h>

namespace strop::store::postgres {

struct Free {
  void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
  void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using Connection = std::unique_ptr<PGconn, Free>;
using Result = std::unique_ptr<PGresult, Free>;

// A session as Strop wants it: UTF-8, locks that wait kWaitSeconds, no notices on stderr. Throws what
// Database::Open says.
Connection Connect(const std::string& url);
// The same after a session was lost: a server that restarts is waited for, up to kWaitSeconds.
Connection Reconnect(const std::string& url);

// "postgresql://user@host:port/dbname", without the password.
std::string Where(const PGconn* connection);

// Whether the server has gone, as far as can be seen without asking it.
bool IsLost(const PGconn* connection) noexcept;

// Throws the Error of a statement that failed.
[[noreturn]] void Fail(const PGconn* connection, const PGresult* result, std::string_view sql);

}  // namespace strop::store::postgres
