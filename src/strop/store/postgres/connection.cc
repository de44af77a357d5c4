#include "strop/store/postgres/connection.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <new>
#include <thread>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/store/backend.h"

namespace strop::store::postgres {
namespace {

using std::chrono::steady_clock;

// 12 writes the shortest digits that give a double back.
constexpr int kOldestServer = 120000;

// Of SQLSTATE (PostgreSQL's documentation, appendix A): a class of two characters or a whole code.
struct Meaning {
  std::string_view state;
  Code code;
  std::string_view remedy;
};
constexpr Meaning kMeanings[] = {
    {"23505", Code::kAlreadyExists, ""},
    {"23", Code::kInvalidArgument, ""},
    {"22", Code::kInvalidArgument, ""},
    {"25006", Code::kIo, "; the server is a standby, or default_transaction_read_only is on"},
    {"25P02", Code::kFailedPrecondition, ""},
    {"28", Code::kInvalidArgument, "; check the user and the password of the URL"},
    {"3D000", Code::kNotFound, "; create it, as by createdb"},
    {"3F000", Code::kNotFound, "; create the schema that search_path names"},
    {"42501", Code::kFailedPrecondition, "; grant it to the URL's user"},
    {"42P07", Code::kAlreadyExists, "; give Strop a database or a schema of its own"},
    {"53100", Code::kIo, "; free space on the server's disk"},
    {"53", Code::kUnavailable, ""},
    {"55P03", Code::kTimeout, "; another process has been writing for 30 s"},
    {"57014", Code::kTimeout, ""},
    {"57", Code::kUnavailable, ""},
    {"58", Code::kIo, ""},
    {"40", Code::kUnavailable, "; try again"},
    {"08", Code::kUnavailable, ""},
    {"XX001", Code::kCorrupt, ""},
    {"XX002", Code::kCorrupt, ""},
    {"", Code::kInternal, ""},
};
static_assert(kWaitSeconds == 30, "the remedy of 55P03 names it");

const Meaning& MeaningOf(std::string_view state) {
  return *std::find_if(std::begin(kMeanings), std::end(kMeanings),
                       [&](const Meaning& meaning) { return state.starts_with(meaning.state); });
}

std::string OneLine(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool blank = c == '\n' || c == '\t' || c == ' ';
    if (!blank) line += c;
    if (blank && !line.empty() && line.back() != ' ') line += ' ';
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

// Of a connection that did not come about. Its message is verbose, "…: FATAL:  28P01: text\nLOCATION: …":
// libpq has no other way to the code, and the text may be in any language.
[[noreturn]] void FailToConnect(const PGconn* connection) {
  const std::string_view message = PQerrorMessage(connection);
  if (PQconnectionNeedsPassword(connection) != 0) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{}: the server wants a password: write it into the URL, or "
                            "into PGPASSWORD or ~/.pgpass",
                            Where(connection)));
  }
  for (size_t at = message.find(":  "); at != std::string_view::npos; at = message.find(":  ", at + 1)) {
    if (at + 10 > message.size() || message.substr(at + 8, 2) != ": ") continue;
    const Meaning& meaning = MeaningOf(message.substr(at + 3, 5));
    const std::string_view text = message.substr(at + 10);
    throw Error(meaning.code, fmt::format("{}: {}{}", Where(connection),
                                          OneLine(text.substr(0, text.find('\n'))), meaning.remedy));
  }
  throw Error(Code::kUnavailable, fmt::format("{}: {}", Where(connection), OneLine(message)));
}

// The URL up to where a password may stand, for one that cannot be read.
void CheckUrl(const std::string& url) {
  PQconninfoOption* const options = PQconninfoParse(url.c_str(), nullptr);
  if (!options) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format(
            "a {} URL that cannot be read: expected postgresql://user:password@host:port/dbname, with "
            "%40 for @, %2F for / and the like in user and password",
            url.substr(0, url.find("://") + 3)));
  }
  PQconninfoFree(options);
}

// Waits until the connection stands or has failed.
void Await(PGconn* connection) {
  const auto deadline = steady_clock::now() + std::chrono::seconds(kWaitSeconds);
  PostgresPollingStatusType status = PGRES_POLLING_WRITING;
  while (status != PGRES_POLLING_OK) {
    if (status == PGRES_POLLING_FAILED || PQstatus(connection) == CONNECTION_BAD) FailToConnect(connection);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
    pollfd socket{PQsocket(connection),
                  static_cast<short>(status == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0};
    const int ready = left > 0 ? poll(&socket, 1, static_cast<int>(left)) : 0;
    if (ready == 0) {
      throw Error(Code::kUnavailable,
                  fmt::format("{}: no answer within {} s", Where(connection), kWaitSeconds));
    }
    if (ready > 0) status = PQconnectPoll(connection);  // else interrupted by a signal
  }
}

}  // namespace

Connection Connect(const std::string& url) {
  CheckUrl(url);
  // What the URL says comes last and so counts. A server that has vanished is noticed within about a minute.
  const char* const keys[] = {
      "fallback_application_name", "client_encoding",  "keepalives_idle", "keepalives_interval",
      "keepalives_count",          "tcp_user_timeout", "dbname",          nullptr};
  const char* const values[] = {"strop", "UTF8", "30", "10", "3", "60000", url.c_str(), nullptr};
  Connection connection(PQconnectStartParams(keys, values, /*expand_dbname=*/1));
  if (!connection) throw std::bad_alloc();
  PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);
  Await(connection.get());
  PQsetErrorVerbosity(connection.get(), PQERRORS_DEFAULT);
  PQsetNoticeProcessor(
      connection.get(), [](void*, const char*) {}, nullptr);
  if (const int version = PQserverVersion(connection.get()); version < kOldestServer) {
    throw Error(Code::kFailedPrecondition,
                fmt::format("{}: the server is PostgreSQL {}: expected {} or newer", Where(connection.get()),
                            version / 10000, kOldestServer / 10000));
  }
  // The server ends a session whose client has vanished, so that its lock does not stay. What a commit has
  // answered must be on disk, whatever the server's default is.
  const std::string session = fmt::format(
      "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = "
      "'off'; "
      "SET lock_timeout = '{}s'; SET standard_conforming_strings = on; SET extra_float_digits = 1; "
      "SET bytea_output = hex; SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; "
      "SET tcp_keepalives_count = 3",
      kWaitSeconds);
  const Result result(PQexec(connection.get(), session.c_str()));
  if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) Fail(connection.get(), result.get(), session);
  return connection;
}

Connection Reconnect(const std::string& url) {
  const auto deadline = steady_clock::now() + std::chrono::seconds(kWaitSeconds);
  for (;;) {
    try {
      return Connect(url);
    } catch (const Error& error) {
      if (error.code() != Code::kUnavailable || steady_clock::now() >= deadline) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(250));
    }
  }
}

std::string Where(const PGconn* connection) {
  const auto text = [](const char* found) { return std::string(found ? found : ""); };
  const std::string user = text(PQuser(connection)), host = text(PQhost(connection)),
                    port = text(PQport(connection));
  const bool socket = host.starts_with('/');
  return fmt::format("postgresql://{}{}{}{}/{}{}", user, user.empty() ? "" : "@", socket ? "" : host,
                     socket || port.empty() ? "" : ":" + port, text(PQdb(connection)),
                     socket ? "?host=" + host : "");
}

bool IsLost(const PGconn* connection) noexcept {
  if (!connection || PQstatus(connection) != CONNECTION_OK) return true;
  pollfd socket{PQsocket(connection), POLLRDHUP, 0};
  return poll(&socket, 1, 0) > 0;
}

void Fail(const PGconn* connection, const PGresult* result, std::string_view sql) {
  const auto field = [&](int code) {
    const char* const text = PQresultErrorField(result, code);
    return std::string(text ? text : "");
  };
  std::string message = field(PG_DIAG_MESSAGE_PRIMARY);
  if (message.empty()) message = PQerrorMessage(connection);
  message = OneLine(message);
  if (PQstatus(connection) != CONNECTION_OK) {
    throw Error(Code::kUnavailable,
                fmt::format("{}: the connection was lost: {}", Where(connection), message));
  }
  const std::string state = field(PG_DIAG_SQLSTATE);
  const Meaning& meaning = MeaningOf(state);
  std::string context;
  // A statement is worth showing when it is the mistake, not when the server is.
  if (meaning.code == Code::kInternal || meaning.code == Code::kAlreadyExists ||
      meaning.code == Code::kInvalidArgument) {
    context = fmt::format(" (in: {})", sql.substr(0, sql.find('\n')));
  }
  throw Error(meaning.code, fmt::format("{}: {}{}{}", Where(connection), message, context, meaning.remedy));
}

}  // namespace strop::store::postgres
