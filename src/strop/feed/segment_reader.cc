#include "strop/feed/segment_reader.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include <spdlog/logger.h>

#include "strop/base/error.h"
#include "strop/base/log.h"
#include "strop/feed/kept_chunk.h"

namespace strop::feed {

SegmentReader::SegmentReader(std::shared_ptr<const Source> source, int64_t batch_size, OnError on_error,
                             int64_t slice_bytes)
    : source_(std::move(source)), batch_size_(batch_size), on_error_(on_error), slice_bytes_(slice_bytes) {}

SegmentReader::Spent SegmentReader::Read(const OpenWindow& window, size_t segment) {
  using Clock = std::chrono::steady_clock;
  spent_ = {};
  const auto begin = Clock::now();
  try {
    if (!reader_) reader_ = source_->NewReader(slice_bytes_);
    if (window.order->line().global()) {
      ReadRows(window, segment);
    } else {
      ReadChunk(window, segment);
    }
  } catch (...) {
    reader_.reset();  // whatever state it is in
    throw;
  }
  const double total = std::chrono::duration<double>(Clock::now() - begin).count();
  spent_.read = reader_->TakeReadSeconds();
  spent_.decode = std::max(0.0, total - spent_.read - spent_.copy);
  return spent_;
}

void SegmentReader::ReadChunk(const OpenWindow& window, size_t segment) {
  const Segment& part = window.line->segments[segment];
  const int64_t offset = window.offsets[segment];
  const uint32_t* const destinations =
      window.destinations.empty() ? nullptr : window.destinations.data() + offset;
  Scatter scatter(window, {part.begin, part.end, offset, destinations}, batch_size_, source_->columns(),
                  targets_);
  if (on_error_ == OnError::kSkip) {
    numbers_.resize(static_cast<size_t>(part.rows()));
    std::iota(numbers_.begin(), numbers_.end(), part.begin);
  }
  ReadOrSubstitute(part.chunk, numbers_, part.begin, scatter, [&] {
    if (on_error_ == OnError::kStop) return reader_->Read(part.chunk, scatter);
    if (reader_->ReadAround(part.chunk, scatter) > 0) ++spent_.skipped;
  });
}

void SegmentReader::ReadRows(const OpenWindow& window, size_t segment) {
  const Segment& places = window.line->segments[segment];
  const int64_t begin = std::max(places.begin, window.copy_begin - window.window.first);
  const int64_t end = std::min(places.end, window.copy_end - window.window.first);
  if (begin >= end) return;
  const auto rows = window.order->line().Rows(window.window.line, begin, end);
  for (size_t first = 0, next = 0; first < rows.size(); first = next) {
    const int64_t chunk = rows[first].chunk;
    numbers_.clear();
    destinations_.clear();
    for (next = first; next < rows.size() && rows[next].chunk == chunk; ++next) {
      numbers_.push_back(rows[next].row);
      destinations_.push_back(rows[next].destination);
    }
    Scatter scatter(window, {0, static_cast<int64_t>(numbers_.size()), 0, destinations_.data()}, batch_size_,
                    source_->columns(), targets_);
    ReadOrSubstitute(chunk, numbers_, 0, scatter, [&] { reader_->ReadRows(chunk, numbers_, scatter); });
  }
}

template <class F>
void SegmentReader::ReadOrSubstitute(int64_t chunk, const std::vector<int64_t>& numbers, int64_t first,
                                     Scatter& scatter, F read) {
  try {
    read();
  } catch (const Error& error) {
    // A service that is away is not a row group that is lost.
    const bool lost =
        error.code() == Code::kCorrupt || error.code() == Code::kInvalidArgument || error.code() == Code::kIo;
    if (on_error_ == OnError::kStop || !lost) throw;
    Substitute(chunk, numbers, first, scatter, std::current_exception());
  }
  spent_.copy += scatter.seconds();
}

// The substitute is the next chunk of the source, going round, that can be read: whether one can is a
// property of the file, so every run and every rank chooses the same. Row i of the lost chunk becomes row i
// modulo its rows.
void SegmentReader::Substitute(int64_t chunk, const std::vector<int64_t>& numbers, int64_t first,
                               Scatter& scatter, const std::exception_ptr& error) {
  const auto& chunk_rows = source_->chunk_rows();
  const auto& columns = source_->columns();
  const auto chunks = static_cast<int64_t>(chunk_rows.size());
  for (int64_t step = 1; step < chunks; ++step) {
    const int64_t other = (chunk + step) % chunks;
    const int64_t rows = chunk_rows[static_cast<size_t>(other)];
    if (rows == 0) continue;
    KeptChunk kept(columns, rows);
    try {
      reader_->Read(other, kept);
    } catch (const Error&) {
      continue;
    }
    for (size_t c = 0; c < columns.size(); ++c) {
      for (size_t i = 0; i < numbers.size(); ++i)
        kept.Give(c, numbers[i] % rows, first + static_cast<int64_t>(i), scatter);
    }
    ++spent_.skipped;
    try {
      std::rethrow_exception(error);
    } catch (const Error& cause) {
      Log("feed").warn("row group {} is replaced by {}: {}", chunk, other, cause.what());
    }
    return;
  }
  std::rethrow_exception(error);
}

}  // namespace strop::feed
