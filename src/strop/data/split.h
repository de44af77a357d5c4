#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "strop/base/api.h"

namespace strop::data {

// Deals the rows of `source` into named splits that never overlap: row r goes where the r-th uniform draw of
// (seed, "split") falls among the cumulated shares, so a split does not depend on file layout or thread
// count. Writes DIRECTORY/<name>.parquet and DIRECTORY/splits.json (source, seed, shares, row counts, and a
// hash of the source's schema and of its files' names, sizes and times of change); when splits.json already
// says the same and the files are there, writes nothing. Answers name -> file. Throws kInvalidArgument when
// shares do not sum to 1 within 1e-9, or a split would be empty.
STROP_API std::map<std::string, std::filesystem::path> WriteSplits(
    const std::string& source, const std::map<std::string, double>& shares, uint64_t seed,
    const std::filesystem::path& directory);

}  // namespace strop::data
