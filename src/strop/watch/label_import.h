#pragma once

#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/watch/label_queue.h"

namespace strop::watch {

// Labels out of Parquet, Arrow IPC or CSV (by the ending .csv), one a row: the columns `key` and `label`.
// Throws kNotFound, kCorrupt, kInvalidArgument naming a column that is not there or a row whose key or label
// is missing.
STROP_API std::vector<Label> ReadLabels(const std::string& file, const std::string& key,
                                        const std::string& label);

}  // namespace strop::watch
