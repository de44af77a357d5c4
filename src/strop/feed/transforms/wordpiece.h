#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "strop/base/api.h"

namespace strop::feed {

// Tokens and their numbers: the lines of a text file, from 0.
class STROP_API Vocabulary {
 public:
  // Throws kNotFound or kIo naming the file, kInvalidArgument when it holds no token.
  static Vocabulary Read(const std::filesystem::path& path);
  explicit Vocabulary(const std::vector<std::string>& tokens);

  // -1 for a token that is not there.
  int32_t Find(std::string_view token) const;
  size_t size() const noexcept { return ids_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> ids_;
};

// The words of a text as BERT's BasicTokenizer finds them (google-research/bert, tokenization.py): control
// characters and U+FFFD left out, split at blanks, every punctuation mark and ideograph a word; lower-cased
// without accents when `lowercase`. Answers UTF-8.
STROP_API std::vector<std::string> BasicTokens(std::string_view text, bool lowercase);

// Appends the pieces of one word, greedily the longest first, all but the first spelt "##piece" (Devlin et
// al., "BERT", 2018, section 3; tokenization.py, WordpieceTokenizer); `unknown` for a word that cannot be
// made of pieces, or of more than 200 characters.
STROP_API void AppendPieces(const Vocabulary& vocabulary, std::string_view word, int32_t unknown,
                            std::vector<int32_t>& ids);

}  // namespace strop::feed
