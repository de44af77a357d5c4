#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <vector>

#include "strop/feed/order.h"
#include "strop/feed/ragged.h"

namespace strop::feed {

// The memory of a batch while readers fill it.
struct BatchSlot {
  explicit BatchSlot(size_t columns) : memory(columns), ragged(columns), nans(columns) {}

  int64_t rows = 0;
  std::vector<std::shared_ptr<void>> memory;        // one block a dense column
  std::vector<std::unique_ptr<RaggedRows>> ragged;  // of a ragged one
  std::vector<std::atomic<int64_t>> nans;           // among the values of each column
};

// A window whose rows are being read, and where they go. Down to copy_end its members do not change once it
// is open; the others are guarded by its pipeline's lock.
struct OpenWindow {
  std::shared_ptr<const EpochOrder> order;
  Window window;
  const LineWindow* line = nullptr;
  uint64_t key = 0;  // of the epoch; a row's is drawn from it by its position in the line
  std::vector<uint32_t> destinations;
  std::vector<int64_t> offsets;  // of each segment's first row within the window
  int64_t first_batch = 0;
  std::vector<std::shared_ptr<BatchSlot>> slots;
  std::vector<uint8_t*> blocks;  // of the slots' memory, column by column
  int64_t copy_begin = 0;        // positions outside [copy_begin, copy_end) are decoded and left out
  int64_t copy_end = 0;

  uint8_t* block(size_t column, size_t slot) const { return blocks[column * slots.size() + slot]; }

  size_t next_segment = 0;
  size_t unresolved = 0;
  std::exception_ptr error;  // of the first segment that failed
  size_t error_segment = 0;
};

}  // namespace strop::feed
