#include <csignal>
#include <string>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "strop/store/database.h"
#include "strop/store/test_store.h"

namespace strop::store {
namespace {

class Crash : public testing::TestWithParam<std::string> {
 protected:
  // Runs `body` in a process of its own, in which nothing of the parent's store is open.
  template <class Body>
  static pid_t Fork(Body body) {
    const pid_t child = fork();
    if (child != 0) return child;
    try {
      body();
      _exit(0);
    } catch (...) {
      _exit(1);
    }
  }

  const Migrations kTables{"test", {"CREATE TABLE pairs(id INTEGER PRIMARY KEY, half INTEGER)"}};
  const TestStore store_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Store, Crash, testing::ValuesIn(StoreKinds()), StoreKindName);

TEST_P(Crash, KillingAWriterLosesNothingAcknowledgedAndHalvesNoTransaction) {
  store_.Open().Migrate(kTables);
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = Fork([&] {
    auto database = store_.Open();
    for (int64_t i = 1;; ++i) {
      database.Transaction([&] {
        database.Run("INSERT INTO pairs(half) VALUES (?)", {2 * i});
        database.Run("INSERT INTO pairs(half) VALUES (?)", {2 * i + 1});
      });
      if (write(pipe_ends[1], &i, sizeof i) != sizeof i) _exit(1);
    }
  });
  close(pipe_ends[1]);
  int64_t acknowledged = 0;
  while (acknowledged < 40)
    ASSERT_EQ(read(pipe_ends[0], &acknowledged, sizeof acknowledged), ssize_t{sizeof acknowledged});
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  for (int64_t last = 0; read(pipe_ends[0], &last, sizeof last) == ssize_t{sizeof last};) acknowledged = last;
  close(pipe_ends[0]);

  auto database = store_.Open();
  const auto rows = std::get<int64_t>(*database.Scalar("SELECT count(*) FROM pairs"));
  EXPECT_GE(rows, 2 * acknowledged);
  EXPECT_LE(rows, 2 * acknowledged + 2);
  EXPECT_EQ(rows % 2, 0);
  if (GetParam() == "sqlite") {
    EXPECT_EQ(std::get<std::string>(*database.Scalar("PRAGMA integrity_check")), "ok");
  }
}

TEST_P(Crash, ProcessesWriteSideBySide) {
  store_.Open().Migrate(kTables);
  pid_t children[3];
  for (auto& child : children) {
    child = Fork([&] {
      auto database = store_.Open();
      database.Migrate(kTables);
      for (int64_t i = 0; i < 50; ++i) {
        database.Transaction([&] {
          const auto sum = database.Scalar("SELECT coalesce(max(half), 0) FROM pairs");
          database.Run("INSERT INTO pairs(half) VALUES (?)", {std::get<int64_t>(*sum) + 1});
        });
      }
    });
  }
  for (const auto child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  // A lost update would repeat a number.
  auto database = store_.Open();
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("SELECT count(DISTINCT half) FROM pairs")), 150);
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("SELECT max(half) FROM pairs")), 150);
}

TEST_P(Crash, ProcessesThatOpenANewStoreTogetherMigrateItOnce) {
  pid_t children[4];
  for (auto& child : children) {
    child = Fork([&] { store_.Open().Migrate(kTables); });
  }
  for (const auto child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  auto database = store_.Open();
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("SELECT count(*) FROM migrations WHERE room = 'test'")), 1);
}

}  // namespace
}  // namespace strop::store
