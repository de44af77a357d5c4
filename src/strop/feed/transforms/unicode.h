#pragma once

#include <string>
#include <string_view>

#include "strop/base/api.h"

namespace strop::feed {

// The code points of UTF-8; each maximal part of an invalid sequence becomes one U+FFFD (Unicode 14,
// section 3.9).
STROP_API std::u32string DecodeUtf8(std::string_view text);
STROP_API void AppendUtf8(char32_t code, std::string& text);

// Unicode 14 general categories: Zs and ASCII blanks; Cc and Cf but those blanks; P and all ASCII symbols
// (BERT counts
// "$" and "^" too).
STROP_API bool IsBlank(char32_t code) noexcept;
STROP_API bool IsControl(char32_t code) noexcept;
STROP_API bool IsPunctuation(char32_t code) noexcept;
// Ideographs that BERT makes words of their own. Not kana, nor Hangul.
STROP_API bool IsIdeograph(char32_t code) noexcept;

// Appends the lower case of `code` without its accents: nothing for a combining mark (Mn), the parts of a
// Hangul syllable (canonical decomposition). Of letters, Latin, Greek, Cyrillic, kana and fullwidth Latin are
// folded; others stay.
STROP_API void AppendFolded(char32_t code, std::u32string& text);

}  // namespace strop::feed
