#include <algorithm>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/feed/transforms/options.h"
#include "strop/feed/transforms/registry.h"
#include "strop/feed/transforms/wordpiece.h"

namespace strop::feed {
namespace {

struct TokeniseOptions {
  bool pieces = true;
  bool lowercase = true;
  bool special = true;
  int64_t length = 0;
  int32_t unknown = 0, pad = 0, start = 0, end = 0;  // numbers of the tokens
};

class Tokenise final : public Transform {
 public:
  Tokenise(Vocabulary vocabulary, const TokeniseOptions& options)
      : vocabulary_(std::move(vocabulary)), options_(options) {}

  data::Column Plan(const data::Column& in) override {
    if (in.dtype != DType::kU8 || in.shape.size() != 1) RefuseInput(in, "the bytes of a text, uint8 [?]");
    data::Column out = in;
    out.dtype = DType::kI32;
    out.shape = {options_.length};
    return out;
  }

  void Apply(const RowValue& in, uint64_t /*key*/, RowOut& out) const override {
    const std::string_view text(reinterpret_cast<const char*>(in.data), static_cast<size_t>(in.shape[0]));
    thread_local std::vector<int32_t> ids;
    ids.clear();
    const auto room = static_cast<size_t>(options_.length) - (options_.special ? 2 : 0);
    if (options_.special) ids.push_back(options_.start);
    const size_t limit = room + ids.size();
    for (const std::string& word : BasicTokens(text, options_.lowercase)) {
      if (ids.size() >= limit) break;
      Append(word, ids);
    }
    ids.resize(std::min(ids.size(), limit));
    if (options_.special) ids.push_back(options_.end);
    auto* to = reinterpret_cast<int32_t*>(out.Take(DType::kI32, {options_.length}));
    std::fill(std::copy(ids.begin(), ids.end(), to), to + options_.length, options_.pad);
  }

 private:
  void Append(const std::string& word, std::vector<int32_t>& ids) const {
    if (options_.pieces) return AppendPieces(vocabulary_, word, options_.unknown, ids);
    const int32_t id = vocabulary_.Find(word);
    ids.push_back(id < 0 ? options_.unknown : id);
  }

  Vocabulary vocabulary_;
  TokeniseOptions options_;
};

}  // namespace

std::unique_ptr<Transform> MakeTokenise(const TransformSpec& spec) {
  const Options options(spec,
                        {"vocabulary", "kind", "lowercase", "length", "pad_id", "unknown", "add_special"});
  TokeniseOptions wanted;
  wanted.pieces = options.OneOf("kind", {"wordpiece", "words"}, "wordpiece") == "wordpiece";
  wanted.lowercase = options.Flag("lowercase", true);
  wanted.special = options.Flag("add_special", wanted.pieces);
  wanted.length = options.Whole("length", wanted.special ? 2 : 1, 1 << 24);
  const std::string unknown = options.Text("unknown", "[UNK]");
  const std::string path = options.Text("vocabulary");
  const Vocabulary vocabulary = [&] {
    try {
      return Vocabulary::Read(path);
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("column {}: transform {}: option vocabulary: {}", spec.column,
                                            spec.name, error.what()));
    }
  }();
  const auto find = [&](const std::string& token, const char* option, const std::string& remedy) {
    const int32_t id = vocabulary.Find(token);
    if (id < 0) options.Refuse(option, fmt::format("{} in {}, {}", token, path, remedy));
    return id;
  };
  wanted.unknown = find(unknown, "unknown", "or the name of another token there for unknown words");
  if (wanted.special) {
    wanted.start = find("[CLS]", "add_special", "or false");
    wanted.end = find("[SEP]", "add_special", "or false");
  }
  wanted.pad = options.Has("pad_id") ? static_cast<int32_t>(options.Whole("pad_id", INT32_MIN, INT32_MAX))
                                     : find("[PAD]", "pad_id", "or a whole number");
  return std::make_unique<Tokenise>(vocabulary, wanted);
}

}  // namespace strop::feed
