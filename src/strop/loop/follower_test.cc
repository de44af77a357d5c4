#include "strop/loop/follower.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/test_folder.h"

namespace strop::loop {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class FollowerTest : public testing::Test {
 protected:
  void Append(const std::string& text) { std::ofstream(file_, std::ios::app) << text; }
  std::vector<std::string> Read(Follower& follower) {
    std::vector<std::string> lines;
    follower.ReadLines([&](const std::string& line) { lines.push_back(line); });
    return lines;
  }

  TestFolder folder_;
  std::filesystem::path file_ = folder_.path() / "verb.log";
};

TEST_F(FollowerTest, OnlyNewAndFinishedLinesAreHeard) {
  Append("of an earlier run\n");
  Follower follower(file_);
  EXPECT_THAT(Read(follower), IsEmpty());
  Append("one\ntwo\nthr");
  EXPECT_THAT(Read(follower), ElementsAre("one", "two"));
  EXPECT_THAT(Read(follower), IsEmpty());
  Append("ee\n");
  EXPECT_THAT(Read(follower), ElementsAre("three"));
}

TEST_F(FollowerTest, AFileThatIsNotThereYetIsMade) {
  Follower follower(file_);
  EXPECT_TRUE(std::filesystem::exists(file_));
  Append("first\n");
  EXPECT_THAT(Read(follower), ElementsAre("first"));
}

}  // namespace
}  // namespace strop::loop
