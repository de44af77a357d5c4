#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/filesystem/type_fwd.h>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/base/trace.h"

namespace strop::feed {

// What to do with a row group that cannot be read.
enum class OnError { kStop, kSkip };
// How ranks are made equal: repeat rows, leave them ragged, or drop the remainder.
enum class Uneven { kRepeat, kRagged, kDrop };
// How far a shuffle reaches: rows of `window` row groups at a time, or all rows of the epoch.
enum class Order { kBlock, kGlobal };
// Where files lie; null: the local file system. Its paths are those of the sources.
using FileSystem = std::shared_ptr<arrow::fs::FileSystem>;

// How ranks share the rows of an epoch.
struct STROP_API Share {
  int world_size = 1;
  Uneven uneven = Uneven::kRepeat;
  int64_t batch_size = 256;
  bool drop_last = false;
  bool operator==(const Share&) const = default;
};

struct STROP_API SourceOptions {
  std::vector<std::string> uris;  // paths and globs, laid end to end; or one grpc://HOST:PORT/NAME
  double weight = 0;              // of a mixture: its share of the rows; 0 for all: every row once
  std::string transforms = "[]";  // of its columns, as TransformSpec::ParseList reads them
};

struct STROP_API LoaderOptions {
  std::vector<SourceOptions> sources;  // several: a mixture, of equal columns
  std::vector<std::string> columns;    // empty: every column with a dense form
  int64_t batch_size = 256;
  bool shuffle = false;
  Order order = Order::kBlock;  // of the shuffle; kGlobal where rows can be read one by one
  uint64_t seed = 0;
  int window = 8;  // row groups shuffled together in block order
  int rank = 0;
  int world_size = 1;
  Uneven uneven = Uneven::kRepeat;
  int workers = 0;   // reader threads, at most 1,024; 0: as many as a governor finds worth it
  int gpu = -1;      // the consumer's, as base/topology.h counts them: readers stay near its NUMA node
  int prefetch = 0;  // batches ready ahead; 0: two
  bool drop_last = false;
  OnError on_error = OnError::kStop;
  FileSystem file_system;     // for Parquet and Arrow IPC
  double trace_share = 0.01;  // of the batches whose stages are kept as spans
  // Asked now and then by the thread that opens, while it reads whole files for their indexes; may throw.
  std::function<void()> interrupt;
  void Validate() const;
};

// A batch in pooled, 64-byte aligned memory: it returns to the pool when the last tensor of it is gone.
struct STROP_API Batch {
  TensorMap tensors;  // [rows, …] each
  int64_t rows = 0;
};

// Batches that every rank gave out while an epoch was shared that way.
struct STROP_API Part {
  Share share;
  int64_t batches = 0;
  bool operator==(const Part&) const = default;
};

// Where a loader stands: all of its state. JSON, under 1 KB. The same on every rank when uneven is not
// kRagged; restored under another Share, the ranks together go on with the rows that nobody gave out yet.
struct STROP_API LoaderState {
  uint64_t epoch = 0;
  Part now;                // the Share, and its batches of this epoch already given out
  std::vector<Part> done;  // of this epoch, under other Shares before
  uint64_t order = 0;      // names source layout and options that decide the line of rows; 0: not checked
  std::string ToJson() const;
  static LoaderState FromJson(const std::string& json);
};

struct STROP_API LoaderStats {
  struct Stage {
    double p50 = 0, p95 = 0, p99 = 0;  // seconds a row group (read, decode) or a batch (copy, wait)
  };
  Stage read, decode, copy, wait;
  double waiting_share = 0;  // of the consumer's time spent waiting for a batch
  double rows_per_second = 0;
  int64_t rows = 0;                     // given out since the loader was opened
  int64_t skipped_chunks = 0;           // row groups replaced, whole or some rows, under OnError::kSkip
  std::map<std::string, int64_t> nans;  // given out, of the columns that have any
  int workers = 0;                      // readers at work now, and why so many (empty: as asked)
  std::string workers_reason;
  double settled_seconds = 0;  // from the first chunk until the governor first knew; 0: not yet, or as asked
  double shuffle_quality = 0;  // see ShuffleQuality
  std::string verdict;         // "storage", "decode", "copy" or "consumer" bounds, in a sentence
};

// Reads rows in a deterministic order: row groups permuted by (seed, epoch), and rows within a window of
// them; or, in global order, all rows permuted. The line of rows depends on the sources, order, seed, epoch
// and window; which of them a rank takes, on rank and Share; nothing on workers or timing. A ragged column
// comes padded with zeros to the longest row of its batch, beside its lengths in elements (`NAME_length`,
// int32). Iterating is for one thread; the readers are its own threads, and end with it.
class STROP_API Loader {
 public:
  // Throws what data::ReadSchema throws, before any thread starts; kInvalidArgument naming an option, or a
  // column that is not there and those that are; kUnsupported for global order where rows come in chunks
  // only; kUnavailable when no Flight service answers or a reader thread cannot be started.
  static std::unique_ptr<Loader> Open(const LoaderOptions& options);
  virtual ~Loader();

  virtual int64_t rows() const noexcept = 0;  // of the source
  // Of the present epoch on this rank; of one that began under another Share, the batches under this one.
  virtual int64_t batches() const noexcept = 0;
  virtual const std::vector<std::string>& columns()
      const noexcept = 0;  // as asked, else in the source's order
  // Waits at most so long for Next to have an answer; whether it has. For callers that must poll for signals.
  virtual bool Ready(std::chrono::milliseconds timeout) = 0;
  // nullopt at the end of the epoch; the next call then begins the next epoch. Throws what a reader threw.
  virtual std::optional<Batch> Next() = 0;
  virtual void SetEpoch(uint64_t epoch) = 0;  // and back to its first batch
  virtual LoaderState state() const = 0;
  // The next batch is the one that would have come next. Throws kFailedPrecondition when the state is of
  // another order.
  virtual void Restore(const LoaderState& state) = 0;
  virtual LoaderStats stats() const = 0;
  // Of the sampled batches, the newest 65,536: "read", "decode" and "copy" of each chunk of the window that a
  // batch begins in (what interleaves is shown as three sums, one after the other), "wait" for the batch, and
  // "consume" until the next.
  virtual std::vector<Span> spans() const = 0;
  // Of the batches from now on. Throws kInvalidArgument for less than 0 or more than 1.
  virtual void SetTraceShare(double share) = 0;
};

}  // namespace strop::feed
