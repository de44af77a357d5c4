#include "strop/feed/flight/client.h"

#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include <arrow/flight/client.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/feed/flight/protocol.h"
#include "strop/feed/interrupt.h"

namespace strop::feed::flight {
namespace {

constexpr double kInfoSeconds = 10;
constexpr double kChunkSeconds = 60;
constexpr std::chrono::seconds kGrace(1);  // for a call that nobody needs any more

using arrow::flight::FlightClient;

struct Remote {
  std::string uri;
  arrow::flight::Location location;
  std::string name;
  std::vector<data::Column> columns;
  mutable std::atomic<bool> cancelled = false;
};

// A call to a service that may hang, in a thread of its own: `check`, asked meanwhile, may throw, and then a
// call that does not end soon is left to end unattended, at its deadline. Flight has no way to cancel one
// before the first answer.
template <class Call, class Check>
auto Attended(Call call, Check check) {
  std::packaged_task<decltype(call())()> task(std::move(call));
  auto answer = task.get_future();
  std::thread(std::move(task)).detach();
  while (answer.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
    try {
      check();
    } catch (...) {
      answer.wait_for(kGrace);
      throw;
    }
  }
  return answer.get();
}

std::unique_ptr<FlightClient> Connect(const Remote& remote) {
  auto client = FlightClient::Connect(remote.location);
  CheckFlight(client.status(), remote.uri);
  return std::move(*client);
}

class RemoteReader final : public ChunkReader {
 public:
  explicit RemoteReader(std::shared_ptr<const Remote> remote)
      : remote_(std::move(remote)), client_(Connect(*remote_)) {}

  void Read(int64_t chunk, RowSink& sink) override {
    PutTable(*ReadTable(chunk), remote_->columns, scratch_, sink);
  }

  std::shared_ptr<arrow::Table> ReadTable(int64_t chunk) override {
    const auto begin = std::chrono::steady_clock::now();
    TicketContent content{remote_->name, {}, chunk, std::nullopt, 0};
    for (const auto& column : remote_->columns) content.columns.push_back(column.name);
    arrow::flight::FlightCallOptions options;
    options.timeout = arrow::flight::TimeoutDuration(kChunkSeconds);
    const std::string what = fmt::format("{}, row group {}", remote_->uri, chunk);
    auto table = Attended(
        [client = client_, options,
         ticket = arrow::flight::Ticket{content.ToJson()}]() -> arrow::Result<std::shared_ptr<arrow::Table>> {
          ARROW_ASSIGN_OR_RAISE(const auto stream, client->DoGet(options, ticket));
          return stream->ToTable();
        },
        [&] {
          if (remote_->cancelled) throw Error(Code::kCancelled, what + ": the loader was closed");
        });
    CheckFlight(table.status(), what);
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return *table;
  }

  double TakeReadSeconds() noexcept override { return std::exchange(seconds_, 0); }

 private:
  std::shared_ptr<const Remote> remote_;
  std::shared_ptr<FlightClient> client_;
  std::vector<uint8_t> scratch_;
  double seconds_ = 0;
};

class RemoteSource final : public Source {
 public:
  RemoteSource(const std::string& uri, const std::vector<std::string>& columns) {
    auto remote = std::make_shared<Remote>();
    remote->uri = uri;
    const size_t host = uri.find("://") + 3;
    const size_t slash = uri.find('/', host);
    if (slash == std::string::npos || slash + 1 == uri.size()) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{} names no source: expected grpc://HOST:PORT/NAME", uri));
    }
    remote->name = uri.substr(slash + 1);
    auto location = arrow::flight::Location::Parse(uri.substr(0, slash));
    if (!location.ok()) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{} is not an address: expected grpc://HOST:PORT/NAME ({})", uri,
                              location.status().message()));
    }
    remote->location = *location;

    arrow::flight::FlightCallOptions options;
    options.timeout = arrow::flight::TimeoutDuration(kInfoSeconds);
    auto info = Attended([client = std::shared_ptr(Connect(*remote)), options,
                          path = arrow::flight::FlightDescriptor::Path(
                              {remote->name})] { return client->GetFlightInfo(options, path); },
                         CheckInterrupt);
    CheckFlight(info.status(), uri);
    arrow::ipc::DictionaryMemo memo;
    auto full = (*info)->GetSchema(&memo);
    CheckFlight(full.status(), uri);
    remote->columns = ProjectColumns(**full, columns, uri);
    arrow::FieldVector fields;
    for (const auto& column : remote->columns) fields.push_back((*full)->GetFieldByName(column.name));
    schema_ = arrow::schema(std::move(fields));
    chunk_rows_ = ParseLayout((*info)->app_metadata(), uri);
    remote_ = std::move(remote);
  }

  const std::vector<data::Column>& columns() const noexcept override { return remote_->columns; }
  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  const std::vector<int64_t>& chunk_rows() const noexcept override { return chunk_rows_; }
  std::unique_ptr<ChunkReader> NewReader(int64_t) const override {
    return std::make_unique<RemoteReader>(remote_);
  }
  void Cancel() const noexcept override { remote_->cancelled = true; }

 private:
  std::shared_ptr<const Remote> remote_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<int64_t> chunk_rows_;
};

}  // namespace

std::shared_ptr<Source> OpenRemote(const std::string& uri, const std::vector<std::string>& columns) {
  return std::make_shared<RemoteSource>(uri, columns);
}

}  // namespace strop::feed::flight
