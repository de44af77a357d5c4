#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "strop/feed/loader.h"
#include "strop/feed/order.h"
#include "strop/feed/pool.h"
#include "strop/feed/source.h"
#include "strop/feed/stats.h"

namespace strop::feed {

// The reader threads of a loader, and the batches they fill.
//
// Windows are opened in order: their permutation is drawn and their batches get memory. A reader takes the
// next chunk of an open window, decodes it and copies every row to its place. A batch is ready once every
// window that it lies in is complete; so neither its content nor where an error surfaces depends on timing. A
// window beyond the one being consumed is always open, more when `prefetch` asks for it; the next epoch's
// windows follow without a gap. All members are called by the consumer's thread.
class Pipeline {
 public:
  struct Options {
    OrderOptions order;
    int workers = 1;
    int64_t prefetch_rows = 0;
    OnError on_error = OnError::kStop;
  };

  Pipeline(std::shared_ptr<const Source> source, Options options);
  ~Pipeline();

  int64_t batches() const noexcept { return batches_; }
  uint64_t epoch() const noexcept { return epoch_; }
  int64_t position() const noexcept { return batch_; }
  int workers() const noexcept { return options_.workers; }

  bool Ready(std::chrono::milliseconds timeout);
  std::optional<Batch> Next();
  void Seek(uint64_t epoch, int64_t batch);
  LoaderStats stats() const { return stats_.Summary(options_.workers); }

 private:
  struct Slot;
  struct OpenWindow;
  struct Task {
    std::shared_ptr<OpenWindow> window;
    size_t segment = 0;
  };
  class Scatter;

  void Work(size_t worker);
  std::optional<Task> TakeTask();                     // with the lock
  bool MayOpen() const;                               // with the lock
  void OpenNext(std::unique_lock<std::mutex>& lock);  // lets go of it while it works
  void Run(const Task& task, ChunkReader& reader);
  void RunWithSubstitute(const Task& task, ChunkReader& reader, const std::exception_ptr& error);
  // Whether the next batch is known, with the lock; its error, if it has one.
  bool Known(std::exception_ptr* error) const;
  int64_t RowsAhead() const;  // with the lock

  const std::shared_ptr<const Source> source_;
  const Options options_;
  const int64_t rank_rows_;
  const int64_t batches_;
  const int64_t limit_;        // rows of an epoch that are given out
  const size_t open_windows_;  // at least, so that no reader is idle while one window is consumed
  const std::shared_ptr<BufferPool> pool_;
  StatsRecorder stats_;

  mutable std::mutex mutex_;
  std::condition_variable work_, ready_;
  bool stopping_ = false;
  bool opening_ = false;
  uint64_t generation_ = 0;  // of Seek; what was opened before belongs to nobody
  std::deque<std::shared_ptr<OpenWindow>> windows_;
  std::shared_ptr<const EpochOrder> next_order_;  // where the next window comes from
  size_t next_window_ = 0;
  int64_t start_row_ = 0;       // rows before it are not copied: Seek went past them
  std::shared_ptr<Slot> tail_;  // the last window's last batch, when the next window shares it
  uint64_t epoch_ = 0;
  int64_t batch_ = 0;
  std::exception_ptr fatal_;  // opening a window failed: nothing comes any more
  std::optional<std::chrono::steady_clock::time_point> given_;  // when the consumer got its last batch
  double waited_ = 0;                                           // since then, in Ready

  std::vector<std::thread> threads_;
};

}  // namespace strop::feed
