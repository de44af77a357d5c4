#pragma once

#include <filesystem>
#include <string>

#include "strop/base/api.h"
#include "strop/data/quality.h"

namespace strop::loop {

// Whether a candidate may replace the champion, and why.
struct STROP_API Decision {
  bool promote = false;
  data::PairedResult result;
  std::string evidence_json;  // metric, both values, gain, interval, rows, guardrail, decision, reason
};

// Compares two files of predictions (Parquet of `strop infer --keep LABEL`) of the same rows in the same
// order. Promotes when the bad end of the 95% paired interval of the gain is at least -guardrail. `output`
// names the predictions' column. Throws kInvalidArgument when the labels of the two files differ.
STROP_API Decision Compare(const std::filesystem::path& champion, const std::filesystem::path& candidate,
                           const std::string& label, const std::string& metric, double guardrail);

}  // namespace strop::loop
