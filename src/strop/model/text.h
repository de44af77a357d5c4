#pragma once

#include <string>
#include <string_view>

namespace strop::model {

// Whether the bytes are UTF-8 without control characters: what a name must be for a one-line message to hold
// it.
bool IsText(std::string_view bytes) noexcept;

// The bytes with '?' for each that is not part of such text.
std::string Printable(std::string_view bytes);

}  // namespace strop::model
