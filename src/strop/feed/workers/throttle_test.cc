#include "strop/feed/workers/throttle.h"

#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <arrow/buffer.h>
#include <arrow/filesystem/localfs.h>
#include <arrow/io/interfaces.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/test_folder.h"

namespace strop::feed {
namespace {

// A clock of its own: what the throttle imposes is measured exactly, however busy the machine is.
double VirtualSeconds(const ThrottleOptions& options, int reads, int64_t bytes) {
  double now = 5;
  Throttle throttle(
      options, [&] { return now; }, [&](double when) { now = std::max(now, when); });
  for (int i = 0; i < reads; ++i) throttle.Wait(bytes);
  return now - 5;
}

TEST(Throttle, OneReaderGetsTheBandwidthAndTheLatency) {
  EXPECT_NEAR(VirtualSeconds({1e6, 0}, 20, 10000), 0.2, 1e-9);
  EXPECT_NEAR(VirtualSeconds({0, 0.05}, 4, 10000), 0.2, 1e-9);
  EXPECT_NEAR(VirtualSeconds({1e6, 0.01}, 10, 10000), 0.2, 1e-9);
  EXPECT_EQ(VirtualSeconds({0, 0}, 10, 10000), 0);
}

TEST(Throttle, LatenciesOfReadersOverlapAndTheirBytesDoNot) {
  std::vector<double> done;
  Throttle throttle(
      {1e6, 0.05}, [] { return 0.0; }, [&](double when) { done.push_back(when); });
  for (int reader = 0; reader < 15; ++reader) throttle.Wait(10000);
  EXPECT_NEAR(done.front(), 0.06, 1e-9);
  EXPECT_NEAR(done.back(), 0.05 + 0.15, 1e-9);
}

TEST(Throttle, ReadersTogetherNeverBeatTheCap) {
  const auto throttle = std::make_shared<Throttle>(ThrottleOptions{10e6, 0.01});
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> readers;
  for (int r = 0; r < 4; ++r) {
    readers.emplace_back([&] {
      for (int i = 0; i < 10; ++i) throttle->Wait(50000);  // 2 MB in all
    });
  }
  for (auto& reader : readers) reader.join();
  EXPECT_GE(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 0.9 * 0.2);
}

TEST(Throttle, AFileSystemReadsTheSameBytesAndPaysForThem) {
  const TestFolder folder;
  std::string bytes;
  for (int i = 0; i < 10000; ++i) bytes += static_cast<char>(i * 7);
  std::ofstream(folder.path() / "bytes") << bytes;
  double now = 0;
  const auto throttle = std::make_shared<Throttle>(
      ThrottleOptions{1e5, 0.01}, [&] { return now; }, [&](double when) { now = when; });
  const auto storage = MakeThrottledFileSystem(std::make_shared<arrow::fs::LocalFileSystem>(), throttle);
  const std::string path = (folder.path() / "bytes").string();
  EXPECT_EQ(storage->GetFileInfo(path).ValueOrDie().size(), 10000);
  EXPECT_EQ(now, 0);
  const auto file = storage->OpenInputFile(path).ValueOrDie();
  EXPECT_EQ(file->GetSize().ValueOrDie(), 10000);
  EXPECT_EQ(file->ReadAt(1000, 4000).ValueOrDie()->ToString(), bytes.substr(1000, 4000));
  EXPECT_NEAR(now, 0.01 + 0.04, 1e-9);
  std::string out(5000, ' ');
  EXPECT_EQ(file->ReadAt(9000, 5000, out.data()).ValueOrDie(), 1000);  // what is there is what is paid
  EXPECT_NEAR(now, 0.05 + 0.01 + 0.01, 1e-9);
  ASSERT_TRUE(file->Seek(0).ok());
  EXPECT_EQ(file->Read(10).ValueOrDie()->ToString(), bytes.substr(0, 10));
  EXPECT_EQ(storage->OpenInputStream(path).ValueOrDie()->Read(3).ValueOrDie()->ToString(),
            bytes.substr(0, 3));
  EXPECT_FALSE(storage->OpenInputFile(path + "-none").ok());
}

TEST(Throttle, NegativeLimitsAreRefused) {
  EXPECT_THROW(Throttle({-1, 0}), Error);
  EXPECT_THROW(Throttle({0, -1}), Error);
}

}  // namespace
}  // namespace strop::feed
