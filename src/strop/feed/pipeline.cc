#include "strop/feed/pipeline.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <spdlog/logger.h>

#include "strop/base/error.h"
#include "strop/base/log.h"
#include "strop/base/threads.h"

namespace strop::feed {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

size_t RowBytes(const std::vector<data::Column>& columns) {
  size_t bytes = 0;
  for (const auto& column : columns) bytes += column.row_bytes();
  return bytes;
}

size_t OpenWindows(const Pipeline::Options& options) {
  const int segments = options.order.shuffle ? options.order.window : 1;
  return 1 + static_cast<size_t>((2 * options.workers + segments - 1) / segments);
}

// Idle memory kept: what the open windows and the consumer's own batches go round with.
size_t IdleLimit(const Source& source, const Pipeline::Options& options) {
  const auto& chunks = source.chunk_rows();
  const int64_t largest = chunks.empty() ? 0 : *std::max_element(chunks.begin(), chunks.end());
  const int64_t window = options.order.shuffle ? options.order.window : 1;
  const int64_t rows = static_cast<int64_t>(OpenWindows(options) + 1) * window * largest +
                       options.prefetch_rows + 8 * options.order.batch_size;
  return static_cast<size_t>(std::min(rows, options.order.total_rows() + options.order.batch_size)) *
         RowBytes(source.columns());
}

}  // namespace

struct Pipeline::Slot {
  int64_t rows = 0;
  std::vector<std::shared_ptr<void>> memory;  // one block a column
};

struct Pipeline::OpenWindow {
  std::shared_ptr<const EpochOrder> order;
  int64_t first = 0;  // its positions in the rank's epoch
  int64_t end = 0;
  const Window* window = nullptr;
  std::vector<uint32_t> destinations;
  std::vector<int64_t> offsets;  // of each segment's first row within the window
  int64_t first_batch = 0;
  std::vector<std::shared_ptr<Slot>> slots;
  int64_t copy_begin = 0;  // positions outside [copy_begin, copy_end) are decoded and left out
  int64_t copy_end = 0;

  size_t next_segment = 0;
  size_t unresolved = 0;
  std::exception_ptr error;  // of the first segment that failed
  size_t error_segment = 0;
};

// Copies the rows of one segment to their places.
class Pipeline::Scatter final : public RowSink {
 public:
  Scatter(const OpenWindow& window, size_t segment, int64_t batch_size,
          const std::vector<data::Column>& columns)
      : window_(window),
        offset_(window.offsets[segment]),
        segment_(window.window->segments[segment]),
        batch_size_(batch_size),
        columns_(columns) {}

  void Put(size_t column, int64_t row, int64_t count, const uint8_t* values) override {
    const auto begin = Clock::now();
    const size_t bytes = columns_[column].row_bytes();
    const int64_t first = std::max(row, segment_.begin);
    const int64_t end = std::min(row + count, segment_.end);
    if (first < end) {
      Copy(column, offset_ + first - segment_.begin, end - first,
           values + static_cast<size_t>(first - row) * bytes, bytes);
    }
    seconds_ += Seconds(Clock::now() - begin);
  }

  double seconds() const noexcept { return seconds_; }

 private:
  // Rows [at, at + count) of the window, in the order of its segments.
  void Copy(size_t column, int64_t at, int64_t count, const uint8_t* values, size_t bytes) {
    if (window_.destinations.empty()) return CopyRuns(column, at, count, values, bytes);
    switch (bytes) {
      case 1:
        return CopyRows<1>(column, at, count, values, bytes);
      case 2:
        return CopyRows<2>(column, at, count, values, bytes);
      case 4:
        return CopyRows<4>(column, at, count, values, bytes);
      case 8:
        return CopyRows<8>(column, at, count, values, bytes);
      default:
        return CopyRows<0>(column, at, count, values, bytes);
    }
  }

  uint8_t* Block(int64_t batch, size_t column) const {
    return static_cast<uint8_t*>(
        window_.slots[static_cast<size_t>(batch - window_.first_batch)]->memory[column].get());
  }

  // kBytes: the size of a row when it is that of a machine word, so that its copy is one move; else 0.
  template <size_t kBytes>
  void CopyRows(size_t column, int64_t at, int64_t count, const uint8_t* values, size_t bytes) {
    const size_t size = kBytes != 0 ? kBytes : bytes;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t position = window_.first + window_.destinations[static_cast<size_t>(at + i)];
      if (position < window_.copy_begin || position >= window_.copy_end) continue;
      uint8_t* const block = Block(position / batch_size_, column);
      std::memcpy(block + static_cast<size_t>(position % batch_size_) * size,
                  values + static_cast<size_t>(i) * size, size);
    }
  }

  void CopyRuns(size_t column, int64_t at, int64_t count, const uint8_t* values, size_t bytes) {
    const int64_t origin = window_.first + at;
    int64_t position = std::max(origin, window_.copy_begin);
    const int64_t end = std::min(origin + count, window_.copy_end);
    while (position < end) {
      const int64_t batch = position / batch_size_;
      const int64_t stop = std::min(end, (batch + 1) * batch_size_);
      std::memcpy(Block(batch, column) + static_cast<size_t>(position - batch * batch_size_) * bytes,
                  values + static_cast<size_t>(position - origin) * bytes,
                  static_cast<size_t>(stop - position) * bytes);
      position = stop;
    }
  }

  const OpenWindow& window_;
  const int64_t offset_;
  const Segment segment_;
  const int64_t batch_size_;
  const std::vector<data::Column>& columns_;
  double seconds_ = 0;
};

Pipeline::Pipeline(std::shared_ptr<const Source> source, Options options)
    : source_(std::move(source)),
      options_(std::move(options)),
      rank_rows_(RankRows(options_.order.total_rows(), options_.order.rank, options_.order.world_size,
                          options_.order.uneven)),
      batches_(BatchCount(rank_rows_, options_.order.batch_size, options_.order.drop_last)),
      limit_(std::min(rank_rows_, batches_ * options_.order.batch_size)),
      open_windows_(OpenWindows(options_)),
      pool_(BufferPool::Make(IdleLimit(*source_, options_))) {
  Seek(0, 0);
  for (int i = 0; i < options_.workers; ++i) {
    threads_.emplace_back([this, i] { Work(static_cast<size_t>(i)); });
  }
}

Pipeline::~Pipeline() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (auto& thread : threads_) thread.join();
  pool_->Close();
}

void Pipeline::Seek(uint64_t epoch, int64_t batch) {
  // At its end an epoch needs no window: what is opened is the next one's first.
  const bool at_end = batch >= batches_;
  auto order = std::make_shared<const EpochOrder>(options_.order, at_end ? epoch + 1 : epoch);
  const int64_t row = at_end ? 0 : batch * options_.order.batch_size;
  const auto& windows = order->windows();
  size_t window = 0;
  while (window < windows.size() && windows[window].first + windows[window].rows <= row) ++window;
  {
    std::lock_guard lock(mutex_);
    ++generation_;
    windows_.clear();
    tail_.reset();
    next_order_ = std::move(order);
    next_window_ = window;
    start_row_ = row;
    epoch_ = epoch;
    batch_ = batch;
    fatal_ = nullptr;
    given_.reset();
  }
  work_.notify_all();
}

int64_t Pipeline::RowsAhead() const {
  const int64_t given = batch_ * options_.order.batch_size;
  int64_t ahead = 0;
  for (const auto& window : windows_) {
    const bool current = window->order->epoch() == epoch_;
    ahead += std::max<int64_t>(0, window->copy_end - std::max(window->copy_begin, current ? given : 0));
  }
  return ahead;
}

bool Pipeline::MayOpen() const {
  if (opening_ || fatal_ || limit_ == 0) return false;
  return windows_.size() < open_windows_ || RowsAhead() < options_.prefetch_rows;
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
    if (index >= order->windows().size() || order->windows()[index].first >= limit_) {
      order = std::make_shared<const EpochOrder>(options_.order, order->epoch() + 1);
      index = 0;
      start = 0;
      tail.reset();
    }
    opened = std::make_shared<OpenWindow>();
    const Window& window = order->windows()[index];
    opened->order = order;
    opened->window = &window;
    opened->first = window.first;
    opened->end = window.first + window.rows;
    opened->copy_begin = std::max(window.first, start);
    opened->copy_end = std::min(opened->end, limit_);
    opened->destinations = order->Destinations(index);
    opened->unresolved = window.segments.size();
    int64_t offset = 0;
    for (const Segment& segment : window.segments) {
      opened->offsets.push_back(offset);
      offset += segment.rows();
    }
    const int64_t size = options_.order.batch_size;
    opened->first_batch = opened->copy_begin / size;
    for (int64_t batch = opened->first_batch; batch * size < opened->copy_end; ++batch) {
      if (batch == opened->first_batch && tail) {
        opened->slots.push_back(tail);
        continue;
      }
      auto slot = std::make_shared<Slot>();
      slot->rows = std::min(size, limit_ - batch * size);
      for (const auto& column : source_->columns()) {
        slot->memory.push_back(pool_->Take(column.row_bytes() * static_cast<size_t>(size)));
      }
      opened->slots.push_back(std::move(slot));
    }
    tail = opened->copy_end % size != 0 && opened->copy_end < limit_ ? opened->slots.back() : nullptr;
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

std::optional<Pipeline::Task> Pipeline::TakeTask() {
  for (const auto& window : windows_) {
    if (window->next_segment < window->window->segments.size()) return Task{window, window->next_segment++};
  }
  return std::nullopt;
}

void Pipeline::Work(size_t worker) {
  NameThread(fmt::format("strop-feed-{}", worker));
  std::unique_ptr<ChunkReader> reader;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (auto task = TakeTask()) {
      lock.unlock();
      std::exception_ptr error;
      try {
        if (!reader) reader = source_->NewReader();
        Run(*task, *reader);
      } catch (...) {
        error = std::current_exception();
        reader.reset();  // whatever state it is in
      }
      lock.lock();
      OpenWindow& window = *task->window;
      if (error && (!window.error || task->segment < window.error_segment)) {
        window.error = error;
        window.error_segment = task->segment;
      }
      if (--window.unresolved == 0) ready_.notify_all();
    } else if (MayOpen()) {
      OpenNext(lock);
    } else {
      work_.wait(lock);
    }
  }
}

void Pipeline::Run(const Task& task, ChunkReader& reader) {
  const Segment& segment = task.window->window->segments[task.segment];
  Scatter scatter(*task.window, task.segment, options_.order.batch_size, source_->columns());
  const auto begin = Clock::now();
  try {
    reader.Read(segment.chunk, scatter);
  } catch (const Error& error) {
    // A service that is away is not a row group that is lost.
    const bool lost =
        error.code() == Code::kCorrupt || error.code() == Code::kInvalidArgument || error.code() == Code::kIo;
    if (options_.on_error == OnError::kStop || !lost) throw;
    return RunWithSubstitute(task, reader, std::current_exception());
  }
  const double total = Seconds(Clock::now() - begin);
  const double read = reader.TakeReadSeconds();
  stats_.Add(StatsRecorder::kRead, read);
  stats_.Add(StatsRecorder::kCopy, scatter.seconds());
  stats_.Add(StatsRecorder::kDecode, std::max(0.0, total - read - scatter.seconds()));
}

namespace {

// Keeps a whole chunk's rows, so that they can be used more than once.
class Keep final : public RowSink {
 public:
  Keep(const std::vector<data::Column>& columns, int64_t rows) : columns_(columns), bytes_(columns.size()) {
    for (size_t c = 0; c < columns.size(); ++c)
      bytes_[c].resize(columns[c].row_bytes() * static_cast<size_t>(rows));
  }
  void Put(size_t column, int64_t row, int64_t count, const uint8_t* values) override {
    const size_t size = columns_[column].row_bytes();
    std::memcpy(bytes_[column].data() + static_cast<size_t>(row) * size, values,
                static_cast<size_t>(count) * size);
  }
  const uint8_t* rows(size_t column) const { return bytes_[column].data(); }

 private:
  const std::vector<data::Column>& columns_;
  std::vector<std::vector<uint8_t>> bytes_;
};

}  // namespace

// The substitute is the next chunk of the source, going round, that can be read: whether one can is a
// property of the file, so every run and every rank chooses the same. Row i of the lost chunk becomes row i
// modulo its rows.
void Pipeline::RunWithSubstitute(const Task& task, ChunkReader& reader, const std::exception_ptr& error) {
  const OpenWindow& window = *task.window;
  const Segment& segment = window.window->segments[task.segment];
  const auto& chunk_rows = source_->chunk_rows();
  const auto chunks = static_cast<int64_t>(chunk_rows.size());
  const auto& columns = source_->columns();
  for (int64_t step = 1; step < chunks; ++step) {
    const int64_t chunk = (segment.chunk + step) % chunks;
    const int64_t rows = chunk_rows[static_cast<size_t>(chunk)];
    if (rows == 0) continue;
    Keep kept(columns, rows);
    try {
      reader.Read(chunk, kept);
    } catch (const Error&) {
      continue;
    }
    Scatter scatter(window, task.segment, options_.order.batch_size, columns);
    for (size_t c = 0; c < columns.size(); ++c) {
      for (int64_t row = segment.begin; row < segment.end;) {
        const int64_t from = row % rows;
        const int64_t count = std::min(segment.end - row, rows - from);
        scatter.Put(c, row, count, kept.rows(c) + static_cast<size_t>(from) * columns[c].row_bytes());
        row += count;
      }
    }
    stats_.AddSkipped();
    try {
      std::rethrow_exception(error);
    } catch (const Error& cause) {
      Log("feed").warn("row group {} is replaced by {}: {}", segment.chunk, chunk, cause.what());
    }
    return;
  }
  std::rethrow_exception(error);
}

bool Pipeline::Known(std::exception_ptr* error) const {
  if (batch_ >= batches_) return true;
  const int64_t end = std::min((batch_ + 1) * options_.order.batch_size, limit_);
  for (const auto& window : windows_) {
    if (window->unresolved > 0) return false;
    if (window->error) {
      *error = window->error;
      return true;
    }
    if (window->end >= end) return true;
  }
  if (fatal_) *error = fatal_;
  return fatal_ != nullptr;
}

bool Pipeline::Ready(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  std::exception_ptr error;
  const auto known = [&] { return Known(&error); };
  if (known()) return true;
  const auto begin = Clock::now();
  const bool ready = ready_.wait_for(lock, timeout, known);
  waited_ += Seconds(Clock::now() - begin);
  return ready;
}

std::optional<Batch> Pipeline::Next() {
  std::unique_lock lock(mutex_);
  const auto begin = Clock::now();
  std::exception_ptr error;
  ready_.wait(lock, [&] { return Known(&error); });
  const auto end = Clock::now();
  if (error) std::rethrow_exception(error);
  if (batch_ >= batches_) {
    ++epoch_;
    batch_ = 0;
    lock.unlock();
    work_.notify_all();
    return std::nullopt;
  }

  const int64_t size = options_.order.batch_size;
  const auto& window = *windows_.front();
  const std::shared_ptr<Slot> slot = window.slots[static_cast<size_t>(batch_ - window.first_batch)];
  ++batch_;
  bool dropped = false;
  while (!windows_.empty() && windows_.front()->order->epoch() == epoch_ &&
         windows_.front()->copy_end <= std::min(batch_ * size, limit_)) {
    windows_.pop_front();
    dropped = true;
  }
  lock.unlock();
  if (dropped) work_.notify_all();

  Batch batch;
  batch.rows = slot->rows;
  for (size_t c = 0; c < source_->columns().size(); ++c) {
    const data::Column& column = source_->columns()[c];
    Shape shape = column.shape;
    shape.insert(shape.begin(), slot->rows);
    void* const data = slot->memory[c].get();
    batch.tensors.emplace(column.name,
                          Tensor::Wrap(column.dtype, std::move(shape), data, std::move(slot->memory[c])));
  }
  const double waited = std::exchange(waited_, 0);
  stats_.Add(StatsRecorder::kWait, Seconds(end - begin) + waited);
  if (given_) stats_.AddConsumer(std::max(0.0, Seconds(begin - *given_) - waited));
  stats_.AddRows(batch.rows);
  given_ = Clock::now();
  return batch;
}

}  // namespace strop::feed
