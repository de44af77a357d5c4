#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/file.h"
#include "strop/base/test_folder.h"
#include "strop/feed/transforms/test_rows.h"

namespace strop::feed {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Wrong {
  const char* name;
  const char* options;
  const char* says;
};

class OptionErrors : public testing::TestWithParam<Wrong> {};

TEST_P(OptionErrors, NameColumnTransformOptionValueAndWhatIsAccepted) {
  const Wrong& wrong = GetParam();
  const Error error = Thrown([&] { MakeTransform({"x", wrong.name, wrong.options}); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_EQ(std::string(error.what()), std::string("column x: transform ") + wrong.name + ": " + wrong.says);
}

INSTANTIATE_TEST_SUITE_P(
    All, OptionErrors,
    testing::Values(
        Wrong{"flip", R"({"axs":1})", "unknown option axs: expected one of axis, probability"},
        Wrong{"flip", R"({})", R"(option axis is missing: expected one of "horizontal", "vertical")"},
        Wrong{"flip", R"({"axis":"up"})", R"(option axis = "up": expected one of "horizontal", "vertical")"},
        Wrong{"flip", R"({"axis":"vertical","probability":1.5})",
              "option probability = 1.5: expected a number from 0 to 1"},
        Wrong{"flip", R"({"axis":"vertical","probability":"a"})",
              R"(option probability = "a": expected a number from 0 to 1)"},
        Wrong{"flip", R"([1])", "options [1]: expected a JSON object"},
        Wrong{"resize", R"({"width":2})",
              "option height is missing: expected a whole number from 1 to 65500"},
        Wrong{"resize", R"({"height":0,"width":2})",
              "option height = 0: expected a whole number from 1 to 65500"},
        Wrong{"resize", R"({"height":2.5,"width":2})",
              "option height = 2.5: expected a whole number from 1 to 65500"},
        Wrong{"resize", R"({"height":18446744073709551615,"width":2})",
              "option height = 18446744073709551615: expected a whole number from 1 to 65500"},
        Wrong{"resize", R"({"height":2,"width":2,"antialias":1})",
              "option antialias = 1: expected true or false"},
        Wrong{"resize", R"({"height":2,"width":2,"interpolation":"cubic"})",
              R"(option interpolation = "cubic": expected one of "bilinear", "nearest")"},
        Wrong{"crop", R"({"height":2,"width":2,"at":"left"})",
              R"(option at = "left": expected one of "center", "random")"},
        Wrong{"random_resized_crop", R"({"height":2,"width":2,"scale":[0,1]})",
              "option scale = [0,1]: expected [low, high] with 0 < low <= high <= 1"},
        Wrong{"random_resized_crop", R"({"height":2,"width":2,"ratio":[2,1]})",
              "option ratio = [2,1]: expected [low, high] with 0 < low <= high <= 1000"},
        Wrong{"random_resized_crop", R"({"height":2,"width":2,"ratio":1})",
              "option ratio = 1: expected [low, high] with 0 < low <= high <= 1000"},
        Wrong{"normalise", R"({"mean":"a","std":1})",
              R"(option mean = "a": expected a number, or a list of them, one a channel)"},
        Wrong{"normalise", R"({"mean":[],"std":1})",
              "option mean = []: expected a number, or a list of them, one a channel"},
        Wrong{"normalise", R"({"mean":0,"std":[1,0]})",
              "option std = [1,0]: expected a number above 0, or a list of them, one a channel"},
        Wrong{"normalise", R"({"mean":[0,1],"std":[1,2,3]})",
              "option std = [1,2,3]: expected one number, or 2 as mean has"},
        Wrong{"one_hot", R"({"classes":0})",
              "option classes = 0: expected a whole number from 1 to 16777216"},
        Wrong{"pad", R"({"length":-1})", "option length = -1: expected a whole number from 1 to 2147483647"},
        Wrong{"pad", R"({"length":1,"value":"a"})", R"(option value = "a": expected a number)"},
        Wrong{"pad", R"({"length":1,"truncate":"no"})", R"(option truncate = "no": expected true or false)"},
        Wrong{"decode", R"({"mode":"cmyk"})", R"(option mode = "cmyk": expected one of "rgb", "grey")"},
        Wrong{"decode", R"({"height":0})", "option height = 0: expected a whole number from 1 to 65500"},
        Wrong{"tokenise", R"({"length":1,"vocabulary":"v"})",
              "option length = 1: expected a whole number from 2 to 16777216"},
        Wrong{"tokenise", R"({"length":4})",
              "option vocabulary is missing: expected a text that is not empty"},
        Wrong{"tokenise", R"({"length":4,"vocabulary":""})",
              R"(option vocabulary = "": expected a text that is not empty)"},
        Wrong{"tokenise", R"({"length":4,"vocabulary":"v","kind":"bpe"})",
              R"(option kind = "bpe": expected one of "wordpiece", "words")"},
        Wrong{
            "cast", R"({"dtype":"float8"})",
            R"(option dtype = "float8": expected one of "float32", "float64", "float16", "uint8", "int8", "uint16", )"
            R"("int16", "uint32", "int32", "uint64", "int64", "bool")"}));

TEST(MakeTransformTest, ListsTheNames) {
  const Error error = Thrown([] { MakeTransform({"x", "blur", "{}"}); });
  EXPECT_STREQ(
      error.what(),
      "column x: unknown transform blur: expected one of cast, crop, decode, flip, normalise, one_hot, pad, "
      "random_resized_crop, resize, tokenise");
}

TEST(TransformSpecTest, ParsesAListAndKeepsTheOrder) {
  const auto specs = TransformSpec::ParseList(
      R"([{"column":"image","name":"decode"},{"column":"y","name":"one_hot","classes":10}])");
  ASSERT_EQ(specs.size(), 2u);
  EXPECT_EQ(specs[0].column, "image");
  EXPECT_EQ(specs[0].options_json, "{}");
  EXPECT_EQ(specs[1].name, "one_hot");
  EXPECT_EQ(specs[1].options_json, R"({"classes":10})");
  EXPECT_TRUE(TransformSpec::ParseList("[]").empty());
}

TEST(TransformSpecTest, SaysWhatIsWrongWithAList) {
  for (const char* text : {"", "{}", "[1]", "[{]", "null"}) {
    EXPECT_THAT(Thrown([&] { TransformSpec::ParseList(text); }).what(),
                StartsWith("transforms " + std::string(text)));
  }
  EXPECT_STREQ(Thrown([] { TransformSpec::ParseList(R"([{"column":"x"}])"); }).what(),
               R"(transform 0: {"column":"x"}: expected a key "name" with a text)");
  EXPECT_THAT(Thrown([] { TransformSpec::ParseList(R"([{"column":3,"name":"flip"}])"); }).what(),
              HasSubstr("expected a key \"column\" with a text"));
}

}  // namespace
}  // namespace strop::feed
