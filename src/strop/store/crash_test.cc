#include <csignal>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "strop/store/database.h"

#include "strop/base/test_folder.h"

namespace strop::store {
namespace {

class Crash : public testing::Test {
 protected:
  void SetUp() override {
    url_ = "sqlite:///" + (folder_ / "a.db").string();
    Database::Open(url_).Migrate(kTables);
  }

  // Runs `body` in a process of its own, in which nothing of the parent's SQLite is open.
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
  const TestFolder test_folder_;
  const std::filesystem::path folder_ = test_folder_.path();
  std::string url_;
};

TEST_F(Crash, KillingAWriterLosesNothingAcknowledgedAndHalvesNoTransaction) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = Fork([&] {
    auto database = Database::Open(url_);
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

  auto database = Database::Open(url_);
  const auto rows = std::get<int64_t>(*database.Scalar("SELECT count(*) FROM pairs"));
  EXPECT_GE(rows, 2 * acknowledged);
  EXPECT_LE(rows, 2 * acknowledged + 2);
  EXPECT_EQ(rows % 2, 0);
  EXPECT_EQ(std::get<std::string>(*database.Scalar("PRAGMA integrity_check")), "ok");
}

TEST_F(Crash, ProcessesWriteSideBySide) {
  pid_t children[3];
  for (auto& child : children) {
    child = Fork([&] {
      auto database = Database::Open(url_);
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
  auto database = Database::Open(url_);
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("SELECT count(DISTINCT half) FROM pairs")), 150);
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("SELECT max(half) FROM pairs")), 150);
}

TEST_F(Crash, ProcessesThatOpenANewStoreTogetherMigrateItOnce) {
  const std::string url = "sqlite:///" + (folder_ / "new.db").string();
  pid_t children[4];
  for (auto& child : children) {
    child = Fork([&] { Database::Open(url).Migrate(kTables); });
  }
  for (const auto child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  auto database = Database::Open(url);
  EXPECT_EQ(std::get<int64_t>(*database.Scalar("SELECT count(*) FROM migrations WHERE room = 'test'")), 1);
}

}  // namespace
}  // namespace strop::store
