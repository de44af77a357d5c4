#include "strop/feed/flight/server.h"

#include <chrono>
#include <mutex>
#include <utility>

#include <arrow/flight/server.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "strop/base/error.h"
#include "strop/feed/flight/protocol.h"
#include "strop/feed/source.h"

namespace strop::feed::flight {
namespace {

namespace fl = arrow::flight;

// A source in one projection, and readers that wait for the next stream.
class Shelf {
 public:
  explicit Shelf(std::shared_ptr<Source> source) : source_(std::move(source)) {}

  const Source& source() const noexcept { return *source_; }
  std::unique_ptr<ChunkReader> Take() {
    {
      std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto reader = std::move(idle_.back());
        idle_.pop_back();
        return reader;
      }
    }
    return source_->NewReader();
  }
  void Return(std::unique_ptr<ChunkReader> reader) {
    std::lock_guard lock(mutex_);
    if (idle_.size() < kIdle) idle_.push_back(std::move(reader));
  }

 private:
  static constexpr size_t kIdle = 16;
  std::shared_ptr<Source> source_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<ChunkReader>> idle_;
};

// No exception may pass through Flight.
template <class F>
arrow::Status Guarded(F f) {
  try {
    return f();
  } catch (const Error& error) {
    return ToStatus(error);
  } catch (const std::exception& error) {
    return ToStatus(Error(Code::kInternal, error.what()));
  }
}

// Chunks [begin, end) in the source's order.
class ChunkStream final : public arrow::RecordBatchReader {
 public:
  ChunkStream(std::shared_ptr<Shelf> shelf, int64_t begin, int64_t end)
      : shelf_(std::move(shelf)), reader_(shelf_->Take()), next_(begin), end_(end) {}
  ~ChunkStream() override {
    if (sound_) shelf_->Return(std::move(reader_));
  }

  std::shared_ptr<arrow::Schema> schema() const override { return shelf_->source().schema(); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    return Guarded([&]() -> arrow::Status {
      while (true) {
        if (batches_) {
          ARROW_RETURN_NOT_OK(batches_->ReadNext(batch));
          if (*batch) return arrow::Status::OK();
        }
        batch->reset();
        if (next_ == end_) return arrow::Status::OK();
        sound_ = false;
        table_ = reader_->ReadTable(next_++);
        sound_ = true;
        batches_ = std::make_unique<arrow::TableBatchReader>(*table_);
      }
    });
  }

 private:
  std::shared_ptr<Shelf> shelf_;
  std::unique_ptr<ChunkReader> reader_;
  bool sound_ = true;
  int64_t next_;
  int64_t end_;
  std::shared_ptr<arrow::Table> table_;
  std::unique_ptr<arrow::TableBatchReader> batches_;
};

// An epoch in a loader's order.
class OrderedStream final : public arrow::RecordBatchReader {
 public:
  OrderedStream(const LoaderOptions& options, uint64_t epoch, const std::vector<data::Column>& columns)
      : columns_(columns), loader_(Loader::Open(options)) {
    loader_->SetEpoch(epoch);
    arrow::FieldVector fields;
    for (const auto& column : columns_) {
      Shape shape = column.shape;
      shape.insert(shape.begin(), 0);
      std::shared_ptr<arrow::Field> field;
      data::TensorToColumn(Tensor::New(column.dtype, std::move(shape)), column, &field);
      fields.push_back(std::move(field));
    }
    schema_ = arrow::schema(std::move(fields));
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    return Guarded([&]() -> arrow::Status {
      const auto batch = loader_->Next();
      out->reset();
      if (!batch) return arrow::Status::OK();
      arrow::ArrayVector arrays;
      for (const auto& column : columns_) {
        arrays.push_back(data::TensorToColumn(batch->tensors.at(column.name), column, nullptr)->chunk(0));
      }
      *out = arrow::RecordBatch::Make(schema_, batch->rows, std::move(arrays));
      return arrow::Status::OK();
    });
  }

 private:
  std::vector<data::Column> columns_;
  std::unique_ptr<Loader> loader_;
  std::shared_ptr<arrow::Schema> schema_;
};

class Server final : public fl::FlightServerBase {
 public:
  explicit Server(std::map<std::string, std::string> sources) : uris_(std::move(sources)) {
    for (const auto& [name, uri] : uris_) ShelfOf(name, {});
  }

  arrow::Status ListFlights(const fl::ServerCallContext&, const fl::Criteria*,
                            std::unique_ptr<fl::FlightListing>* listing) override {
    return Guarded([&]() -> arrow::Status {
      std::vector<fl::FlightInfo> infos;
      for (const auto& [name, uri] : uris_) infos.push_back(Info(name));
      *listing = std::make_unique<fl::SimpleFlightListing>(std::move(infos));
      return arrow::Status::OK();
    });
  }

  arrow::Status GetFlightInfo(const fl::ServerCallContext&, const fl::FlightDescriptor& descriptor,
                              std::unique_ptr<fl::FlightInfo>* info) override {
    return Guarded([&]() -> arrow::Status {
      const bool path = descriptor.type == fl::FlightDescriptor::PATH;
      *info = std::make_unique<fl::FlightInfo>(
          Info(path ? fmt::format("{}", fmt::join(descriptor.path, "/")) : descriptor.cmd));
      return arrow::Status::OK();
    });
  }

  arrow::Status DoGet(const fl::ServerCallContext&, const fl::Ticket& request,
                      std::unique_ptr<fl::FlightDataStream>* stream) override {
    return Guarded([&]() -> arrow::Status {
      TicketContent ticket = TicketContent::FromJson(request.ticket);
      const auto shelf = ShelfOf(ticket.source, ticket.columns);
      std::shared_ptr<arrow::RecordBatchReader> batches;
      if (ticket.order) {
        ticket.order->sources = {{{uris_.at(ticket.source)}}};
        ticket.order->columns = ticket.columns;
        batches = std::make_shared<OrderedStream>(*ticket.order, ticket.epoch, shelf->source().columns());
      } else {
        const auto chunks = static_cast<int64_t>(shelf->source().chunk_rows().size());
        if (ticket.chunk && (*ticket.chunk < 0 || *ticket.chunk >= chunks)) {
          throw Error(Code::kInvalidArgument,
                      fmt::format("chunk is {}: {} has {} row groups", *ticket.chunk, ticket.source, chunks));
        }
        batches = std::make_shared<ChunkStream>(shelf, ticket.chunk.value_or(0),
                                                ticket.chunk ? *ticket.chunk + 1 : chunks);
      }
      *stream = std::make_unique<fl::RecordBatchStream>(std::move(batches));
      return arrow::Status::OK();
    });
  }

 private:
  std::shared_ptr<Shelf> ShelfOf(const std::string& name, const std::vector<std::string>& columns) {
    const auto uri = uris_.find(name);
    if (uri == uris_.end()) {
      std::vector<std::string> names;
      for (const auto& [known, ignored] : uris_) names.push_back(known);
      throw Error(Code::kNotFound,
                  fmt::format("no source \"{}\"; served are: {}", name, fmt::join(names, ", ")));
    }
    std::lock_guard lock(mutex_);
    auto& shelf = shelves_[{name, columns}];
    if (!shelf) {
      try {
        shelf = std::make_shared<Shelf>(OpenSource(uri->second, columns));
      } catch (...) {
        shelves_.erase({name, columns});
        throw;
      }
    }
    return shelf;
  }

  fl::FlightInfo Info(const std::string& name) {
    const Source& source = ShelfOf(name, {})->source();
    int64_t rows = 0;
    int64_t row_bytes = 0;
    for (const int64_t chunk : source.chunk_rows()) rows += chunk;
    for (const auto& column : source.columns()) row_bytes += static_cast<int64_t>(column.row_bytes());
    fl::FlightEndpoint endpoint;
    endpoint.ticket = fl::Ticket{TicketContent{name, {}, std::nullopt, std::nullopt, 0}.ToJson()};
    auto info = fl::FlightInfo::Make(source.schema(), fl::FlightDescriptor::Path({name}), {endpoint}, rows,
                                     rows * row_bytes, true, LayoutJson(source.chunk_rows()));
    data::Check(info.status(), "describing " + name);
    return std::move(*info);
  }

  const std::map<std::string, std::string> uris_;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::vector<std::string>>, std::shared_ptr<Shelf>> shelves_;
};

class RunningServer final : public Service {
 public:
  RunningServer(const std::map<std::string, std::string>& sources, const std::string& location)
      : server_(sources) {
    auto parsed = fl::Location::Parse(location);
    if (!parsed.ok() || !(location.starts_with("grpc://") || location.starts_with("grpc+tcp://"))) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{} is not an address to serve at: expected grpc://HOST:PORT", location));
    }
    const fl::FlightServerOptions options(*parsed);
    if (const auto status = server_.Init(options); !status.ok()) {
      throw Error(
          Code::kUnavailable,
          fmt::format("{} cannot be served at: the port may be in use; port 0 takes a free one", location));
    }
    const size_t colon = location.rfind(':');
    location_ = fmt::format("{}:{}", location.substr(0, colon), server_.port());
  }
  ~RunningServer() override { RunningServer::Stop(); }

  std::string location() const override { return location_; }
  void Stop() override {
    std::lock_guard lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
    const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(1);
    // A second Shutdown is the only thing that could fail.
    (void)server_.Shutdown(&deadline);
  }

 private:
  Server server_;
  std::string location_;
  std::mutex mutex_;
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<Service> StartServer(const std::map<std::string, std::string>& sources,
                                     const std::string& location) {
  return std::make_unique<RunningServer>(sources, location);
}

}  // namespace strop::feed::flight
