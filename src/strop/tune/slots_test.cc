#include "strop/tune/slots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"

namespace strop::tune {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(SlotsTest, NothingIsInTwoSlots) {
  const auto slots = MakeSlots(2, 2, 1, {0, 1, 4, 5, 6}, {"3", "GPU-7"});
  ASSERT_EQ(slots.size(), 2u);
  EXPECT_THAT(slots[0].cpus, ElementsAre(0, 1));
  EXPECT_THAT(slots[1].cpus, ElementsAre(4, 5));
  EXPECT_THAT(slots[0].gpus, ElementsAre("3"));
  EXPECT_THAT(slots[1].gpus, ElementsAre("GPU-7"));
}

TEST(SlotsTest, ZeroLeavesThemShared) {
  for (const Slot& slot : MakeSlots(3, 0, 0, {0}, {})) {
    EXPECT_THAT(slot.cpus, IsEmpty());
    EXPECT_THAT(slot.gpus, IsEmpty());
  }
}

TEST(SlotsTest, TooFewAreRefused) {
  try {
    MakeSlots(2, 0, 2, {0}, {"0", "1", "2"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kInvalidArgument);
    EXPECT_STREQ(e.what(), "2 trainers at a time with 2 GPUs each need 4: there are 3");
  }
}

TEST(SlotsTest, VisibleGpusAreThoseOfTheEnvironment) {
  setenv("CUDA_VISIBLE_DEVICES", "2,GPU-a", 1);
  EXPECT_THAT(VisibleGpus(), ElementsAre("2", "GPU-a"));
  setenv("CUDA_VISIBLE_DEVICES", "", 1);
  EXPECT_THAT(VisibleGpus(), IsEmpty());
  unsetenv("CUDA_VISIBLE_DEVICES");
}

}  // namespace
}  // namespace strop::tune
