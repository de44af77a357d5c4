#include "strop/feed/workers/probe.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/feed/test_files.h"

namespace strop::feed {
namespace {

TEST(Probe, MeasuresDoublingsAndNamesAKneeAmongThem) {
  const test::Folder folder;
  std::ofstream(folder / "bytes") << std::string(4 << 20, 'x');
  std::vector<int> seen;
  const ProbeResult result = ProbeStorage({folder / "bytes"}, {0.05, 8, 1 << 16},
                                          [&](const ProbeLevel& level) { seen.push_back(level.readers); });
  ASSERT_GE(result.levels.size(), 2U);
  double fastest = 0;
  for (size_t i = 0; i < result.levels.size(); ++i) {
    EXPECT_EQ(result.levels[i].readers, 1 << i);
    EXPECT_EQ(seen[i], 1 << i);
    EXPECT_GT(result.levels[i].bytes_per_second, 0);
    fastest = std::max(fastest, result.levels[i].bytes_per_second);
  }
  EXPECT_GT(result.scaling.lambda, 0);
  EXPECT_FALSE(result.reason.empty());
  for (const auto& level : result.levels) {
    if (level.readers == result.knee) {
      EXPECT_GE(level.bytes_per_second, 0.95 * fastest);
    }
    if (level.readers < result.knee) {
      EXPECT_LT(level.bytes_per_second, 0.95 * fastest);
    }
  }
}

TEST(Probe, AMissingOrEmptyFileIsSaid) {
  const test::Folder folder;
  const auto ignore = [](const ProbeLevel&) {};
  EXPECT_THROW(ProbeStorage({folder / "no"}, {}, ignore), Error);
  std::ofstream(folder / "empty").flush();
  EXPECT_THROW(ProbeStorage({folder / "empty"}, {}, ignore), Error);
}

}  // namespace
}  // namespace strop::feed
