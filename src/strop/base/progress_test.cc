#include "strop/base/progress.h"

#include <gtest/gtest.h>

namespace strop {
namespace {

TEST(ProgressTest, ALineIsReadAsItWasWritten) {
  const auto read = Progress::FromLine(Progress{"epoch 1 of 3", 7, 12, "loss \"0.3\"\n"}.ToLine());
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->what, "epoch 1 of 3");
  EXPECT_EQ(read->done, 7);
  EXPECT_EQ(read->total, 12);
  EXPECT_EQ(read->note, "loss \"0.3\"\n");
}

TEST(ProgressTest, WhatIsLeftOutIsUnknown) {
  const auto read = Progress::FromLine(R"({"progress": "reading"})");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->done, 0);
  EXPECT_EQ(read->total, 0);
}

TEST(ProgressTest, OtherLinesAreNotProgress) {
  for (const char* line : {"", "{", "{}", "tune: 3/12", R"({"loss": 0.3})", R"({"progress": 3})",
                           R"({"progress": "x", "done": "three"})", R"(["progress"])"}) {
    EXPECT_FALSE(Progress::FromLine(line).has_value()) << line;
  }
}

TEST(ProgressTest, ALineHoldsNoNewline) {
  EXPECT_EQ((Progress{"a\nb", 1, 2, "c\nd"}.ToLine().find('\n')), std::string::npos);
}

}  // namespace
}  // namespace strop
