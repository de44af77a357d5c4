#pragma once

#include <filesystem>
#include <string_view>

#include "strop/feed/files/line_index.h"

namespace strop::feed {

// `index.stamp` says of which state of the file; false: there is none. The rest is as LoadIndex and
// StoreIndex.
bool LoadLineIndex(const std::filesystem::path& path, std::string_view kind, LineIndex& index) noexcept;
void StoreLineIndex(const std::filesystem::path& path, std::string_view kind,
                    const LineIndex& index) noexcept;

}  // namespace strop::feed
