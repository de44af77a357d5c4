#include "strop/tune/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "strop/tune/trials_csv.h"

namespace strop::tune {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

const std::string kHostile = "</script><script>alert(\"x\")</script>";

Study Filled(int trials, const std::vector<std::string>& directions = {"minimize"}) {
  StudyOptions options;
  options.space = Space({{"rate", FloatRange{1e-4, 1, true}, {}},
                         {"kind", ChoiceList{{kHostile, std::string("b,\"c\"\nd")}}, {}},
                         {"momentum", FloatRange{0, 1}, {{"kind", kHostile}}}},
                        {"rate < 2"});
  options.directions = directions;
  options.sampler = "sobol";
  Study study(options);
  for (int i = 0; i < trials; ++i) {
    const TrialRecord trial = *study.Ask();
    if (i == 1) {
      study.TellFailed(trial.number, "said \"no\", and ended");
      continue;
    }
    const double rate = std::get<double>(trial.params.at("rate"));
    study.Tell(trial.number, directions.size() == 1 ? std::vector{rate} : std::vector{rate, rate});
  }
  return study;
}

TEST(ReportTest, HoldsTheStudy) {
  Study study = Filled(8);
  const json report = ReportJson(study, {"loss"});
  ASSERT_EQ(report["trials"].size(), 8u);
  EXPECT_EQ(report["trials"][1]["state"], "failed");
  EXPECT_EQ(report["trials"][1]["values"], json::array());
  EXPECT_EQ(report["trials"][2]["params"]["rate"], report["trials"][2]["values"][0]);
  EXPECT_EQ(report["front"], json::array({study.Best()->number}));
  EXPECT_EQ(report["parameters"].size(), 3u) << "a constraint is no parameter";
  EXPECT_EQ(report["parameters"][0]["values"][0], kHostile);
  const json& objective = report["objectives"][0];
  EXPECT_EQ(objective["name"], "loss");
  EXPECT_EQ(objective["direction"], "minimize");
  ASSERT_EQ(objective["importances"].size(), 3u);
  EXPECT_EQ(objective["importances"][0]["parameter"], "rate");
  EXPECT_EQ(report["no_importance"], "");
}

TEST(ReportTest, FewTrialsHaveNoImportanceAndSayWhy) {
  Study study = Filled(3);
  const json report = ReportJson(study);
  EXPECT_EQ(report["objectives"][0]["importances"], json::array());
  EXPECT_THAT(report["no_importance"], HasSubstr("at least 4 are needed"));
}

TEST(ReportTest, NamesEachOfSeveralObjectives) {
  Study study = Filled(6, {"minimize", "maximize"});
  const json report = ReportJson(study);
  EXPECT_EQ(report["objectives"][0]["name"], "value_0");
  EXPECT_EQ(report["objectives"][1]["direction"], "maximize");
  EXPECT_EQ(report["front"].size(), 5u) << "all that are done";
}

TEST(ReportTest, PageIsWholeAndNoTextOfAStudyEndsItsScript) {
  Study study = Filled(5);
  const std::string page = ReportHtml(study);
  EXPECT_TRUE(page.starts_with("<!doctype html>"));
  EXPECT_THAT(page, Not(HasSubstr("{{plotly}}")));
  EXPECT_THAT(page, Not(HasSubstr("{{study}}")));
  EXPECT_THAT(page, HasSubstr("plotly.js v"));
  EXPECT_THAT(page, HasSubstr("Licensed under the MIT license"));
  EXPECT_THAT(page, Not(HasSubstr(kHostile.substr(0, 20))));
  size_t ends = 0;
  for (size_t at = page.find("</script"); at != std::string::npos; at = page.find("</script", at + 1)) ++ends;
  EXPECT_EQ(ends, 3u);
  const std::string open = "id=\"study\">";
  const size_t from = page.find(open) + open.size();
  EXPECT_EQ(json::parse(page.substr(from, page.find("</script", from) - from)), ReportJson(study));
}

TEST(TrialsCsvTest, QuotesWhatNeedsIt) {
  Study study = Filled(2);
  const std::string csv = TrialsCsv(study);
  EXPECT_TRUE(csv.starts_with(
      "number,state,error,sampler,attempts,started,finished,value,params_kind,params_momentum,"
      "params_rate\n0,done,\"\",sobol,1,"))
      << csv;
  EXPECT_THAT(csv, HasSubstr("\n1,failed,\"said \"\"no\"\", and ended\",sobol,1,"));
  EXPECT_THAT(csv, HasSubstr(",\"</script><script>alert(\"\"x\"\")</script>\","));
  EXPECT_THAT(csv, HasSubstr(",\"b,\"\"c\"\"\nd\",,")) << "and no momentum";
}

TEST(TrialsCsvTest, EmptyStudyIsAHeader) {
  Study study = Filled(0, {"minimize", "minimize"});
  EXPECT_EQ(TrialsCsv(study), "number,state,error,sampler,attempts,started,finished,value_0,value_1\n");
}

}  // namespace
}  // namespace strop::tune
