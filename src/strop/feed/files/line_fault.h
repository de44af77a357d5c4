#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include <arrow/status.h>

#include "strop/feed/files/line_format.h"
#include "strop/feed/files/line_index.h"

namespace strop::feed {

// Throws kCorrupt for rows that cannot be parsed, naming the first of them: file, line, byte and text.
// `parse` says of any run of rows what is wrong with it; `remedy` ends the message.
[[noreturn]] void ThrowFault(const std::filesystem::path& path, const LineFormat& format,
                             const LineChunk& chunk, std::string_view text,
                             const std::function<arrow::Status(std::string_view)>& parse,
                             std::string_view remedy);

// What of a row fits an error message: one line, printable.
std::string Excerpt(std::string_view text);

}  // namespace strop::feed
