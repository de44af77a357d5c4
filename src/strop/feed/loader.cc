#include "strop/feed/loader.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/threads.h"
#include "strop/base/topology.h"
#include "strop/feed/interrupt.h"
#include "strop/feed/mixture.h"
#include "strop/feed/pipeline.h"
#include "strop/feed/ragged.h"

namespace strop::feed {
namespace {

constexpr int kPrefetch =
    2;  // batches, beyond the window that readers are in; not by readers, or memory would grow
constexpr int kMostWorkers = 8;  // to begin with; the governor adds what is worth it

// Half of the machine is the consumer's.
int DefaultWorkers() { return std::clamp(UsableCpus() / 2, 1, kMostWorkers); }

// nullopt where the machine does not tell, as in many containers.
std::optional<int> GpuNode(int gpu) {
  const auto& gpus = ThisMachine().gpus;
  if (gpu < 0 || static_cast<size_t>(gpu) >= gpus.size()) return std::nullopt;
  const int node = gpus[static_cast<size_t>(gpu)].node;
  return node >= 0 ? std::optional(node) : std::nullopt;
}

// Rows that a reader gathers at once in global order: about a megabyte.
int64_t PieceRows(const Source& source) {
  size_t bytes = 1;
  for (const auto& column : source.columns()) bytes += column.ragged() ? 0 : column.row_bytes();
  return std::clamp<int64_t>((1 << 20) / static_cast<int64_t>(bytes), 16, 1 << 16);
}

class PipelineLoader final : public Loader {
 public:
  explicit PipelineLoader(const LoaderOptions& options) {
    options.Validate();
    const InterruptScope scope(options.interrupt);
    auto [source, groups] = OpenMixture(options.sources, options.columns, options.file_system);
    share_ = {options.world_size, options.uneven, options.batch_size, options.drop_last};
    Pipeline::Options pipeline;
    pipeline.order.chunk_rows = source->chunk_rows();
    pipeline.order.shuffle = options.shuffle;
    pipeline.order.global = options.order == Order::kGlobal;
    pipeline.order.seed = options.seed;
    pipeline.order.window = options.window;
    pipeline.order.rank = options.rank;
    pipeline.order.share = share_;
    pipeline.order.groups = std::move(groups);
    pipeline.order.piece_rows = PieceRows(*source);
    if (pipeline.order.global) RequireRowAccess(*source);
    rows_ = pipeline.order.total_rows();
    RequireRows(options);
    order_ = pipeline.order.Fingerprint();
    shuffle_quality_ = ShuffleQuality(pipeline.order);
    pipeline.workers = options.workers > 0 ? options.workers : DefaultWorkers();
    pipeline.govern = options.workers == 0;
    pipeline.node = GpuNode(options.gpu);
    const int64_t prefetch = options.prefetch > 0 ? options.prefetch : kPrefetch;
    pipeline.prefetch_rows = prefetch * options.batch_size;
    pipeline.on_error = options.on_error;
    pipeline.trace_share = options.trace_share;
    for (const auto& column : source->columns()) {
      names_.push_back(column.name);
      if (column.ragged()) names_.push_back(LengthName(column.name));
    }
    pipeline_ = std::make_unique<Pipeline>(std::move(source), std::move(pipeline));
  }

  int64_t rows() const noexcept override { return rows_; }
  int64_t batches() const noexcept override { return pipeline_->batches(); }
  const std::vector<std::string>& columns() const noexcept override { return names_; }
  bool Ready(std::chrono::milliseconds timeout) override { return pipeline_->Ready(timeout); }
  std::optional<Batch> Next() override { return pipeline_->Next(); }

  void SetEpoch(uint64_t epoch) override {
    // The readers are already there when an epoch follows the one before.
    const bool whole = done_.empty() || done_epoch_ != pipeline_->epoch();
    if (epoch != pipeline_->epoch() || pipeline_->position() != 0 || !whole) pipeline_->Seek(epoch, 0);
    done_.clear();
  }

  LoaderState state() const override {
    LoaderState state{pipeline_->epoch(), {share_, pipeline_->position()}, {}, order_};
    if (state.epoch == done_epoch_) state.done = done_;
    return state;
  }

  void Restore(const LoaderState& state) override {
    if (state.order != 0 && state.order != order_) {
      throw Error(
          Code::kFailedPrecondition,
          "the state belongs to another line of rows: sources, their layout and weights, shuffle, seed and "
          "window must be those it was saved with");
    }
    std::vector<Part> done = state.done;
    int64_t batches = state.now.batches;
    if (state.now.share != share_) {
      done.push_back(state.now);
      batches = 0;
    }
    const int64_t most = BatchCount(rows_, share_.batch_size, share_.drop_last);
    if (batches < 0 || batches > most) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("the state stands at batch {} of an epoch of at most {}", batches, most));
    }
    pipeline_->Seek(state.epoch, batches, done);
    done_ = std::move(done);
    done_epoch_ = state.epoch;
  }

  std::vector<Span> spans() const override { return pipeline_->spans(); }
  void SetTraceShare(double share) override { pipeline_->SetTraceShare(share); }

  LoaderStats stats() const override {
    LoaderStats stats = pipeline_->stats();
    stats.shuffle_quality = shuffle_quality_;
    return stats;
  }

 private:
  static void RequireRowAccess(const Source& source) {
    const std::string why = source.WhyChunksOnly();
    if (why.empty()) return;
    throw Error(Code::kUnsupported,
                fmt::format("order = \"global\" reads rows one by one, from uncompressed Arrow IPC "
                            "files of fixed-width columns (strop feed convert IN OUT.arrow): {}",
                            why));
  }

  void RequireRows(const LoaderOptions& options) const {
    const std::string name = fmt::format("{}", fmt::join(options.sources[0].uris, ", "));
    if (rows_ == 0)
      throw Error(Code::kInvalidArgument, fmt::format("{} has no rows: name files that have some", name));
    if (options.uneven == Uneven::kDrop && rows_ < options.world_size) {
      throw Error(
          Code::kInvalidArgument,
          fmt::format("{} has {} rows for {} ranks, and uneven = \"drop\" leaves each rank none: expected at "
                      "least a row a rank, or \"repeat\"",
                      name, rows_, options.world_size));
    }
  }

  int64_t rows_ = 0;
  uint64_t order_ = 0;
  double shuffle_quality_ = 0;
  Share share_;
  std::vector<Part> done_;  // of epoch done_epoch_
  uint64_t done_epoch_ = 0;
  std::vector<std::string> names_;
  std::unique_ptr<Pipeline> pipeline_;
};

void Require(bool holds, const char* name, int64_t value, const char* accepted) {
  if (!holds)
    throw Error(Code::kInvalidArgument, fmt::format("{} is {}: expected {}", name, value, accepted));
}

}  // namespace

void LoaderOptions::Validate() const {
  Require(batch_size >= 1, "batch_size", batch_size, "1 or more");
  if (order == Order::kGlobal && !shuffle)
    throw Error(Code::kInvalidArgument,
                "order is \"global\" without shuffle: it says how far a shuffle reaches");
  Require(window >= 1, "window", window, "1 or more row groups");
  Require(world_size >= 1, "world_size", world_size, "1 or more");
  Require(rank >= 0 && rank < world_size, "rank", rank, "0 to world_size - 1");
  Require(workers >= 0 && workers <= 1024, "workers", workers, "0 (by usable CPUs) to 1024");
  Require(prefetch >= 0, "prefetch", prefetch, "0 (two) or more");
}

namespace {

constexpr int kStateVersion = 2;

nlohmann::json ToJson(const Part& part) {
  return {{"world_size", part.share.world_size},
          {"uneven", static_cast<int>(part.share.uneven)},
          {"batch_size", part.share.batch_size},
          {"drop_last", part.share.drop_last},
          {"batches", part.batches}};
}

Part PartFromJson(const nlohmann::json& json) {
  const int uneven = json.at("uneven");
  Part part{{json.at("world_size").get<int>(), static_cast<Uneven>(uneven),
             json.at("batch_size").get<int64_t>(), json.at("drop_last").get<bool>()},
            json.at("batches").get<int64_t>()};
  if (part.share.world_size < 1 || part.share.batch_size < 1 || part.batches < 0 || uneven < 0 ||
      uneven > 2) {
    throw Error(Code::kInvalidArgument, fmt::format("{} is not part of a loader state", json.dump()));
  }
  return part;
}

}  // namespace

std::string LoaderState::ToJson() const {
  nlohmann::json parts = nlohmann::json::array();
  for (const Part& part : done) parts.push_back(feed::ToJson(part));
  return nlohmann::json{{"version", kStateVersion},
                        {"epoch", epoch},
                        {"now", feed::ToJson(now)},
                        {"done", parts},
                        {"order", order}}
      .dump();
}

LoaderState LoaderState::FromJson(const std::string& json) {
  try {
    const auto object = nlohmann::json::parse(json);
    if (const int version = object.at("version"); version != kStateVersion) {
      throw Error(Code::kUnsupported,
                  fmt::format("the loader state has version {}: expected {}", version, kStateVersion));
    }
    LoaderState state{object.at("epoch").get<uint64_t>(),
                      PartFromJson(object.at("now")),
                      {},
                      object.at("order").get<uint64_t>()};
    for (const auto& part : object.at("done")) state.done.push_back(PartFromJson(part));
    return state;
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
