#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/test_folder.h"
#include "strop/feed/transforms/test_rows.h"
#include "strop/feed/transforms/unicode.h"
#include "strop/feed/transforms/wordpiece.h"

namespace strop::feed {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Cases marked BERT are those of google-research/bert, tokenization_test.py.

TEST(BasicTokensTest, SplitsAsBert) {
  EXPECT_THAT(BasicTokens("ah\u535A\u63A8zz", true), ElementsAre("ah", "\u535A", "\u63A8", "zz"));
  EXPECT_THAT(BasicTokens(" \tHeLLo!how  \n Are yoU?  ", true),
              ElementsAre("hello", "!", "how", "are", "you", "?"));
  EXPECT_THAT(BasicTokens("H\u00E9llo", true), ElementsAre("hello"));
  EXPECT_THAT(BasicTokens(" \tHeLLo!how  \n Are yoU?  ", false),
              ElementsAre("HeLLo", "!", "how", "Are", "yoU", "?"));
}

TEST(BasicTokensTest, AccentsGoWithLowerCaseOnly) {
  EXPECT_THAT(BasicTokens("\u00C5ngstr\u00F6m \u0141\u00F3d\u017A e\u0301t\u00E9", true),
              ElementsAre("angstrom", "\u0142odz", "ete"));
  EXPECT_THAT(BasicTokens("\u0388\u03BB \u0419\u043E\u0433 \u1EA4 \u0130", true),
              ElementsAre("\u03B5\u03BB", "\u0438\u043E\u0433", "a", "i"));
  EXPECT_THAT(BasicTokens("\u00C9t\u00E9", false), ElementsAre("\u00C9t\u00E9"));
  EXPECT_THAT(BasicTokens("\uAC01", true), ElementsAre("\u1100\u1161\u11A8"));  // Hangul, as NFD has it
}

TEST(BasicTokensTest, ControlCharactersAndBrokenUtf8VanishAsInBert) {
  EXPECT_THAT(BasicTokens(std::string_view("a\0b\x05"
                                           "c\xff"
                                           "d\xe2\x82",
                                           9),
                          true),
              ElementsAre("abcd"));
  EXPECT_THAT(BasicTokens("a\u00A0b\u3000c\u200Bd", true), ElementsAre("a", "b", "cd"));
  EXPECT_TRUE(BasicTokens("", true).empty());
}

TEST(UnicodeTest, KindsAreThoseOfBert) {
  for (const char32_t code : U" \t\r\n\u00A0") EXPECT_EQ(IsBlank(code), code != 0);
  for (const char32_t code : {U'A', U'-'}) EXPECT_FALSE(IsBlank(code));
  EXPECT_TRUE(IsControl(5));
  for (const char32_t code : {U'A', U' ', U'\t', U'\r', U'\U0001F4A9'}) EXPECT_FALSE(IsControl(code));
  for (const char32_t code : {U'-', U'$', U'`', U'.', U'\u2014', U'\u3002'}) EXPECT_TRUE(IsPunctuation(code));
  for (const char32_t code : {U'A', U' ', U'\u00E9'}) EXPECT_FALSE(IsPunctuation(code));
  EXPECT_TRUE(IsIdeograph(U'\u4E2D'));
  EXPECT_FALSE(IsIdeograph(U'\u3042'));
}

TEST(UnicodeTest, BrokenSequencesBecomeOneMarkForEachMaximalPart) {
  // Unicode 14, table 3-8 and the text around it.
  EXPECT_EQ(DecodeUtf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), U"\uFFFD\uFFFD\uFFFD\uFFFD\u0041");
  EXPECT_EQ(DecodeUtf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"),
            U"\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\u0041");
  EXPECT_EQ(DecodeUtf8("\xED\xA0\x80"), U"\uFFFD\uFFFD\uFFFD");
}

TEST(UnicodeTest, EveryCodePointComesBack) {
  for (char32_t code = 0; code < 0x110000; code += code < 0x3000 ? 1 : 37) {
    if (code >= 0xd800 && code < 0xe000) continue;
    std::string text;
    AppendUtf8(code, text);
    ASSERT_EQ(DecodeUtf8(text), std::u32string(1, code));
  }
}

const std::vector<std::string> kBert = {"[UNK]", "[CLS]", "[SEP]", "want",  "##want", "##ed",
                                        "wa",    "un",    "runn",  "##ing", ","};

std::vector<int32_t> Pieces(const std::vector<std::string>& vocabulary, const std::string& text) {
  std::vector<int32_t> ids;
  for (const std::string& word : BasicTokens(text, true)) AppendPieces(Vocabulary(vocabulary), word, 0, ids);
  return ids;
}

TEST(WordpieceTest, SplitsAsBert) {
  EXPECT_THAT(Pieces(kBert, ""), ElementsAre());
  EXPECT_THAT(Pieces(kBert, "unwanted running"), ElementsAre(7, 4, 5, 8, 9));
  EXPECT_THAT(Pieces(kBert, "unwantedX running"), ElementsAre(0, 8, 9));
  EXPECT_THAT(Pieces(kBert, "UNwant\u00E9d,running"), ElementsAre(7, 4, 5, 10, 8, 9));
  // The example of WordpieceTokenizer.tokenize: unaffable -> un ##aff ##able.
  EXPECT_THAT(Pieces({"[UNK]", "un", "##aff", "##able", "u", "##a"}, "unaffable"), ElementsAre(1, 2, 3));
}

TEST(WordpieceTest, CutsBetweenCharactersAndGivesUpOnLongWords) {
  EXPECT_THAT(Pieces({"[UNK]", "\u00DF", "##\u00DF"}, "\u00DF\u00DF\u00DF"), ElementsAre(1, 2, 2));
  EXPECT_THAT(Pieces({"[UNK]", "a"}, "a\u00DF"), ElementsAre(0));
  EXPECT_EQ(Pieces({"[UNK]", "a", "##a"}, std::string(200, 'a')).size(), 200u);
  EXPECT_THAT(Pieces({"[UNK]", "a", "##a"}, std::string(201, 'a')), ElementsAre(0));
}

class TokeniseTest : public testing::Test {
 protected:
  std::string Write(const std::vector<std::string>& tokens, const std::string& end = "\n") {
    const auto path = folder_.path() / "vocabulary.txt";
    std::ofstream file(path, std::ios::binary);
    for (const std::string& token : tokens) file << token << end;
    return path.string();
  }
  static std::string Spec(const std::string& path, const std::string& options) {
    return R"([{"column":"x","name":"tokenise","vocabulary":")" + path + "\"," + options + "}]";
  }
  static std::vector<int32_t> Tokens(const std::string& spec, const std::string& text) {
    return RunRow<int32_t>(Chain(DType::kU8, {-1}, spec), Bytes(text));
  }

  TestFolder folder_;
};

TEST_F(TokeniseTest, AddsTheSpecialTokensPadsAndCuts) {
  for (const char* end : {"\n", "\r\n"}) {
    std::vector<std::string> tokens = kBert;
    tokens.push_back("[PAD]");
    const std::string path = Write(tokens, end);
    EXPECT_THAT(Tokens(Spec(path, R"("length":8)"), "unwanted running"),
                ElementsAre(1, 7, 4, 5, 8, 9, 2, 11));
    EXPECT_THAT(Tokens(Spec(path, R"("length":4)"), "unwanted running"), ElementsAre(1, 7, 4, 2));
    EXPECT_THAT(Tokens(Spec(path, R"("length":3,"add_special":false,"pad_id":-7)"), "runn"),
                ElementsAre(8, -7, -7));
    EXPECT_THAT(Tokens(Spec(path, R"("length":2)"), "runn"), ElementsAre(1, 2));
  }
}

TEST_F(TokeniseTest, WordsAreLookedUpWhole) {
  const std::string path = Write({"<pad>", "<unk>", "good", "film", "Good"});
  const std::string options = R"("kind":"words","length":4,"pad_id":0,"unknown":"<unk>")";
  EXPECT_THAT(Tokens(Spec(path, options), "Good bad film"), ElementsAre(2, 1, 3, 0));
  EXPECT_THAT(Tokens(Spec(path, options + R"(,"lowercase":false)"), "Good bad film"),
              ElementsAre(4, 1, 3, 0));
}

TEST_F(TokeniseTest, SaysWhichFileOrTokenIsMissing) {
  const std::string absent = (folder_.path() / "absent.txt").string();
  const Error missing = Thrown([&] { Tokens(Spec(absent, R"("length":4)"), ""); });
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_THAT(missing.what(), HasSubstr("column x: transform tokenise: option vocabulary: "));
  EXPECT_THAT(missing.what(), HasSubstr(absent));
  EXPECT_THAT(Thrown([&] { Tokens(Spec(Write({}), R"("length":4)"), ""); }).what(),
              HasSubstr("the file is empty"));
  const std::string path = Write({"a", "[UNK]"});
  EXPECT_THAT(Thrown([&] { Tokens(Spec(path, R"("length":4)"), ""); }).what(),
              HasSubstr("option add_special is missing: expected [CLS] in " + path + ", or false"));
  EXPECT_THAT(Thrown([&] { Tokens(Spec(path, R"("length":4,"add_special":false)"), ""); }).what(),
              HasSubstr("option pad_id is missing: expected [PAD] in " + path));
  EXPECT_THAT(Thrown([&] { Tokens(Spec(path, R"("length":4,"unknown":"<u>")"), ""); }).what(),
              HasSubstr("option unknown = \"<u>\": expected <u> in " + path));
}

TEST_F(TokeniseTest, RandomBytesNeverCrash) {
  const TransformChain chain = Chain(
      DType::kU8, {-1}, Spec(Write({"[UNK]", "a", "##b"}), R"("length":9,"add_special":false,"pad_id":0)"));
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const auto row = Noise(1, 1, static_cast<int64_t>(seed % 64), seed);
    for (const int32_t id : RunRow<int32_t>(
             chain, Bytes({reinterpret_cast<const char*>(row.values.data()), row.values.size()}))) {
      ASSERT_TRUE(id >= 0 && id < 3);
    }
  }
}

}  // namespace
}  // namespace strop::feed
