#include "strop/base/metrics.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"

namespace strop {
namespace {

TEST(MetricsTest, TextIsThePrometheusFormat) {
  Metrics metrics;
  metrics.GetCounter("strop_serve_requests_total", "Requests", {{"model", "m"}, {"code", "200"}}).Add(3);
  metrics.GetGauge("strop_serve_queue", "Waiting").Set(1.5);
  Histogram& latency = metrics.GetHistogram("strop_serve_seconds", "Latency", {0.1, 1}, {{"model", "m"}});
  latency.Observe(0.1);  // at the bound: counted under it
  latency.Observe(0.5);
  latency.Observe(7);
  EXPECT_EQ(metrics.Text(),
            "# HELP strop_serve_queue Waiting\n"
            "# TYPE strop_serve_queue gauge\n"
            "strop_serve_queue 1.5\n"
            "# HELP strop_serve_requests_total Requests\n"
            "# TYPE strop_serve_requests_total counter\n"
            "strop_serve_requests_total{code=\"200\",model=\"m\"} 3\n"
            "# HELP strop_serve_seconds Latency\n"
            "# TYPE strop_serve_seconds histogram\n"
            "strop_serve_seconds_bucket{model=\"m\",le=\"0.1\"} 1\n"
            "strop_serve_seconds_bucket{model=\"m\",le=\"1\"} 2\n"
            "strop_serve_seconds_bucket{model=\"m\",le=\"+Inf\"} 3\n"
            "strop_serve_seconds_sum{model=\"m\"} 7.6\n"
            "strop_serve_seconds_count{model=\"m\"} 3\n");
}

TEST(MetricsTest, LabelsAndHelpAreEscaped) {
  Metrics metrics;
  metrics.GetCounter("strop_x_total", "two\nlines \\ and \"quotes\"", {{"path", "a\"b\\c\nd"}}).Add();
  EXPECT_EQ(metrics.Text(),
            "# HELP strop_x_total two\\nlines \\\\ and \"quotes\"\n"
            "# TYPE strop_x_total counter\n"
            "strop_x_total{path=\"a\\\"b\\\\c\\nd\"} 1\n");
}

TEST(MetricsTest, TheSameNameAndLabelsAreTheSameObject) {
  Metrics metrics;
  Counter& counter = metrics.GetCounter("strop_x_total", "x", {{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(&counter, &metrics.GetCounter("strop_x_total", "x", {{"b", "2"}, {"a", "1"}}));
  EXPECT_NE(&counter, &metrics.GetCounter("strop_x_total", "x", {{"a", "1"}}));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 10'000; ++j) metrics.GetCounter("strop_x_total", "x", {{"a", "1"}}).Add();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(metrics.GetCounter("strop_x_total", "x", {{"a", "1"}}).value(), 40'000u);
}

TEST(MetricsTest, RefusesWrongNamesAndKinds) {
  Metrics metrics;
  EXPECT_THROW(metrics.GetCounter("strop-x", ""), Error);
  EXPECT_THROW(metrics.GetCounter("", ""), Error);
  EXPECT_THROW(metrics.GetCounter("strop_x", "", {{"1a", ""}}), Error);
  EXPECT_THROW(metrics.GetHistogram("strop_h", "", {1}, {{"le", ""}}), Error);
  EXPECT_THROW(metrics.GetHistogram("strop_h", "", {2, 1}), Error);
  metrics.GetCounter("strop_x", "");
  EXPECT_THROW(metrics.GetGauge("strop_x", ""), Error);
  metrics.GetHistogram("strop_h", "", {1, 2});
  EXPECT_THROW(metrics.GetHistogram("strop_h", "", {1, 3}), Error);
}

TEST(MetricsTest, QuantilesInterpolateInsideTheirBucket) {
  Histogram histogram({10, 20, 40});
  EXPECT_EQ(histogram.Quantile(0.5), 0);
  for (int i = 0; i < 10; ++i) histogram.Observe(15);
  EXPECT_DOUBLE_EQ(histogram.Quantile(0.5), 15);
  EXPECT_DOUBLE_EQ(histogram.Quantile(1), 20);
  for (int i = 0; i < 30; ++i) histogram.Observe(1000);
  EXPECT_DOUBLE_EQ(histogram.Quantile(0.99), 40);
}

}  // namespace
}  // namespace strop
