#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "strop/base/api.h"

namespace strop {

// Whole file as bytes. Throws kNotFound or kIo naming the path.
STROP_API std::string ReadFile(const std::filesystem::path& path);

// Writes beside the target, syncs, renames over it and syncs the folder: after a crash the target holds
// either the old bytes or the new ones. Makes missing parent folders. Throws kIo.
STROP_API void WriteFileAtomically(const std::filesystem::path& path, std::string_view bytes);

// The same for a file that something else writes: fill(temporary path), then sync and rename.
template <class Fill>
void ReplaceFileAtomically(const std::filesystem::path& path, Fill fill);

// For ReplaceFileAtomically: where the bytes wait, and what makes them the file.
STROP_API std::filesystem::path TemporaryBeside(const std::filesystem::path& path);
STROP_API void CommitFile(const std::filesystem::path& temporary, const std::filesystem::path& path);

template <class Fill>
void ReplaceFileAtomically(const std::filesystem::path& path, Fill fill) {
  const std::filesystem::path temporary = TemporaryBeside(path);
  try {
    fill(temporary);
    CommitFile(temporary, path);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw;
  }
}

// 128-bit XXH3 of the bytes as 32 hex digits: names content (model hash, plan key). Not for security.
STROP_API std::string HashHex(std::string_view bytes);

}  // namespace strop
