#include "strop/feed/pipeline.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <spdlog/logger.h>

#include "strop/base/error.h"
#include "strop/base/log.h"
#include "strop/base/rng.h"
#include "strop/base/threads.h"
#include "strop/feed/ragged.h"

namespace strop::feed {
namespace {

using Clock = std::chrono::steady_clock;

// A batch, for the tracer.
uint64_t Item(uint64_t epoch, int64_t batch) { return epoch << 40 | static_cast<uint64_t>(batch); }

std::chrono::nanoseconds Nanoseconds(double seconds) {
  return std::chrono::nanoseconds(std::llround(seconds * 1e9));
}

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

size_t RowBytes(const std::vector<data::Column>& columns) {
  size_t bytes = 0;
  for (const auto& column : columns) bytes += column.ragged() ? 0 : column.row_bytes();
  return bytes;
}

constexpr int kMostReaders = 64;  // that a governor tries: those that wait for a storage cost next to nothing

int MostReaders(const Pipeline::Options& options) {
  return options.govern ? std::max(kMostReaders, options.workers) : options.workers;
}

ReaderControl Control(const Pipeline::Options& options) {
  if (!options.govern) return ReaderControl(options.workers);
  Governor::Options governor;
  governor.cpus = UsableCpus();
  governor.start = options.workers;
  governor.most = MostReaders(options);
  return ReaderControl(governor);
}

size_t OpenWindows(const Pipeline::Options& options, int readers) {
  const int segments = options.order.segments_a_window();
  return 1 + static_cast<size_t>((readers + segments - 1) / segments);
}

// Idle memory kept: what the open windows and the consumer's own batches go round with.
size_t IdleLimit(const Source& source, const Pipeline::Options& options) {
  const auto& chunks = source.chunk_rows();
  const bool global = options.order.shuffle && options.order.global;
  const int64_t largest = chunks.empty() ? 0 : *std::max_element(chunks.begin(), chunks.end());
  const int64_t window = options.order.segments_a_window() * (global ? options.order.piece_rows : largest);
  const int64_t rows = static_cast<int64_t>(OpenWindows(options, MostReaders(options)) + 1) * window +
                       options.prefetch_rows + 8 * options.order.share.batch_size;
  return static_cast<size_t>(std::min(rows, options.order.total_rows() + options.order.share.batch_size)) *
         RowBytes(source.columns());
}

}  // namespace

Pipeline::Pipeline(std::shared_ptr<const Source> source, Options options)
    : source_(std::move(source)),
      options_(std::move(options)),
      control_(Control(options_)),
      placement_(PlanHere(MostReaders(options_), options_.node)),
      pool_(BufferPool::Make(IdleLimit(*source_, options_),
                             placement_.binds ? std::optional(placement_.node) : std::nullopt)),
      tracer_(options_.trace_share, options_.order.seed) {
  const EpochOrder whole(options_.order, 0);
  full_batches_ = whole.batches();
  full_limit_ = whole.limit();
  Seek(0, 0);
  try {
    std::lock_guard lock(mutex_);  // none works before all are there
    StartReaders();
  } catch (const std::exception& error) {
    const size_t started = threads_.size();
    Stop();
    throw Error(Code::kUnavailable,
                fmt::format("{} of {} reader threads could be started ({}): ask for fewer workers, or raise "
                            "what limits threads (ulimit -u, the container's pids) or memory (ulimit -v)",
                            started, control_.readers(), error.what()));
  }
}

Pipeline::~Pipeline() { Stop(); }

void Pipeline::StartReaders() {
  for (size_t i = threads_.size(); i < static_cast<size_t>(control_.readers()); ++i)
    threads_.emplace_back([this, i] { Work(i); });
}

void Pipeline::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  source_->Cancel();
  work_.notify_all();
  for (auto& thread : threads_) thread.join();
  pool_->Close();
}

void Pipeline::Enter(uint64_t epoch) {
  epoch_ = epoch;
  batch_ = 0;
  batches_ = full_batches_;
  limit_ = full_limit_;
}

void Pipeline::Seek(uint64_t epoch, int64_t batch, const std::vector<Part>& done) {
  auto order = std::make_shared<const EpochOrder>(options_.order, epoch, done);
  const int64_t batches = order->batches(), limit = order->limit();
  // At its end an epoch needs no window: what is opened is the next one's first.
  const bool at_end = batch >= batches;
  if (at_end) order = std::make_shared<const EpochOrder>(options_.order, epoch + 1);
  const int64_t row = at_end ? 0 : batch * options_.order.share.batch_size;
  const auto& windows = order->windows();
  size_t window = 0;
  while (window < windows.size() && windows[window].end <= row) ++window;
  {
    std::lock_guard lock(mutex_);
    ++generation_;
    windows_.clear();
    tail_.reset();
    next_order_ = std::move(order);
    next_window_ = window;
    start_row_ = row;
    Enter(epoch);
    batch_ = batch;
    batches_ = batches;
    limit_ = limit;
    fatal_ = nullptr;
    given_.reset();
  }
  work_.notify_all();
}

int64_t Pipeline::RowsAhead() const {
  const int64_t given = batch_ * options_.order.share.batch_size;
  int64_t ahead = 0;
  for (const auto& window : windows_) {
    const bool current = window->order->epoch() == epoch_;
    ahead += std::max<int64_t>(0, window->copy_end - std::max(window->copy_begin, current ? given : 0));
  }
  return ahead;
}

bool Pipeline::MayOpen() const {
  if (opening_ || fatal_ || full_limit_ == 0) return false;
  return windows_.size() < OpenWindows(options_, control_.readers()) || RowsAhead() < options_.prefetch_rows;
}

void Pipeline::OpenNext(std::unique_lock<std::mutex>& lock) {
  opening_ = true;
  const uint64_t generation = generation_;
  auto order = next_order_;
  size_t index = next_window_;
  int64_t start = start_row_;
  auto tail = tail_;
  lock.unlock();

  std::shared_ptr<OpenWindow> opened;
  std::exception_ptr error;
  try {
    if (index >= order->windows().size() || order->windows()[index].begin >= order->limit()) {
      order = std::make_shared<const EpochOrder>(options_.order, order->epoch() + 1);
      index = 0;
      start = 0;
      tail.reset();
    }
    opened = Open(order, index, start, tail);
    const int64_t end = opened->copy_end;
    const bool shared = end % options_.order.share.batch_size != 0 && end < order->limit();
    tail = shared ? opened->slots.back() : nullptr;
  } catch (...) {
    error = std::current_exception();
  }

  lock.lock();
  opening_ = false;
  if (generation == generation_) {
    if (error) {
      fatal_ = error;
      ready_.notify_all();
    } else {
      next_order_ = order;
      next_window_ = index + 1;
      start_row_ = start;
      tail_ = std::move(tail);
      windows_.push_back(std::move(opened));
    }
  }
  work_.notify_all();
}

std::shared_ptr<OpenWindow> Pipeline::Open(std::shared_ptr<const EpochOrder> order, size_t index,
                                           int64_t start, const std::shared_ptr<BatchSlot>& tail) {
  auto opened = std::make_shared<OpenWindow>();
  opened->window = order->windows()[index];
  opened->line = &order->line().windows()[opened->window.line];
  opened->key = MixSeed(options_.order.seed, order->epoch());
  opened->copy_begin = std::max(opened->window.begin, start);
  opened->copy_end = std::min(opened->window.end, order->limit());
  if (!order->line().global()) opened->destinations = order->line().Destinations(opened->window.line);
  opened->unresolved = opened->line->segments.size();
  int64_t offset = 0;
  for (const Segment& segment : opened->line->segments) {
    opened->offsets.push_back(offset);
    offset += segment.rows();
  }
  const int64_t size = options_.order.share.batch_size;
  opened->first_batch = opened->copy_begin / size;
  for (int64_t batch = opened->first_batch; batch * size < opened->copy_end; ++batch) {
    const bool begun = batch == opened->first_batch && tail;
    opened->slots.push_back(begun ? tail : NewSlot(std::min(size, order->limit() - batch * size)));
  }
  for (size_t c = 0; c < source_->columns().size(); ++c) {
    for (const auto& slot : opened->slots)
      opened->blocks.push_back(static_cast<uint8_t*>(slot->memory[c].get()));
  }
  opened->order = std::move(order);
  return opened;
}

std::shared_ptr<BatchSlot> Pipeline::NewSlot(int64_t rows) {
  const auto& columns = source_->columns();
  auto slot = std::make_shared<BatchSlot>(columns.size());
  slot->rows = rows;
  for (size_t c = 0; c < columns.size(); ++c) {
    if (columns[c].ragged()) {
      slot->ragged[c] = std::make_unique<RaggedRows>(static_cast<size_t>(rows));
    } else {
      slot->memory[c] =
          pool_->Take(columns[c].row_bytes() * static_cast<size_t>(options_.order.share.batch_size));
    }
  }
  return slot;
}

std::optional<Pipeline::Task> Pipeline::TakeTask() {
  for (const auto& window : windows_) {
    if (window->next_segment < window->line->segments.size()) return Task{window, window->next_segment++};
  }
  return std::nullopt;
}

void Pipeline::Work(size_t worker) {
  NameThread(fmt::format("strop-feed-{}", worker));
  if (placement_.binds) BindThread(placement_.readers[worker].cpus);
  SegmentReader reader(source_, options_.order.share.batch_size, options_.on_error,
                       placement_.readers[worker].chunk_bytes);
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const bool active = static_cast<int>(worker) < control_.readers();
    if (auto task = active ? TakeTask() : std::nullopt) {
      lock.unlock();
      std::exception_ptr error;
      SegmentReader::Spent spent;
      try {
        spent = Run(*task, reader);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      OpenWindow& window = *task->window;
      if (error && (!window.error || task->segment < window.error_segment)) {
        window.error = error;
        window.error_segment = task->segment;
      }
      if (--window.unresolved == 0) ready_.notify_all();
      const int64_t rows = window.line->segments[task->segment].rows();
      if (control_.ChunkDone(worker, rows, spent.read, spent.decode + spent.copy, Clock::now())) {
        try {
          if (!stopping_) StartReaders();
        } catch (const std::system_error& refused) {
          Log("feed").debug("{} readers and no more: {}", threads_.size(), refused.what());
        }
        work_.notify_all();
      }
    } else if (active && MayOpen()) {
      OpenNext(lock);
    } else {
      work_.wait(lock);
    }
  }
}

SegmentReader::Spent Pipeline::Run(const Task& task, SegmentReader& reader) {
  const auto begin = Clock::now();
  const SegmentReader::Spent spent = reader.Read(*task.window, task.segment);
  stats_.AddSkipped(spent.skipped);
  stats_.Add(StatsRecorder::kRead, spent.read);
  stats_.Add(StatsRecorder::kCopy, spent.copy);
  stats_.Add(StatsRecorder::kDecode, spent.decode);
  const uint64_t item = Item(task.window->order->epoch(), task.window->first_batch);
  if (tracer_.Sampled(item)) {
    const auto read_end = begin + Nanoseconds(spent.read), decode_end = read_end + Nanoseconds(spent.decode);
    tracer_.Add("read", item, begin, read_end);
    tracer_.Add("decode", item, read_end, decode_end);
    tracer_.Add("copy", item, decode_end, decode_end + Nanoseconds(spent.copy));
  }
  return spent;
}

bool Pipeline::Known(std::exception_ptr* error) const {
  if (batch_ >= batches_) return true;
  const int64_t end = std::min((batch_ + 1) * options_.order.share.batch_size, limit_);
  for (const auto& window : windows_) {
    if (window->unresolved > 0) return false;
    if (window->error) {
      *error = window->error;
      return true;
    }
    if (window->window.end >= end) return true;
  }
  if (fatal_) *error = fatal_;
  return fatal_ != nullptr;
}

LoaderStats Pipeline::stats() const {
  std::unique_lock lock(mutex_);
  const int readers = control_.readers();
  const std::string reason = control_.reason();
  const double settled = control_.settled_seconds();
  lock.unlock();
  LoaderStats stats = stats_.Summary(readers);
  stats.workers = readers;
  stats.workers_reason = reason;
  stats.settled_seconds = settled;
  const std::vector<int64_t> nans = stats_.nans();
  for (size_t c = 0; c < nans.size(); ++c) {
    if (nans[c] > 0) stats.nans.emplace(source_->columns()[c].name, nans[c]);
  }
  return stats;
}

bool Pipeline::Ready(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  std::exception_ptr error;
  const auto known = [&] { return Known(&error); };
  if (known()) return true;
  const auto begin = Clock::now();
  control_.WaitBegins(begin);
  const bool ready = ready_.wait_for(lock, timeout, known);
  const auto end = Clock::now();
  control_.WaitEnds(end);
  waited_ += Seconds(end - begin);
  return ready;
}

std::optional<Batch> Pipeline::Next() {
  std::unique_lock lock(mutex_);
  const auto begin = Clock::now();
  std::exception_ptr error;
  control_.WaitBegins(begin);
  ready_.wait(lock, [&] { return Known(&error); });
  const auto end = Clock::now();
  control_.WaitEnds(end);
  if (error) std::rethrow_exception(error);
  if (batch_ >= batches_) {
    Enter(epoch_ + 1);
    lock.unlock();
    work_.notify_all();
    return std::nullopt;
  }

  const int64_t size = options_.order.share.batch_size;
  const auto& window = *windows_.front();
  const std::shared_ptr<BatchSlot> slot = window.slots[static_cast<size_t>(batch_ - window.first_batch)];
  ++batch_;
  while (!windows_.empty() && windows_.front()->order->epoch() == epoch_ &&
         windows_.front()->copy_end <= std::min(batch_ * size, limit_)) {
    windows_.pop_front();
  }
  // Fewer rows are ahead, whether or not a window is used up.
  const bool may_open = MayOpen();
  lock.unlock();
  if (may_open) work_.notify_all();

  Batch batch;
  batch.rows = slot->rows;
  for (size_t c = 0; c < source_->columns().size(); ++c) {
    const data::Column& column = source_->columns()[c];
    if (column.ragged()) {
      batch.tensors.emplace(LengthName(column.name), slot->ragged[c]->Lengths(column));
      batch.tensors.emplace(column.name, slot->ragged[c]->Padded(column));
      continue;
    }
    Shape shape = column.shape;
    shape.insert(shape.begin(), slot->rows);
    void* const data = slot->memory[c].get();
    batch.tensors.emplace(column.name,
                          Tensor::Wrap(column.dtype, std::move(shape), data, std::move(slot->memory[c])));
  }
  const double waited = std::exchange(waited_, 0);
  stats_.Add(StatsRecorder::kWait, Seconds(end - begin) + waited);
  const uint64_t item = Item(epoch_, batch_ - 1);
  if (tracer_.Sampled(item)) tracer_.Add("wait", item, begin - Nanoseconds(waited), end);
  if (given_) {
    stats_.AddConsumer(std::max(0.0, Seconds(begin - *given_) - waited));
    if (tracer_.Sampled(given_item_))
      tracer_.Add("consume", given_item_, *given_, begin - Nanoseconds(waited));
  }
  given_item_ = item;
  stats_.AddRows(batch.rows);
  stats_.AddNans(slot->nans);
  given_ = Clock::now();
  return batch;
}

}  // namespace strop::feed
