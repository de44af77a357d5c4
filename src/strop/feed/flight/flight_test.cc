#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/test_error.h"
#include "strop/feed/flight/protocol.h"
#include "strop/feed/loader.h"
#include "strop/feed/service.h"
#include "strop/feed/test_files.h"

namespace strop::feed {
namespace {

using testing::HasSubstr;

class FlightTest : public testing::Test {
 protected:
  FlightTest() {
    test::WriteParquetFile(folder_ / "train.parquet", *test::MakeTable(0, 200), 16);
    service_ = Serve({{"train", (folder_ / "train.parquet").string()}}, "grpc://127.0.0.1:0");
    options_.batch_size = 24;
    options_.shuffle = true;
    options_.window = 3;
    options_.seed = 11;
  }

  std::unique_ptr<Loader> Open(const std::string& source) {
    options_.sources = {{{source}}};
    return Loader::Open(options_);
  }

  test::Folder folder_;
  std::unique_ptr<Service> service_;
  LoaderOptions options_;
};

TEST_F(FlightTest, EveryBatchEqualsTheFiles) {
  const auto local = Open((folder_ / "train.parquet").string());
  const auto remote = Open(service_->location() + "/train");
  ASSERT_EQ(remote->batches(), local->batches());
  for (int epoch = 0; epoch < 2; ++epoch) {
    while (const auto batch = local->Next()) {
      const auto other = remote->Next();
      ASSERT_TRUE(other);
      ASSERT_EQ(other->tensors.size(), batch->tensors.size());
      for (const auto& [name, tensor] : batch->tensors) {
        const Tensor& received = other->tensors.at(name);
        EXPECT_EQ(received.shape(), tensor.shape());
        EXPECT_EQ(received.dtype(), tensor.dtype());
        EXPECT_EQ(reinterpret_cast<uintptr_t>(received.data()) % 64, 0U);
        EXPECT_EQ(std::memcmp(received.data(), tensor.data(), tensor.bytes()), 0) << name;
      }
    }
    EXPECT_FALSE(remote->Next());
  }
  remote->Restore(local->state());
  EXPECT_TRUE(remote->Next());
}

TEST_F(FlightTest, ErrorsKeepTheirCodeOverTheWire) {
  const Error missing = Thrown([&] { Open(service_->location() + "/test"); });
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_THAT(missing.what(), HasSubstr("no source \"test\"; served are: train"));
  EXPECT_EQ(Thrown([&] { Open(service_->location()); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(Thrown([&] { Serve({}, "http://127.0.0.1:0"); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(Thrown([&] { Serve({{"x", "no-such-file"}}, "grpc://127.0.0.1:0"); }).code(), Code::kNotFound);

  const auto loader = Open(service_->location() + "/train");
  std::filesystem::resize_file(folder_ / "train.parquet", 100);
  const Error corrupt = Thrown([&] {
    for (int epoch = 0; epoch < 3; ++epoch) {
      while (loader->Next()) {
      }
    }
  });
  EXPECT_EQ(corrupt.code(), Code::kCorrupt);
  EXPECT_THAT(corrupt.what(), HasSubstr("train.parquet"));
}

TEST_F(FlightTest, AServiceThatIsGoneIsSaid) {
  const std::string location = service_->location();
  const auto loader = Open(location + "/train");
  ASSERT_TRUE(loader->Next());
  service_->Stop();
  service_->Stop();
  EXPECT_EQ(Thrown([&] {
              for (int epoch = 0; epoch < 3; ++epoch) {
                while (loader->Next()) {
                }
              }
            }).code(),
            Code::kUnavailable);
  EXPECT_EQ(Thrown([&] { Open(location + "/train"); }).code(), Code::kUnavailable);
}

TEST(FlightProtocol, TicketsAreJson) {
  const auto ticket = flight::TicketContent::FromJson(
      R"({"source": "a", "columns": ["x"], "order": {"epoch": 3, "seed": 5, "shuffle": true, "uneven": "drop"}})");
  EXPECT_EQ(ticket.source, "a");
  ASSERT_TRUE(ticket.order);
  EXPECT_EQ(ticket.epoch, 3U);
  EXPECT_EQ(ticket.order->seed, 5U);
  EXPECT_EQ(ticket.order->uneven, Uneven::kDrop);
  EXPECT_EQ(ticket.order->batch_size, LoaderOptions().batch_size);
  EXPECT_THAT(Thrown([] { flight::TicketContent::FromJson("[]"); }).what(), HasSubstr("is not understood"));
  EXPECT_THAT(
      Thrown([] { flight::TicketContent::FromJson(R"({"source": "a", "order": {"uneven": "x"}})"); }).what(),
      HasSubstr("expected repeat, ragged or drop"));
}

}  // namespace
}  // namespace strop::feed
