#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/test_error.h"
#include "strop/store/database.h"
#include "strop/store/test_store.h"

namespace strop::store {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(PostgresUrlTest, AServerThatIsNotThereIsNamedWithoutThePassword) {
  // Port 1 (tcpmux) is nobody's.
  const Error error = Thrown([] { Database::Open("postgresql://me:secret@127.0.0.1:1/db"); });
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("postgresql://me@127.0.0.1:1/db: "), Not(HasSubstr("secret")),
                                  Not(HasSubstr("\n"))));
}

TEST(PostgresUrlTest, AUrlThatCannotBeReadIsRefusedWithoutThePassword) {
  for (const char* url : {"postgresql://me:sec%ret@host/db", "postgresql://me:secret@[::1/db",
                          "postgresql://me:secret@host/db?colour=red"}) {
    const Error error = Thrown([&] { Database::Open(url); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << url;
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("expected postgresql://user:password@host:port/"), Not(HasSubstr("sec"))));
  }
}

std::vector<std::string> ServerKinds() {
  std::vector<std::string> kinds = StoreKinds();
  std::erase(kinds, "sqlite");
  return kinds;
}

// Against a server; not instantiated where there is none.
class PostgresTest : public testing::TestWithParam<std::string> {
 protected:
  // The server's URL with another part from behind `begin` up to `end`.
  static std::string With(std::string_view begin, std::string_view end, const std::string& other) {
    std::string url = std::getenv("STROP_TEST_POSTGRES");
    const size_t from = url.find(begin, std::string("postgresql://").size()) + begin.size();
    return url.replace(from, url.find(end, from) - from, other);
  }
  // Ends the session of `database`, as a restart of the server does.
  void Cut(Database& database) const {
    const Value session = *database.Scalar("SELECT pg_backend_pid()");
    auto other = store_.Open();
    other.Scalar("SELECT pg_terminate_backend(CAST(? AS INTEGER), 5000)", {session});
  }

  const TestStore store_{GetParam()};
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PostgresTest);
INSTANTIATE_TEST_SUITE_P(Store, PostgresTest, testing::ValuesIn(ServerKinds()), StoreKindName);

TEST_P(PostgresTest, NamesItselfWithoutThePassword) {
  const auto database = store_.Open();
  EXPECT_THAT(database.where(), testing::MatchesRegex("postgresql://[a-z]+@127.0.0.1:[0-9]+/[a-z_0-9]+"));
}

TEST_P(PostgresTest, AWrongPasswordIsRefusedAndNotShown) {
  const Error error = Thrown([] { Database::Open(With(":", "@", "secret")); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("password authentication failed"), Not(HasSubstr("secret"))));
}

TEST_P(PostgresTest, ADatabaseThatIsNotThereIsNamed) {
  const Error error = Thrown([] { Database::Open(With("/", "\n", "nobodys")); });
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_THAT(error.what(), HasSubstr("\"nobodys\" does not exist"));
}

TEST_P(PostgresTest, ASchemaThatIsNotThereIsNamed) {
  const Error error = Thrown([] {
    Database::Open(std::getenv("STROP_TEST_POSTGRES") + std::string("?options=-csearch_path%3Dnobodys"));
  });
  EXPECT_EQ(error.code(), Code::kNotFound);
}

TEST_P(PostgresTest, AConnectionLostBetweenTransactionsIsMadeAnew) {
  auto database = store_.Open();
  database.Run("CREATE TABLE t(a INTEGER)");
  for (int i = 0; i < 2; ++i) {
    Cut(database);
    EXPECT_EQ(database.Run("INSERT INTO t VALUES (?)", {int64_t{i}}), 1);
    Cut(database);
    database.Transaction([&] { database.Run("INSERT INTO t VALUES (?)", {int64_t{i}}); });
  }
  Cut(database);
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("SELECT count(*) FROM t")), 4);
}

TEST_P(PostgresTest, AConnectionLostWithinATransactionEndsItAndKeepsNothing) {
  auto database = store_.Open();
  database.Run("CREATE TABLE t(a INTEGER)");
  const auto lose = [&](bool at_commit) {
    database.Transaction([&] {
      database.Run("INSERT INTO t VALUES (1)");
      Cut(database);
      if (!at_commit) database.Run("INSERT INTO t VALUES (2)");
    });
  };
  const Error early = Thrown([&] { lose(false); });
  EXPECT_EQ(early.code(), Code::kUnavailable);
  EXPECT_THAT(early.what(), HasSubstr("the connection was lost"));
  const Error late = Thrown([&] { lose(true); });
  EXPECT_EQ(late.code(), Code::kUnavailable);
  EXPECT_THAT(late.what(), HasSubstr("may be stored or not"));
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("SELECT count(*) FROM t")), 0);
  database.Transaction([&] { database.Run("INSERT INTO t VALUES (3)"); });
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("SELECT count(*) FROM t")), 1);
}

TEST_P(PostgresTest, AFailureThatWasSwallowedIsFoundAtTheCommit) {
  auto database = store_.Open();
  database.Run("CREATE TABLE t(a INTEGER PRIMARY KEY)");
  EXPECT_EQ(Thrown([&] {
              database.Transaction([&] {
                database.Run("INSERT INTO t VALUES (1)");
                Thrown([&] { database.Run("INSERT INTO t VALUES (1)"); });
              });
            }).code(),
            Code::kFailedPrecondition);
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("SELECT count(*) FROM t")), 0);
}

TEST_P(PostgresTest, AWriterThatWaitsForAnotherPastTheLimitSaysSo) {
  auto database = store_.Open();
  auto other = store_.Open();
  other.Run("CREATE TABLE t(a INTEGER)");
  const auto start = std::chrono::steady_clock::now();
  other.Transaction([&] {
    const Error error = Thrown([&] { database.Transaction([] {}); });
    EXPECT_EQ(error.code(), Code::kTimeout);
    EXPECT_THAT(error.what(), HasSubstr("another process has been writing for 30 s"));
    EXPECT_FALSE(database.Scalar("SELECT a FROM t").has_value()) << "a reader does not wait";
  });
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(29));
  EXPECT_EQ(database.Run("INSERT INTO t VALUES (1)"), 1);
}

TEST_P(PostgresTest, AStoreThatMayOnlyBeReadCanBeRead) {
  store_.Open().Run("CREATE TABLE t(a INTEGER)");
  auto database = Database::Open(store_.url() + "%20-cdefault_transaction_read_only%3Don");
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("SELECT count(*) FROM t")), 0);
  const Error error = Thrown([&] { database.Run("INSERT INTO t VALUES (1)"); });
  EXPECT_EQ(error.code(), Code::kIo);
  EXPECT_THAT(error.what(), HasSubstr("read-only transaction"));
}

TEST_P(PostgresTest, CommitsReachTheDiskWhateverTheServersDefault) {
  auto database = Database::Open(store_.url() + "%20-csynchronous_commit%3Doff");
  EXPECT_EQ(std::get<std::string>(*database.Scalar("SHOW synchronous_commit")), "on");
}

TEST_P(PostgresTest, RefusesWhatPostgresCannotKeep) {
  auto database = store_.Open();
  database.Run("CREATE TABLE t(a TEXT, b)");
  const std::string with_nul("nul\0inside", 10);
  for (const Value& value : {Value(with_nul), Value(std::string("\xff")), Value(Blob{1})})
    EXPECT_EQ(Thrown([&] { database.Run("INSERT INTO t(a) VALUES (?)", {value}); }).code(),
              Code::kInvalidArgument);
  for (const Value& value : {Value(with_nul), Value(Blob{1}), Value(HUGE_VAL)})
    EXPECT_EQ(Thrown([&] { database.Run("INSERT INTO t(b) VALUES (?)", {value}); }).code(),
              Code::kInvalidArgument);
}

}  // namespace
}  // namespace strop::store
