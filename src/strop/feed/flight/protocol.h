#pragma once

// What the service and its client agree on. Everything else is plain Arrow Flight, so any client can read.
//
// GetFlightInfo(path [NAME]) answers the schema of the columns with a dense form, the number of rows, one
// endpoint that streams the source in its own order, and app_metadata {"version": 1, "chunk_rows": [rows of
// each row group]}. A ticket is JSON: {"source": NAME} and optionally
//   "columns": [NAME, …]       a projection
//   "chunk": i                 only that row group
//   "order": {"epoch", "seed", "shuffle", "window", "batch_size", "rank", "world_size", "uneven",
//   "drop_last"}
//                              an epoch in a loader's order, a record batch a batch; what is left out is as
//                              in Loader

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <arrow/flight/types.h>

#include "strop/base/api.h"
#include "strop/base/error.h"
#include "strop/feed/loader.h"

namespace strop::feed::flight {

struct STROP_API TicketContent {
  std::string source;
  std::vector<std::string> columns;
  std::optional<int64_t> chunk;
  std::optional<LoaderOptions> order;
  uint64_t epoch = 0;

  std::string ToJson() const;                              // without `order`, which foreign clients write
  static TicketContent FromJson(const std::string& json);  // throws kInvalidArgument
};

std::string LayoutJson(const std::vector<int64_t>& chunk_rows);
std::vector<int64_t> ParseLayout(const std::string& json, const std::string& where);  // throws kUnsupported

// An error on its way over the wire, and back. The code survives it.
arrow::Status ToStatus(const Error& error);
void CheckFlight(const arrow::Status& status, const std::string& what);

}  // namespace strop::feed::flight
