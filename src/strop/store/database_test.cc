#include "strop/store/database.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/test_error.h"
#include "strop/base/test_folder.h"
#include "strop/store/test_store.h"

namespace strop::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// What every kind of store does.
class DatabaseTest : public testing::TestWithParam<std::string> {
 protected:
  Database Open() const { return store_.Open(); }
  static int64_t Count(Database& database) {
    return std::get<int64_t>(*database.Scalar("SELECT count(*) FROM t"));
  }

  const TestStore store_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Store, DatabaseTest, testing::ValuesIn(StoreKinds()), StoreKindName);

TEST_P(DatabaseTest, KeepsEveryKindOfValue) {
  auto database = Open();
  database.Run("CREATE TABLE t(a INTEGER, b REAL, c TEXT, d BLOB, e BLOB, f TEXT)");
  const std::string text = "it's \"quoted\", \\ and ?\n\u00e9";
  database.Run("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)",
               {INT64_MIN, 0.1, text, Blob{0, 255, '\\'}, Blob{}, nullptr});
  int rows = 0;
  database.Query("SELECT * FROM t", {}, [&](const Row& row) {
    ++rows;
    EXPECT_EQ(row.Int(0), INT64_MIN);
    EXPECT_EQ(row.Real(1), 0.1);
    EXPECT_EQ(row.Text(2), text);
    EXPECT_EQ(row.Bytes(3), (Blob{0, 255, '\\'}));
    EXPECT_FALSE(row.IsNull(4));
    EXPECT_TRUE(row.Bytes(4).empty());
    EXPECT_TRUE(row.IsNull(5));
    EXPECT_EQ(row.Get(0), Value(INT64_MIN));
    EXPECT_EQ(row.Get(3), Value(Blob{0, 255, '\\'}));
    EXPECT_EQ(row.Get(5), Value(nullptr));
  });
  EXPECT_EQ(rows, 1);
  EXPECT_EQ(std::get<double>(*database.Scalar("SELECT b FROM t")), 0.1);
  EXPECT_FALSE(database.Scalar("SELECT b FROM t WHERE a = 0").has_value());
}

TEST_P(DatabaseTest, KeepsEveryDouble) {
  auto database = Open();
  database.Run("CREATE TABLE t(a INTEGER PRIMARY KEY, b REAL)");
  using Limits = std::numeric_limits<double>;
  for (const double value : {0.1, -0.0, 1e300, 5.0, Limits::denorm_min(), Limits::max(), Limits::infinity(),
                             -Limits::infinity(), 1.0 / 3}) {
    database.Run("INSERT INTO t VALUES (1, ?) ON CONFLICT (a) DO UPDATE SET b = excluded.b", {value});
    EXPECT_EQ(std::get<double>(*database.Scalar("SELECT b FROM t")), value);
  }
  database.Run("UPDATE t SET b = ?", {std::nan("")});
  EXPECT_EQ(*database.Scalar("SELECT b FROM t"), Value(nullptr)) << "NaN is null";
}

TEST_P(DatabaseTest, AColumnWithoutATypeKeepsWhatItIsGiven) {
  auto database = Open();
  database.Run("CREATE TABLE t(a INTEGER PRIMARY KEY, b NOT NULL)");
  for (const Value& value :
       {Value(INT64_MAX), Value(int64_t{7}), Value(7.0), Value(0.1), Value(-1e300), Value(5e-324),
        Value(std::string("7")), Value(std::string("\"cat\" \\ \u00e9"))}) {
    database.Run("INSERT INTO t VALUES (1, ?) ON CONFLICT (a) DO UPDATE SET b = excluded.b", {value});
    EXPECT_EQ(*database.Scalar("SELECT b FROM t"), value);
  }
}

TEST_P(DatabaseTest, CountsChangedRows) {
  auto database = Open();
  EXPECT_EQ(database.Run("CREATE TABLE t(a INTEGER)"), 0);
  EXPECT_EQ(database.Run("INSERT INTO t VALUES (1), (2), (3)"), 3);
  EXPECT_EQ(database.Run("UPDATE t SET a = 0 WHERE a > 1"), 2);
  EXPECT_EQ(database.Run("DELETE FROM t WHERE a = 7"), 0);
  EXPECT_EQ(database.Run("SELECT a FROM t"), 0);
}

TEST_P(DatabaseTest, AnIdCountsUpByItself) {
  auto database = Open();
  database.Run("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT)");
  int64_t first = 0, second = 0;
  database.Transaction([&] {
    const std::string insert = "INSERT INTO t(a) VALUES (?) RETURNING id";
    first = std::get<int64_t>(*database.Scalar(insert, {std::string("x")}));
    second = std::get<int64_t>(*database.Scalar(insert, {std::string("y")}));
  });
  EXPECT_LT(first, second);
  EXPECT_EQ(std::get<std::string>(*database.Scalar("SELECT a FROM t WHERE id = ?", {second})), "y");
}

TEST_P(DatabaseTest, TextsAreComparedByBytes) {
  auto database = Open();
  database.Run("CREATE TABLE t(a TEXT)");
  database.Run("INSERT INTO t VALUES ('b'), ('\u00e9'), ('Z'), ('a'), ('B')");
  std::vector<std::string> sorted;
  database.Query("SELECT a FROM t ORDER BY a", {}, [&](const Row& row) { sorted.push_back(row.Text(0)); });
  EXPECT_THAT(sorted, ElementsAre("B", "Z", "a", "b", "\u00e9"));
}

TEST_P(DatabaseTest, AStatementMayBeUsedWithinItself) {
  auto database = Open();
  database.Run("CREATE TABLE t(a INTEGER)");
  database.Run("INSERT INTO t VALUES (1), (2)");
  int pairs = 0;
  const std::string sql = "SELECT a FROM t";
  database.Query(sql, {}, [&](const Row&) { database.Query(sql, {}, [&](const Row&) { ++pairs; }); });
  EXPECT_EQ(pairs, 4);
}

TEST_P(DatabaseTest, ATransactionThatThrowsLeavesNothing) {
  auto database = Open();
  database.Run("CREATE TABLE t(a INTEGER)");
  const Error error = Thrown([&] {
    database.Transaction([&] {
      database.Run("INSERT INTO t VALUES (1)");
      throw Error(Code::kCancelled, "stop");
    });
  });
  EXPECT_EQ(error.code(), Code::kCancelled);
  EXPECT_EQ(Count(database), 0);
  database.Transaction([&] { database.Run("INSERT INTO t VALUES (2)"); });
  EXPECT_EQ(Count(database), 1);
}

TEST_P(DatabaseTest, AStatementThatFailsEndsItsTransaction) {
  auto database = Open();
  database.Run("CREATE TABLE t(a INTEGER PRIMARY KEY)");
  EXPECT_EQ(Thrown([&] {
              database.Transaction([&] {
                database.Run("INSERT INTO t VALUES (1)");
                database.Run("INSERT INTO t VALUES (1)");
              });
            }).code(),
            Code::kAlreadyExists);
  EXPECT_EQ(Count(database), 0);
  database.Transaction([&] { database.Run("INSERT INTO t VALUES (1)"); });
  EXPECT_EQ(Count(database), 1);
}

TEST_P(DatabaseTest, OthersSeeATransactionOnceItIsCommitted) {
  auto database = Open();
  auto other = Open();
  database.Run("CREATE TABLE t(a INTEGER)");
  database.Transaction([&] {
    database.Run("INSERT INTO t VALUES (1)");
    EXPECT_EQ(Count(database), 1);
    EXPECT_EQ(Count(other), 0);
  });
  EXPECT_EQ(Count(other), 1);
}

TEST_P(DatabaseTest, NestedTransactionsAreRefused) {
  auto database = Open();
  EXPECT_EQ(Thrown([&] { database.Transaction([&] { database.Transaction([] {}); }); }).code(),
            Code::kFailedPrecondition);
  database.Transaction([] {});
}

TEST_P(DatabaseTest, EachStepOfAMigrationRunsOnce) {
  const std::string create = "CREATE TABLE t(a INTEGER); INSERT INTO t VALUES (1);";
  const std::string insert = "INSERT INTO t VALUES (2)";
  for (int i = 0; i < 3; ++i) Open().Migrate({"room", {create}});
  for (int i = 0; i < 3; ++i) Open().Migrate({"room", {create, insert}});
  auto database = Open();
  EXPECT_EQ(Count(database), 2);
  EXPECT_TRUE(database.HasTable("t"));
  EXPECT_FALSE(database.HasTable("T 2"));
}

TEST_P(DatabaseTest, AStepThatFailsLeavesNothingOfItsMigration) {
  auto database = Open();
  EXPECT_EQ(Thrown([&] {
              database.Migrate({"room", {"CREATE TABLE t(a INTEGER)", "CREATE TABLE broken("}});
            }).code(),
            Code::kInternal);
  EXPECT_FALSE(database.HasTable("t"));
  database.Migrate({"room", {"CREATE TABLE t(a INTEGER)"}});
}

TEST_P(DatabaseTest, ANewerSchemaIsRefused) {
  Open().Migrate({"room", {"CREATE TABLE t(a INTEGER)", "CREATE TABLE u(a INTEGER)"}});
  auto database = Open();
  const Error error = Thrown([&] { database.Migrate({"room", {"CREATE TABLE t(a INTEGER)"}}); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.what(), HasSubstr("newer Strop"));
  EXPECT_THAT(error.what(), HasSubstr(database.where()));
}

TEST_P(DatabaseTest, ABrokenKeySaysThatTheRowExists) {
  auto database = Open();
  database.Run("CREATE TABLE t(a INTEGER PRIMARY KEY, b INTEGER UNIQUE, c INTEGER NOT NULL)");
  database.Run("INSERT INTO t VALUES (1, 1, 1)");
  EXPECT_EQ(Thrown([&] { database.Run("INSERT INTO t VALUES (1, 2, 2)"); }).code(), Code::kAlreadyExists);
  EXPECT_EQ(Thrown([&] { database.Run("INSERT INTO t VALUES (2, 1, 2)"); }).code(), Code::kAlreadyExists);
  EXPECT_EQ(Thrown([&] { database.Run("INSERT INTO t VALUES (3, 3, NULL)"); }).code(),
            Code::kInvalidArgument);
  database.Run("CREATE TABLE u(a INTEGER REFERENCES t(a))");
  EXPECT_EQ(Thrown([&] { database.Run("INSERT INTO u VALUES (7)"); }).code(), Code::kInvalidArgument);
}

TEST_P(DatabaseTest, ValuesMustMatchTheStatement) {
  auto database = Open();
  EXPECT_EQ(Thrown([&] { database.Run("SELECT ?, ?", {int64_t{1}}); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(Thrown([&] { database.Run("SELEKT 1"); }).code(), Code::kInternal);
  EXPECT_EQ(Thrown([&] { database.Run(" "); }).code(), Code::kInvalidArgument);
}

TEST_P(DatabaseTest, EventsAreReadInOrderAfterAnId) {
  auto database = Open();
  database.Log("watch", "alarm", R"({"score":1})");
  database.Log("loop", "retrain", "{}");
  database.Log("watch", "alarm", R"({"score":2})");
  const auto all = database.Events(0);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].detail, R"({"score":1})");
  EXPECT_LT(all[0].id, all[1].id);
  EXPECT_NEAR(all[0].time, UnixTime(), 60);
  const auto later = Open().Events(all[0].id, 10, "watch");
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(later[0].id, all[2].id);
  EXPECT_EQ(later[0].event, "alarm");
  EXPECT_EQ(database.Events(0, 2).size(), 2u);
}

// What only a file has.
class SqliteTest : public testing::Test {
 protected:
  std::string Url(const std::string& name) const { return "sqlite:///" + (folder_ / name).string(); }

  const TestFolder test_folder_;
  const std::filesystem::path folder_ = test_folder_.path();
};

TEST_F(SqliteTest, WritesAreOnDiskWithFullSync) {
  auto database = Database::Open(Url("a/b/c.db"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "a/b/c.db"));
  EXPECT_EQ(std::get<std::string>(*database.Scalar("PRAGMA journal_mode")), "wal");
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("PRAGMA synchronous")), 2);
}

TEST_F(SqliteTest, KeepsATextWithANulInside) {
  auto database = Database::Open("sqlite://");
  const std::string text("nul\0inside", 10);
  EXPECT_EQ(std::get<std::string>(*database.Scalar("SELECT ?", {text})), text);
}

TEST_F(SqliteTest, AFileThatIsNoDatabaseIsNamed) {
  std::ofstream(folder_ / "a.db") << std::string(4096, 'x');
  const Error error = Thrown([&] { Database::Open(Url("a.db")); });
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(), HasSubstr("a.db: file is not a database"));
}

TEST_F(SqliteTest, AFileThatCannotBeMadeIsNamedWithTheReason) {
  const Error error = Thrown([] { Database::Open("/proc/strop.db"); });
  EXPECT_EQ(error.code(), Code::kIo);
  EXPECT_THAT(error.what(), HasSubstr("/proc/strop.db: unable to open database file"));
}

TEST(UrlTest, ASchemeThatIsUnknownIsRefused) {
  const Error error = Thrown([] { Database::Open("mysql://user:secret@host/db"); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("mysql://: expected sqlite:///relative.db"));
  EXPECT_THAT(error.what(), testing::Not(HasSubstr("secret")));
  EXPECT_THAT(Thrown([] { Database::Open("sqlite://a.db"); }).what(), HasSubstr("sqlite:///a.db"));
  EXPECT_EQ(Thrown([] { Database::Open(""); }).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace strop::store
