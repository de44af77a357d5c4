#include "strop/base/error.h"

#include <string>

#include <gtest/gtest.h>

namespace strop {
namespace {

TEST(Error, TheMessageIsOneLineOfReadableLength) {
  EXPECT_STREQ(Error(Code::kCorrupt, "two\nlines\tand a tab").what(), "two lines and a tab");
  const std::string name(3999, 'a');
  // The letter that the limit would cut in two is left out.
  EXPECT_EQ(Error(Code::kCorrupt, name + "\xc3\xa9 and more").what(), name + " \xe2\x80\xa6");
}

}  // namespace
}  // namespace strop
