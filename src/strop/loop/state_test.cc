#include "strop/loop/state.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/store/test_store.h"

namespace strop::loop {
namespace {

class StateTest : public testing::TestWithParam<std::string> {
 protected:
  const store::TestStore store_{GetParam()};
  const std::string url_ = store_.url();
};
INSTANTIATE_TEST_SUITE_P(Store, StateTest, testing::ValuesIn(store::StoreKinds()), store::StoreKindName);

TEST_P(StateTest, StartsWithTuning) {
  const LoopState state = StateStore(url_).Load();
  EXPECT_EQ(state.step, Step::kTune);
  EXPECT_EQ(state.round, 0);
}

TEST_P(StateTest, ComesBackAsItWasSaved) {
  LoopState state{Step::kValidate, 3, 1234.5, 900, 17, "f32.onnx", "int8.onnx"};
  StateStore(url_).Save(state, "recompressed", R"({"x":1})");
  const LoopState back = StateStore(url_).Load();
  EXPECT_EQ(back.step, Step::kValidate);
  EXPECT_EQ(back.round, 3);
  EXPECT_EQ(back.alarm_time, 1234.5);
  EXPECT_EQ(back.labels_used, 900);
  EXPECT_EQ(back.seen_event, 17);
  EXPECT_EQ(back.champion_f32, "f32.onnx");
  EXPECT_EQ(back.champion_served, "int8.onnx");
}

TEST_P(StateTest, TakesTheOldestAlarmThatWasNotSeen) {
  StateStore store(url_);
  store::Database watch = store::Database::Open(url_);
  EXPECT_FALSE(store.AlarmAfter(0));
  EXPECT_EQ(store.LastAlarm(), 0);
  watch.Log("watch", "alarm", R"({"detector":"first"})");
  watch.Log("watch", "other", "{}");
  watch.Log("watch", "alarm", R"({"detector":"second"})");
  const auto first = store.AlarmAfter(0);
  ASSERT_TRUE(first);
  EXPECT_THAT(first->detail_json, testing::HasSubstr("first"));
  const auto second = store.AlarmAfter(first->event);
  ASSERT_TRUE(second);
  EXPECT_THAT(second->detail_json, testing::HasSubstr("second"));
  EXPECT_EQ(store.LastAlarm(), second->event);
  EXPECT_FALSE(store.AlarmAfter(second->event));
}

TEST_P(StateTest, CountsLabelsByReasonAndTime) {
  StateStore store(url_);
  EXPECT_EQ(store.LabelsSince(0, "any"), 0) << "before watch made its tables";
  store::Database watch = store::Database::Open(url_);
  watch.Run("CREATE TABLE captures (request_id TEXT PRIMARY KEY, time REAL)");
  watch.Run("CREATE TABLE label_queue (request_id TEXT PRIMARY KEY, reason TEXT)");
  watch.Run("CREATE TABLE labels (request_id TEXT PRIMARY KEY, label INTEGER)");
  const auto add = [&](const std::string& id, double time, const std::string& reason, bool labelled) {
    watch.Run("INSERT INTO captures VALUES (?, ?)", {id, time});
    watch.Run("INSERT INTO label_queue VALUES (?, ?)", {id, reason});
    if (labelled) watch.Run("INSERT INTO labels VALUES (?, 1)", {id});
  };
  add("old", 1, "uniform", true);
  add("a", 10, "uniform", true);
  add("b", 11, "uncertain", true);
  add("c", 12, "uniform", false);
  EXPECT_EQ(store.LabelsSince(10, "any"), 2);
  EXPECT_EQ(store.LabelsSince(10, "uniform"), 1);
  EXPECT_EQ(store.LabelsSince(0, "uniform"), 2);
}

TEST_P(StateTest, DecidesACandidateOnce) {
  StateStore store(url_);
  EXPECT_FALSE(store.Offered());
  store::Database serve = store::Database::Open(url_);
  serve.Run(
      "CREATE TABLE candidates (id INTEGER PRIMARY KEY, model TEXT, path TEXT, state TEXT, evidence_json "
      "TEXT, time REAL)");
  serve.Run("INSERT INTO candidates VALUES (1, 'm', 'bad.onnx', 'offered', '', 0)");
  const auto offer = store.Offered();
  ASSERT_TRUE(offer);
  EXPECT_EQ(offer->path, "bad.onnx");
  store.Decide(offer->id, false, R"({"decision":"rejected"})");
  EXPECT_FALSE(store.Offered());
  EXPECT_EQ(std::get<std::string>(*serve.Scalar("SELECT state FROM candidates")), "rejected");
  EXPECT_EQ(std::get<std::string>(*serve.Scalar("SELECT evidence_json FROM candidates")),
            R"({"decision":"rejected"})");
}

TEST(StepTest, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(Step::kSwap); ++i) {
    EXPECT_EQ(ParseStep(StepName(static_cast<Step>(i))), static_cast<Step>(i));
  }
  EXPECT_THROW(ParseStep("dance"), Error);
}

}  // namespace
}  // namespace strop::loop
