#pragma once

#include <string>

#include "strop/base/api.h"
#include "strop/compress/compress.h"
#include "strop/compress/latency.h"

namespace strop::compress {

// What the report says besides the result.
struct STROP_API ReportFacts {
  std::string model;  // file names
  std::string output;
  int64_t bytes_before = 0;
  int64_t bytes_after = 0;
  int64_t batch = 1;  // of the latency
  int threads = 0;
  std::string cpu;
  double max_drop = 0;
  Latency latency;
};

// One HTML page that needs nothing else: the outcome, every layer with its bits and sensitivity, every
// attempt.
STROP_API std::string ReportHtml(const CompressResult& result, const ReportFacts& facts);

}  // namespace strop::compress
