#include "strop/feed/transforms/wordpiece.h"

#include <algorithm>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/feed/transforms/unicode.h"

namespace strop::feed {
namespace {

constexpr int64_t kMaxWord = 200;

bool StartsCharacter(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) != 0x80; }

}  // namespace

Vocabulary Vocabulary::Read(const std::filesystem::path& path) {
  const std::string text = ReadFile(path);
  std::vector<std::string> tokens;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string token = text.substr(at, end - at);
    if (token.ends_with('\r')) token.pop_back();
    tokens.push_back(std::move(token));
    at = end + 1;
  }
  if (tokens.empty()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("vocabulary {}: the file is empty: expected a token a line", path.string()));
  }
  return Vocabulary(tokens);
}

// A token that stands twice has its last number, as in the reference.
Vocabulary::Vocabulary(const std::vector<std::string>& tokens) {
  ids_.reserve(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) ids_.insert_or_assign(tokens[i], static_cast<int32_t>(i));
}

int32_t Vocabulary::Find(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? -1 : found->second;
}

std::vector<std::string> BasicTokens(std::string_view text, bool lowercase) {
  std::vector<std::string> words;
  bool open = false;  // the last word may grow
  std::u32string folded;
  for (const char32_t original : DecodeUtf8(text)) {
    if (original == 0 || original == 0xfffd || IsControl(original)) continue;
    folded.clear();
    if (lowercase) {
      AppendFolded(original, folded);
    } else {
      folded += original;
    }
    for (const char32_t code : folded) {
      if (IsBlank(code)) {
        open = false;
        continue;
      }
      const bool alone = IsPunctuation(code) || IsIdeograph(code);
      if (!open || alone) words.emplace_back();
      AppendUtf8(code, words.back());
      open = !alone;
    }
  }
  return words;
}

void AppendPieces(const Vocabulary& vocabulary, std::string_view word, int32_t unknown,
                  std::vector<int32_t>& ids) {
  const size_t before = ids.size();
  const auto fail = [&] {
    ids.resize(before);
    ids.push_back(unknown);
  };
  if (std::count_if(word.begin(), word.end(), StartsCharacter) > kMaxWord) return fail();
  std::string piece;
  for (size_t at = 0; at < word.size();) {
    piece = at > 0 ? "##" : "";
    const size_t prefix = piece.size();
    piece += word.substr(at);
    int32_t id = vocabulary.Find(piece);
    while (id < 0 && piece.size() > prefix + 1) {
      do {
        piece.pop_back();
      } while (piece.size() > prefix && !StartsCharacter(word[at + piece.size() - prefix]));
      if (piece.size() > prefix) id = vocabulary.Find(piece);
    }
    if (id < 0) return fail();
    ids.push_back(id);
    at += piece.size() - prefix;
  }
}

}  // namespace strop::feed
