#include "strop/tune/command.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"

namespace strop::tune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Space kSpace({{"lr", FloatRange{0, 1}, {}},
                    {"opt", ChoiceList{{std::string("sgd"), std::string("adam")}}, {}},
                    {"momentum", FloatRange{0, 1}, {{"opt", std::string("sgd")}}}});

StartMessage Start(const char* params) {
  StartMessage start;
  start.params = ParseParams(params);
  start.seed = 12;
  start.budget = 0.25;
  start.train = "train.parquet";
  start.validation = "v.parquet";
  start.out_dir = "/runs/3";
  return start;
}

TEST(FillCommandTest, ReplacesNamesAndLeavesOtherBraces) {
  EXPECT_THAT(FillCommand({"python", "t.py", "--lr={lr}", "--opt", "{opt}", "{data}:{validation}",
                           "{budget}/{seed}", "{out_dir}/m", R"({"a": {}})", "a{b", "{0}"},
                          kSpace, Start(R"({"lr":1e-05,"opt":"adam"})")),
              ElementsAre("python", "t.py", "--lr=1e-05", "--opt", "adam", "train.parquet:v.parquet",
                          "0.25/12", "/runs/3/m", R"({"a": {}})", "a{b", "{0}"));
}

TEST(FillCommandTest, LeavesOutWhatNamesAnInactiveParameter) {
  const std::vector<std::string> command = {"t",    "--momentum", "{momentum}", "--m={momentum}",
                                            "--lr", "{lr}"};
  EXPECT_THAT(FillCommand(command, kSpace, Start(R"({"lr":0.5,"opt":"adam"})")),
              ElementsAre("t", "--lr", "0.5"));
  EXPECT_THAT(FillCommand(command, kSpace, Start(R"({"lr":0.5,"opt":"sgd","momentum":0.75})")),
              ElementsAre("t", "--momentum", "0.75", "--m=0.75", "--lr", "0.5"));
}

TEST(FillCommandTest, AnyNameOfTheSpaceIsReplacedAndDoubledBracesStayOne) {
  const Space space({{"größe", FloatRange{0, 1}, {}}, {"my lr", FloatRange{0, 1}, {}}});
  const auto filled = FillCommand({"{größe}:{my lr}", "echo ${{HOME}} {\"a\": {}}"}, space,
                                  Start(R"({"größe":0.5,"my lr":0.25})"));
  EXPECT_THAT(filled, ElementsAre("0.5:0.25", "echo ${HOME} {\"a\": {}}"));
}

TEST(FillCommandTest, NamesWhatIsUnknown) {
  try {
    FillCommand({"t", "{rate}"}, kSpace, Start(R"({"lr":0.5,"opt":"adam"})"));
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("{rate}, which is no parameter: expected {budget}, {data}, {lr}"));
  }
  StartMessage start = Start("{}");
  start.train.clear();
  EXPECT_THROW(FillCommand({"t", "{data}"}, kSpace, start), Error);
}

TEST(PrintedMetricTest, NamedValueCountsBeforeOtherNumbers) {
  EXPECT_EQ(PrintedMetric("epoch 1 loss=0.5\nepoch 2 loss=0.25 time 33\n", "loss"), 0.25);
  EXPECT_EQ(PrintedMetric("loss: 1e-3\n12 s\n", "loss"), 1e-3);
  EXPECT_EQ(PrintedMetric(R"({"loss": -2.5, "n": 7})", "loss"), -2.5);
  EXPECT_EQ(PrintedMetric("val_loss=3\n", "loss"), 3.0);  // another name: the last number
  EXPECT_EQ(PrintedMetric("loss=4 val_loss=3\n", "loss"), 4.0);
  EXPECT_TRUE(std::isnan(*PrintedMetric("loss=nan", "loss")));
  EXPECT_EQ(PrintedMetric("loss=4 test/loss=3 best.loss=2\n", "loss"), 4.0);
  EXPECT_EQ(PrintedMetric("loss=4\nloss: information below\n", "loss"), 4.0);
}

TEST(PrintedMetricTest, LastNumberCountsOtherwise) {
  EXPECT_EQ(PrintedMetric("epoch 3/10\n0.75\n", "value"), 0.75);
  EXPECT_EQ(PrintedMetric("accuracy is 93.5%, done\n", "value"), 93.5);
  EXPECT_EQ(PrintedMetric("saved to run7 in v2\n-1.5e2\nbye\n", "value"), -150.0);
  EXPECT_EQ(PrintedMetric("nothing here\n", "value"), std::nullopt);
  EXPECT_EQ(PrintedMetric("", "value"), std::nullopt);
}

}  // namespace
}  // namespace strop::tune
