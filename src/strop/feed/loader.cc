#include "strop/feed/loader.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/threads.h"
#include "strop/feed/pipeline.h"

namespace strop::feed {
namespace {

constexpr int kMostWorkers = 8;  // by default; beyond, storage is the limit more often than decoding

// Half of the machine is the consumer's.
int DefaultWorkers() { return std::clamp(UsableCpus() / 2, 1, kMostWorkers); }

class PipelineLoader final : public Loader {
 public:
  explicit PipelineLoader(const LoaderOptions& options) {
    options.Validate();
    source_ = OpenSource(options.source, options.columns);
    Pipeline::Options pipeline;
    pipeline.order = {source_->chunk_rows(), options.shuffle,    options.seed,
                      options.window,        options.rank,       options.world_size,
                      options.uneven,        options.batch_size, options.drop_last};
    rows_ = pipeline.order.total_rows();
    if (rows_ == 0) throw Error(Code::kInvalidArgument, fmt::format("{} has no rows", options.source));
    order_ = pipeline.order.Fingerprint();
    pipeline.workers = options.workers > 0 ? options.workers : DefaultWorkers();
    const int64_t prefetch = options.prefetch > 0 ? options.prefetch : 2 * pipeline.workers;
    pipeline.prefetch_rows = prefetch * options.batch_size;
    pipeline.on_error = options.on_error;
    for (const auto& column : source_->columns()) names_.push_back(column.name);
    pipeline_ = std::make_unique<Pipeline>(source_, std::move(pipeline));
  }

  int64_t rows() const noexcept override { return rows_; }
  int64_t batches() const noexcept override { return pipeline_->batches(); }
  const std::vector<std::string>& columns() const noexcept override { return names_; }
  bool Ready(std::chrono::milliseconds timeout) override { return pipeline_->Ready(timeout); }
  std::optional<Batch> Next() override { return pipeline_->Next(); }

  void SetEpoch(uint64_t epoch) override {
    // The readers are already there when an epoch follows the one before.
    if (epoch != pipeline_->epoch() || pipeline_->position() != 0) pipeline_->Seek(epoch, 0);
  }

  LoaderState state() const override { return {pipeline_->epoch(), pipeline_->position(), order_}; }

  void Restore(const LoaderState& state) override {
    if (state.order != 0 && state.order != order_) {
      throw Error(Code::kFailedPrecondition,
                  "the state belongs to another order of rows: source, columns' file layout, batch_size, "
                  "shuffle, seed, "
                  "window, world_size, uneven and drop_last must be those it was saved with");
    }
    if (state.batches < 0 || state.batches > batches()) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("the state stands at batch {} of an epoch of {}", state.batches, batches()));
    }
    pipeline_->Seek(state.epoch, state.batches);
  }

  LoaderStats stats() const override { return pipeline_->stats(); }

 private:
  std::shared_ptr<Source> source_;
  int64_t rows_ = 0;
  uint64_t order_ = 0;
  std::vector<std::string> names_;
  std::unique_ptr<Pipeline> pipeline_;
};

void Require(bool holds, const char* name, int64_t value, const char* accepted) {
  if (!holds)
    throw Error(Code::kInvalidArgument, fmt::format("{} is {}: expected {}", name, value, accepted));
}

}  // namespace

void LoaderOptions::Validate() const {
  if (source.empty())
    throw Error(Code::kInvalidArgument, "source is empty: expected a path, a glob or grpc://HOST:PORT/NAME");
  Require(batch_size >= 1, "batch_size", batch_size, "1 or more");
  Require(window >= 1, "window", window, "1 or more row groups");
  Require(world_size >= 1, "world_size", world_size, "1 or more");
  Require(rank >= 0 && rank < world_size, "rank", rank, "0 to world_size - 1");
  Require(workers >= 0, "workers", workers, "0 (by usable CPUs) or more");
  Require(prefetch >= 0, "prefetch", prefetch, "0 (two a worker) or more");
}

std::string LoaderState::ToJson() const {
  return nlohmann::json{{"version", 1}, {"epoch", epoch}, {"batches", batches}, {"order", order}}.dump();
}

LoaderState LoaderState::FromJson(const std::string& json) {
  try {
    const auto object = nlohmann::json::parse(json);
    if (const int version = object.at("version"); version != 1) {
      throw Error(Code::kUnsupported, fmt::format("the loader state has version {}: expected 1", version));
    }
    return {object.at("epoch").get<uint64_t>(), object.at("batches").get<int64_t>(),
            object.at("order").get<uint64_t>()};
  } catch (const nlohmann::json::exception&) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("\"{}\" is not a loader state: expected what state_dict gave", json.substr(0, 80)));
  }
}

Loader::~Loader() = default;

std::unique_ptr<Loader> Loader::Open(const LoaderOptions& options) {
  return std::make_unique<PipelineLoader>(options);
}

}  // namespace strop::feed
