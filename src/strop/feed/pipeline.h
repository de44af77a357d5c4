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
#include "strop/feed/open_window.h"
#include "strop/feed/order.h"
#include "strop/feed/pool.h"
#include "strop/feed/segment_reader.h"
#include "strop/feed/source.h"
#include "strop/feed/stats.h"
#include "strop/feed/workers/placement.h"
#include "strop/feed/workers/reader_control.h"

namespace strop::feed {

// The reader threads of a loader, and the batches they fill.
//
// Windows are opened in order: their permutation is drawn and their batches get memory. A reader takes the
// next chunk of an open window, decodes it and copies every row to its place. A batch is ready once every
// window that it lies in is complete; so neither its content nor where an error surfaces depends on timing. A
// window beyond the one being consumed is always open, more when `prefetch` asks for it; the next epoch's
// windows follow without a gap. With `govern` the governor says how many of the readers take chunks; the
// others wait. All members are called by the consumer's thread.
class Pipeline {
 public:
  struct Options {
    OrderOptions order;
    int workers = 1;          // readers; with a governor those it begins with
    bool govern = false;      // whether a governor changes their number
    std::optional<int> node;  // NUMA node of the consumer; else that of the thread that makes the pipeline
    int64_t prefetch_rows = 0;
    OnError on_error = OnError::kStop;
    double trace_share = 0;
  };

  Pipeline(std::shared_ptr<const Source> source, Options options);
  ~Pipeline();

  int64_t batches() const noexcept { return batches_; }  // of the present epoch
  uint64_t epoch() const noexcept { return epoch_; }
  int64_t position() const noexcept { return batch_; }

  bool Ready(std::chrono::milliseconds timeout);
  std::optional<Batch> Next();
  // To that batch of the epoch, which went on under options.order.share after `done`.
  void Seek(uint64_t epoch, int64_t batch, const std::vector<Part>& done = {});
  LoaderStats stats() const;
  std::vector<Span> spans() const { return tracer_.Spans(); }
  void SetTraceShare(double share) { tracer_.SetShare(share); }

 private:
  struct Task {
    std::shared_ptr<OpenWindow> window;
    size_t segment = 0;
  };
  void StartReaders();         // with the lock: as many as there should be
  void Stop();                 // joins those that were started
  void Enter(uint64_t epoch);  // with the lock: begins an epoch
  void Work(size_t worker);
  std::optional<Task> TakeTask();                     // with the lock
  bool MayOpen() const;                               // with the lock
  void OpenNext(std::unique_lock<std::mutex>& lock);  // lets go of it while it works
  std::shared_ptr<OpenWindow> Open(std::shared_ptr<const EpochOrder> order, size_t index, int64_t start,
                                   const std::shared_ptr<BatchSlot>& tail);
  std::shared_ptr<BatchSlot> NewSlot(int64_t rows);
  SegmentReader::Spent Run(const Task& task, SegmentReader& reader);
  // Whether the next batch is known, with the lock; its error, if it has one.
  bool Known(std::exception_ptr* error) const;
  int64_t RowsAhead() const;  // with the lock

  const std::shared_ptr<const Source> source_;
  const Options options_;
  int64_t batches_ = 0;       // of the present epoch, and
  int64_t limit_ = 0;         // its rows that are given out
  int64_t full_batches_ = 0;  // the same of an epoch from its beginning
  int64_t full_limit_ = 0;
  ReaderControl control_;  // with the lock
  const Placement placement_;
  const std::shared_ptr<BufferPool> pool_;
  StatsRecorder stats_;
  Tracer tracer_;

  mutable std::mutex mutex_;
  std::condition_variable work_, ready_;
  bool stopping_ = false;
  bool opening_ = false;
  uint64_t generation_ = 0;  // of Seek; what was opened before belongs to nobody
  std::deque<std::shared_ptr<OpenWindow>> windows_;
  std::shared_ptr<const EpochOrder> next_order_;  // where the next window comes from
  size_t next_window_ = 0;
  int64_t start_row_ = 0;            // rows before it are not copied: Seek went past them
  std::shared_ptr<BatchSlot> tail_;  // the last window's last batch, when the next window shares it
  uint64_t epoch_ = 0;
  int64_t batch_ = 0;
  std::exception_ptr fatal_;  // opening a window failed: nothing comes any more
  std::optional<std::chrono::steady_clock::time_point> given_;  // when the consumer got its last batch
  uint64_t given_item_ = 0;                                     // which it was, for the tracer
  double waited_ = 0;                                           // since then, in Ready
  std::vector<std::thread> threads_;
};

}  // namespace strop::feed
