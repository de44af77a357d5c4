#include "strop/base/project.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"

namespace strop {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string ErrorOf(const std::string& text) {
  try {
    Project::Parse(text, "dir/strop.toml");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.what();
  }
  ADD_FAILURE() << "accepted: " << text;
  return "";
}

TEST(ProjectTest, AnEmptyFileGivesTheDefaults) {
  const Project project = Project::Parse("", "/p/strop.toml");
  EXPECT_EQ(project.tune.trials, 20);
  EXPECT_EQ(project.train.timeout, 30min);
  EXPECT_EQ(project.folder(), "/p");
  EXPECT_EQ(project.loop.directory, "/p/.strop");
  EXPECT_EQ(project.data.train, "");
}

TEST(ProjectTest, ReadsEveryKindOfValue) {
  const Project project = Project::Parse(R"(
[data]
train = "rows/*.parquet"
inputs = ["image"]
splits = { train = 0.7, validation = 0.1, calibration = 0.1, evaluation = 0.1 }
seed = 9
[train]
command = ["python", "train.py", "--lr", "{lr}"]
timeout = "90s"
[tune]
direction = "maximize"
budget = 3
[tune.space.lr]
type = "float"
low = 1e-5
high = 1e-1
log = true
[tune.space.layers]
type = "int"
low = 1
high = 8
[tune.space.opt]
type = "choice"
values = ["sgd", 1, 2.5, true]
[tune.space.momentum]
type = "float"
low = 0
high = 0.99
when = { opt = "sgd" }
[serve]
http = "[::1]:0"
[loop]
directory = "/var/strop"
)",
                                         "/p/strop.toml");
  EXPECT_EQ(project.data.train, "/p/rows/*.parquet");
  EXPECT_THAT(project.data.inputs, ElementsAre("image"));
  EXPECT_EQ(project.data.splits.at("train"), 0.7);
  EXPECT_EQ(project.train.timeout, 90s);
  EXPECT_EQ(project.tune.budget, 3.0);
  const auto& lr = std::get<FloatRange>(project.tune.space.at("lr").domain);
  EXPECT_EQ(lr.low, 1e-5);
  EXPECT_TRUE(lr.log);
  EXPECT_EQ(std::get<IntRange>(project.tune.space.at("layers").domain).high, 8);
  EXPECT_THAT(std::get<ChoiceList>(project.tune.space.at("opt").domain).values,
              ElementsAre(ChoiceValue("sgd"), ChoiceValue(int64_t{1}), ChoiceValue(2.5), ChoiceValue(true)));
  EXPECT_EQ(project.tune.space.at("momentum").when.at("opt"), ChoiceValue("sgd"));
  EXPECT_EQ(project.loop.directory, "/var/strop");
  EXPECT_EQ(Project::Parse("[data]\ntrain = \"s3://bucket/x\"", "/p/strop.toml").data.train, "s3://bucket/x");
}

struct Broken {
  const char* name;
  const char* text;
  const char* message;
};

class ProjectErrorTest : public testing::TestWithParam<Broken> {};

TEST_P(ProjectErrorTest, IsOneLocatedLine) {
  const std::string message = ErrorOf(GetParam().text);
  EXPECT_THAT(message, StartsWith(std::string("dir/strop.toml:") + GetParam().message));
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    All, ProjectErrorTest,
    testing::Values(
        Broken{"Syntax", "[tune]\ntrials = \n", "2:10: not TOML: "},
        Broken{"OpenHeader", "[tune\n", "1:6: not TOML: "},
        Broken{"Twice", "[tune]\ntrials = 3\ntrials = 4\n", "3:10: not TOML: "},
        Broken{"Typo", "[tune]\ntrails = 20", "2: [tune] trails = 20: unknown key, did you mean trials?"},
        Broken{"FarKey", "[loop]\nqqq = 1", "2: [loop] qqq = 1: unknown key, expected directory, "},
        Broken{"Section", "\n[tunes]\ntrials = 3", "2: [tunes]: unknown section, did you mean tune?"},
        Broken{"NoSection", "trials = 3", "1: trials = 3: a key outside a section"},
        Broken{"SectionAsValue", "tune = 3", "1: tune = 3: a key outside a section"},
        Broken{"Type", "[tune]\ntrials = \"many\"",
               "2: [tune] trials = \"many\": expected a whole number from 1 to 1000000"},
        Broken{"Range", "[tune]\n\ntrials = 0",
               "3: [tune] trials = 0: expected a whole number from 1 to 1000000"},
        Broken{"Fraction", "[tune]\ntrials = 2.5", "2: [tune] trials = 2.5: expected a whole number"},
        Broken{"Unit", "[tune]\ntrial_timeout = \"10 minutes\"",
               "2: [tune] trial_timeout = \"10 minutes\": expected a duration from 1s to 720h with its unit"},
        Broken{"NoUnit", "[train]\ntimeout = 600", "2: [train] timeout = 600: expected a duration"},
        Broken{"ShortDuration", "[train]\ntimeout = \"10ms\"",
               "2: [train] timeout = \"10ms\": expected a duration from 1s"},
        Broken{"Nan", "[loop]\nguardrail = nan", "2: [loop] guardrail = nan: expected a number from 0"},
        Broken{"Word", "[tune]\ndirection = \"up\"",
               "2: [tune] direction = \"up\": expected \"minimize\" or \"maximize\""},
        Broken{"Metric", "[compress]\nmetric = \"ndcg\"",
               "2: [compress] metric = \"ndcg\": expected \"accuracy\""},
        Broken{"Sum", "[data]\nsplits = {train=0.8, validation=0.3, calibration=0.05, evaluation=0.05}",
               "2: [data] splits = { calibration = 0.05, evaluation = 0.05, train = 0.8, valida"},
        Broken{"Share", "[data.splits]\ntrain = 0.8\nvalidaton = 0.2",
               "3: [data.splits] validaton = 0.2: unknown key, did you mean validation?"},
        Broken{"NoShare", "[data]\nsplits = { train = 1.0 }",
               "2: [data] splits = { train = 1 }: expected a share above 0"},
        Broken{"Port", "[serve]\nhttp = \"localhost:99999\"",
               "2: [serve] http = \"localhost:99999\": expected \"HOST:PORT\""},
        Broken{"Command", "[train]\ncommand = \"python x.py\"",
               "2: [train] command = \"python x.py\": expected a list"},
        Broken{"Detector", "[watch]\ndetectors = [\"inputs\"]",
               "2: [watch] detectors = [\"inputs\"]: expected a list of"},
        Broken{"Window", "[watch]\nwindow = 5000",
               "2: [watch] window = 5000: a window of 5000 rows is longer"},
        Broken{"Offers", "[watch]\nuniform_share = 0.9",
               "2: [watch] uniform_share = 0.9: uniform_share 0.9 and"},
        Broken{"Labels", "[loop]\nretrain_labels = 100", "2: [loop] retrain_labels = 100: 300 of 100 labels"},
        Broken{"Parameter", "[tune.space]\nlr = 5", "2: [tune.space] lr = 5: expected a table"},
        Broken{"NoHigh", "[tune.space.lr]\ntype = \"int\"\nlow = 1",
               "1: [tune.space] lr = { low = 1, type = \"int\" }: high is missing"},
        Broken{"Order", "[tune.space.lr]\ntype = \"int\"\nlow = 5\nhigh = 5",
               "4: [tune.space.lr] high = 5: expected more than low, which is 5"},
        Broken{"LogOfZero", "[tune.space.lr]\ntype = \"float\"\nlow = 0\nhigh = 1\nlog = true",
               "3: [tune.space.lr] low = 0: a logarithmic range begins above 0"},
        Broken{"OtherType", "[tune.space.lr]\ntype = \"real\"",
               "2: [tune.space.lr] type = \"real\": expected \"float\", \"int\" or \"choice\""},
        Broken{"NotItsKey", "[tune.space.lr]\ntype = \"choice\"\nvalues = [1]\nlow = 1",
               "4: [tune.space.lr] low = 1: unknown key"},
        Broken{"ValueTwice", "[tune.space.o]\ntype = \"choice\"\nvalues = [1, 1]",
               "3: [tune.space.o] values = [1, 1]: 1 stands there twice"},
        Broken{"WhenUnknown",
               "[tune.space]\nopt = {type=\"choice\", values=[1]}\nm = {type=\"int\", low=0, high=1, "
               "when={otp=1}}",
               "3: [tune.space.m.when] otp = 1: no parameter of that name, did you mean opt?"},
        Broken{
            "WhenNoChoice",
            "[tune.space]\na = {type=\"int\", low=0, high=1}\nm = {type=\"int\", low=0, high=1, when={a=1}}",
            "3: [tune.space.m.when] a = 1: a is not of type choice"},
        Broken{"WhenValue",
               "[tune.space]\no = {type=\"choice\", values=[\"a\"]}\nm = {type=\"int\", low=0, high=1, "
               "when={o=\"b\"}}",
               "3: [tune.space.m.when] o = \"b\": expected one of \"a\""},
        Broken{"WhenCircle",
               "[tune.space]\na = {type=\"choice\", values=[1], when={b=1}}\nb = {type=\"choice\", "
               "values=[1], when={a=1}}",
               "2: [tune.space.a] when = { b = 1 }: the conditions make a circle"}),
    [](const auto& test) { return test.param.name; });

TEST(ProjectTest, AFileThatIsNotThereIsNamed) {
  try {
    Project::Load("/no/such/strop.toml");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("/no/such/strop.toml"));
  }
}

TEST(ProjectTest, EveryDefaultIsAccepted) {
  std::map<std::string, std::string> sections;
  for (const ProjectKey& key : ProjectKeys()) {
    EXPECT_FALSE(key.accepted.empty() || key.doc.empty()) << key.name;
    if (key.section == "data" && key.name == "train") continue;  // has no default to write
    sections[key.section] += key.name + " = " + key.default_value + "\n";
  }
  std::string text;
  for (const auto& [name, keys] : sections) text += "[" + name + "]\n" + keys;
  const Project project = Project::Parse(text, "/p/strop.toml");
  EXPECT_EQ(ProjectJson(project), ProjectJson(Project::Parse("", "/p/strop.toml")));
}

TEST(ProjectTest, DurationsNeedAUnit) {
  EXPECT_EQ(ParseDuration("250ms"), 250ms);
  EXPECT_EQ(ParseDuration("30s"), 30s);
  EXPECT_EQ(ParseDuration("1.5m"), 90s);
  EXPECT_EQ(ParseDuration("2h"), 2h);
  for (const char* wrong : {"", "30", "s", "-1s", "1 s", "1d", "1.2.3s", ".s", "99999999999999h", "1s "}) {
    EXPECT_THROW(ParseDuration(wrong), Error) << wrong;
  }
}

}  // namespace
}  // namespace strop
