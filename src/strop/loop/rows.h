#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "strop/base/api.h"

namespace strop::loop {

// Joins rows for retraining: all of `labelled`, and `replay_ratio` times as many of `replay` (one run of rows
// from a seeded start, so that what was known is not forgotten). Columns: those named. Writes `out`
// atomically; answers its rows. Throws kInvalidArgument when `labelled` holds no rows.
STROP_API int64_t MixRows(const std::filesystem::path& labelled, const std::filesystem::path& replay,
                          double replay_ratio, const std::vector<std::string>& columns, uint64_t seed,
                          const std::filesystem::path& out);

// Parts labelled rows in two: the first `validation` rows of the uniform share are for validation, the others
// for training, so that the two never overlap and validation stays an unbiased sample. `labelled` is what
// `strop label export` writes (a column `reason`).
struct STROP_API LabelledRows {
  int64_t train = 0;
  int64_t validation = 0;
};
STROP_API LabelledRows PartLabelled(const std::filesystem::path& labelled, int64_t validation,
                                    const std::filesystem::path& train_out,
                                    const std::filesystem::path& validation_out);

}  // namespace strop::loop
