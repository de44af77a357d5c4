#include "strop/store/database.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include "strop/base/error.h"
#include "strop/base/test_error.h"
#include "strop/base/test_folder.h"

namespace strop::store {
namespace {

using testing::HasSubstr;

class DatabaseTest : public testing::Test {
 protected:
  std::string Url(const std::string& name) const { return "sqlite:///" + (folder_ / name).string(); }

  const TestFolder test_folder_;
  const std::filesystem::path folder_ = test_folder_.path();
};

TEST_F(DatabaseTest, KeepsEveryKindOfValue) {
  auto database = Database::Open("sqlite://");
  database.Run("CREATE TABLE t(a, b, c, d, e)");
  const std::string text("nul\0inside", 10);
  database.Run("INSERT INTO t VALUES (?, ?, ?, ?, ?)", {INT64_MIN, 0.1, text, Blob{0, 255}, nullptr});
  int rows = 0;
  database.Query("SELECT * FROM t", {}, [&](const Row& row) {
    ++rows;
    EXPECT_EQ(row.Int(0), INT64_MIN);
    EXPECT_EQ(row.Real(1), 0.1);
    EXPECT_EQ(row.Text(2), text);
    EXPECT_EQ(row.Bytes(3), (Blob{0, 255}));
    EXPECT_TRUE(row.IsNull(4));
  });
  EXPECT_EQ(rows, 1);
  EXPECT_EQ(std::get<double>(*database.Scalar("SELECT b FROM t")), 0.1);
  EXPECT_FALSE(database.Scalar("SELECT b FROM t WHERE a = 0").has_value());
}

TEST_F(DatabaseTest, CountsChangedRows) {
  auto database = Database::Open("sqlite://");
  EXPECT_EQ(database.Run("CREATE TABLE t(a)"), 0);
  EXPECT_EQ(database.Run("INSERT INTO t VALUES (1), (2), (3)"), 3);
  EXPECT_EQ(database.LastId(), 3);
  EXPECT_EQ(database.Run("UPDATE t SET a = 0 WHERE a > 1"), 2);
  EXPECT_EQ(database.Run("DELETE FROM t WHERE a = 7"), 0);
}

TEST_F(DatabaseTest, AStatementMayBeUsedWithinItself) {
  auto database = Database::Open("sqlite://");
  database.Run("CREATE TABLE t(a)");
  database.Run("INSERT INTO t VALUES (1), (2)");
  int pairs = 0;
  const std::string sql = "SELECT a FROM t";
  database.Query(sql, {}, [&](const Row&) { database.Query(sql, {}, [&](const Row&) { ++pairs; }); });
  EXPECT_EQ(pairs, 4);
}

TEST_F(DatabaseTest, WritesAreOnDiskWithFullSync) {
  auto database = Database::Open(Url("a/b/c.db"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "a/b/c.db"));
  EXPECT_EQ(std::get<std::string>(*database.Scalar("PRAGMA journal_mode")), "wal");
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("PRAGMA synchronous")), 2);
}

TEST_F(DatabaseTest, ATransactionThatThrowsLeavesNothing) {
  auto database = Database::Open(Url("a.db"));
  database.Run("CREATE TABLE t(a)");
  const Error error = Thrown([&] {
    database.Transaction([&] {
      database.Run("INSERT INTO t VALUES (1)");
      throw Error(Code::kCancelled, "stop");
    });
  });
  EXPECT_EQ(error.code(), Code::kCancelled);
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("SELECT count(*) FROM t")), 0);
  database.Transaction([&] { database.Run("INSERT INTO t VALUES (2)"); });
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("SELECT count(*) FROM t")), 1);
}

TEST_F(DatabaseTest, NestedTransactionsAreRefused) {
  auto database = Database::Open("sqlite://");
  EXPECT_EQ(Thrown([&] { database.Transaction([&] { database.Transaction([] {}); }); }).code(),
            Code::kFailedPrecondition);
  database.Transaction([] {});
}

TEST_F(DatabaseTest, EachStepOfAMigrationRunsOnce) {
  const std::string create = "CREATE TABLE t(a); INSERT INTO t VALUES (1);";
  const std::string insert = "INSERT INTO t VALUES (2)";
  for (int i = 0; i < 3; ++i) Database::Open(Url("a.db")).Migrate({"room", {create}});
  for (int i = 0; i < 3; ++i) Database::Open(Url("a.db")).Migrate({"room", {create, insert}});
  auto database = Database::Open(Url("a.db"));
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("SELECT count(*) FROM t")), 2);
}

TEST_F(DatabaseTest, AStepThatFailsLeavesNothingOfItsMigration) {
  auto database = Database::Open(Url("a.db"));
  EXPECT_EQ(Thrown([&] {
              database.Migrate({"room", {"CREATE TABLE t(a)", "CREATE TABLE broken("}});
            }).code(),
            Code::kInternal);
  database.Migrate({"room", {"CREATE TABLE t(a)"}});
}

TEST_F(DatabaseTest, ANewerSchemaIsRefused) {
  Database::Open(Url("a.db")).Migrate({"room", {"CREATE TABLE t(a)", "CREATE TABLE u(a)"}});
  auto database = Database::Open(Url("a.db"));
  const Error error = Thrown([&] { database.Migrate({"room", {"CREATE TABLE t(a)"}}); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.what(), HasSubstr("newer Strop"));
  EXPECT_THAT(error.what(), HasSubstr("a.db"));
}

TEST_F(DatabaseTest, AFileThatIsNoDatabaseIsNamed) {
  std::ofstream(folder_ / "a.db") << std::string(4096, 'x');
  const Error error = Thrown([&] { Database::Open(Url("a.db")); });
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(), HasSubstr("a.db: file is not a database"));
}

TEST_F(DatabaseTest, AUrlThatIsNotSqliteIsRefused) {
  EXPECT_EQ(Thrown([] { Database::Open("mysql://host/db"); }).code(), Code::kInvalidArgument);
  EXPECT_THAT(Thrown([] { Database::Open("sqlite://a.db"); }).what(), HasSubstr("sqlite:///a.db"));
}

TEST_F(DatabaseTest, ABrokenKeySaysThatTheRowExists) {
  auto database = Database::Open("sqlite://");
  database.Run("CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, c NOT NULL)");
  database.Run("INSERT INTO t VALUES (1, 1, 1)");
  EXPECT_EQ(Thrown([&] { database.Run("INSERT INTO t VALUES (1, 2, 2)"); }).code(), Code::kAlreadyExists);
  EXPECT_EQ(Thrown([&] { database.Run("INSERT INTO t VALUES (2, 1, 2)"); }).code(), Code::kAlreadyExists);
  EXPECT_EQ(Thrown([&] { database.Run("INSERT INTO t VALUES (3, 3, NULL)"); }).code(),
            Code::kInvalidArgument);
}

TEST_F(DatabaseTest, ValuesMustMatchTheStatement) {
  auto database = Database::Open("sqlite://");
  EXPECT_EQ(Thrown([&] { database.Run("SELECT ?, ?", {int64_t{1}}); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(Thrown([&] { database.Run("SELEKT 1"); }).code(), Code::kInternal);
}

TEST_F(DatabaseTest, EventsAreReadInOrderAfterAnId) {
  auto database = Database::Open(Url("a.db"));
  database.Log("watch", "alarm", R"({"score":1})");
  database.Log("loop", "retrain", "{}");
  database.Log("watch", "alarm", R"({"score":2})");
  const auto all = database.Events(0);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].detail, R"({"score":1})");
  EXPECT_LT(all[0].id, all[1].id);
  EXPECT_NEAR(all[0].time, UnixTime(), 60);
  const auto later = Database::Open(Url("a.db")).Events(all[0].id, 10, "watch");
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(later[0].id, all[2].id);
  EXPECT_EQ(later[0].event, "alarm");
  EXPECT_EQ(database.Events(0, 2).size(), 2u);
}

}  // namespace
}  // namespace strop::store
