#include "strop/base/trace.h"

#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"

namespace strop {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

TEST(TraceTest, AShareOfTheItemsIsSampledTheSameEverywhere) {
  const Tracer one(0.01, 7), same(0.01, 7), other(0.01, 8), all(1), none(0);
  int sampled = 0, differ = 0;
  for (uint64_t item = 0; item < 100000; ++item) {
    sampled += one.Sampled(item);
    EXPECT_EQ(one.Sampled(item), same.Sampled(item));
    differ += one.Sampled(item) != other.Sampled(item);
    EXPECT_TRUE(all.Sampled(item));
    EXPECT_FALSE(none.Sampled(item));
  }
  EXPECT_NEAR(sampled, 1000, 130);  // four standard deviations
  EXPECT_GT(differ, 1000);
  EXPECT_THROW(Tracer(1.5), Error);
  EXPECT_THROW(Tracer(-0.1), Error);
}

TEST(TraceTest, AShareThatChangesIsThatOfATracerMadeWithIt) {
  Tracer changed(0, 7);
  const Tracer made(0.3, 7);
  changed.SetShare(0.3);
  for (uint64_t item = 0; item < 1000; ++item) EXPECT_EQ(changed.Sampled(item), made.Sampled(item));
  EXPECT_THROW(changed.SetShare(1.01), Error);
  changed.SetShare(1);
  EXPECT_TRUE(changed.Sampled(5));
}

TEST(TraceTest, TheOldestSpansGoFirst) {
  Tracer tracer(1, 0, 3);
  for (uint64_t item = 0; item < 5; ++item) tracer.Add("work", item, Clock::now(), Clock::now());
  std::vector<uint64_t> items;
  for (const Span& span : tracer.Spans()) items.push_back(span.item);
  EXPECT_THAT(items, testing::ElementsAre(2, 3, 4));
}

TEST(TraceTest, SpansOfManyThreadsAreKept) {
  Tracer tracer(1);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (uint64_t item = 0; item < 100; ++item) tracer.Add("work", item, Clock::now(), Clock::now());
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<uint64_t> ids;
  for (const Span& span : tracer.Spans()) ids.insert(span.thread);
  EXPECT_EQ(tracer.Spans().size(), 400U);
  EXPECT_EQ(ids.size(), 4U);
}

TEST(TraceTest, PerfettoAndOtlpSayTheSameTimes) {
  Tracer tracer(1);
  const auto begin = Clock::now();
  tracer.Add("read", 5, begin, begin + milliseconds(3));
  tracer.Add("decode", 5, begin + milliseconds(3), begin + milliseconds(4));
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();

  const auto perfetto = nlohmann::json::parse(PerfettoJson(tracer.Spans(), "strop feed"));
  const auto& events = perfetto["traceEvents"];
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0]["args"]["name"], "strop feed");
  EXPECT_EQ(events[1]["name"], "read");
  EXPECT_NEAR(events[1]["dur"].get<double>(), 3000, 1e-6);
  EXPECT_NEAR(events[1]["ts"].get<double>() / 1e6, now, 60);
  EXPECT_NEAR(events[2]["ts"].get<double>() - events[1]["ts"].get<double>(), 3000, 1);

  const auto otlp = nlohmann::json::parse(OtlpJson(tracer.Spans(), "strop feed"));
  const auto& resource = otlp["resourceSpans"][0];
  EXPECT_EQ(resource["resource"]["attributes"][0]["value"]["stringValue"], "strop feed");
  const auto& spans = resource["scopeSpans"][0]["spans"];
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[0]["traceId"], spans[1]["traceId"]);
  EXPECT_EQ(spans[0]["traceId"].get<std::string>().size(), 32U);
  EXPECT_EQ(spans[0]["spanId"].get<std::string>().size(), 16U);
  EXPECT_NE(spans[0]["spanId"], spans[1]["spanId"]);
  EXPECT_EQ(std::stoll(spans[0]["endTimeUnixNano"].get<std::string>()) -
                std::stoll(spans[0]["startTimeUnixNano"].get<std::string>()),
            3'000'000);
}

}  // namespace
}  // namespace strop
