#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"

namespace strop::feed {

// What to do with a row group that cannot be read.
enum class OnError { kStop, kSkip };
// How ranks are made equal: repeat rows, leave them ragged, or drop the remainder.
enum class Uneven { kRepeat, kRagged, kDrop };

struct STROP_API LoaderOptions {
  std::string source;                // path, glob, or grpc://HOST:PORT/NAME of a Flight service
  std::vector<std::string> columns;  // empty: every column with a dense form
  int64_t batch_size = 256;
  bool shuffle = false;
  uint64_t seed = 0;
  int window = 8;  // row groups shuffled together in block order
  int rank = 0;
  int world_size = 1;
  Uneven uneven = Uneven::kRepeat;
  int workers = 0;   // reader threads; 0: by usable CPUs
  int prefetch = 0;  // batches ready ahead; 0: two a worker
  bool drop_last = false;
  OnError on_error = OnError::kStop;
  void Validate() const;
};

// A batch in pooled, 64-byte aligned memory: it returns to the pool when the last tensor of it is gone.
struct STROP_API Batch {
  TensorMap tensors;  // [rows, …] each
  int64_t rows = 0;
};

// Where a loader stands: all of its state. JSON, under 1 KB. The same on every rank when uneven is not
// kRagged.
struct STROP_API LoaderState {
  uint64_t epoch = 0;
  int64_t batches = 0;  // of this epoch already given out
  uint64_t order = 0;   // names source layout and options that decide the order; 0: not checked
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
  int64_t rows = 0;            // given out since the loader was opened
  int64_t skipped_chunks = 0;  // row groups replaced under OnError::kSkip
  std::string verdict;         // "storage", "decode", "copy" or "consumer" bounds, in a sentence
};

// Reads rows in a deterministic order: row groups permuted by (seed, epoch), and rows within a window of
// them; the order depends on the source, seed, epoch, window, batch size, rank and world size, never on
// workers or timing. Iterating is for one thread; the readers are its own threads, and end with it.
class STROP_API Loader {
 public:
  // Throws what data::ReadSchema throws, before any thread starts; kInvalidArgument naming an option, or a
  // column that is not there and those that are; kUnavailable when no Flight service answers.
  static std::unique_ptr<Loader> Open(const LoaderOptions& options);
  virtual ~Loader();

  virtual int64_t rows() const noexcept = 0;     // of the source
  virtual int64_t batches() const noexcept = 0;  // of an epoch on this rank
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
};

}  // namespace strop::feed
