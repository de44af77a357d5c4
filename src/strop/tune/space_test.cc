#include "strop/tune/space.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/rng.h"

namespace strop::tune {
namespace {

using testing::HasSubstr;

ChoiceList Names(std::initializer_list<const char*> names) {
  ChoiceList list;
  for (const char* name : names) list.values.push_back(std::string(name));
  return list;
}

Space Trainer() {
  return Space({{"opt", Names({"sgd", "adam"}), {}},
                {"momentum", FloatRange{0, 0.99}, {{"opt", std::string("sgd")}}},
                {"lr", FloatRange{1e-5, 1e-1, true}, {}},
                {"layers", IntRange{1, 8}, {}},
                {"width", IntRange{16, 512, true}, {}}});
}

std::string Complaint(std::vector<Parameter> parameters) {
  try {
    Space space(std::move(parameters));
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kInvalidArgument);
    return e.what();
  }
  return "";
}

TEST(SpaceTest, RefusesWhatCannotBeSearched) {
  EXPECT_THAT(Complaint({{"lr", FloatRange{1, 0}, {}}}), HasSubstr("\"lr\": low = 1 is above high = 0"));
  EXPECT_THAT(Complaint({{"lr", FloatRange{0, 1, true}, {}}}), HasSubstr("log range: expected above 0"));
  EXPECT_THAT(Complaint({{"n", IntRange{0, 4, true}, {}}}), HasSubstr("expected at least 1"));
  EXPECT_THAT(Complaint({{"x", FloatRange{0, INFINITY}, {}}}), HasSubstr("finite"));
  EXPECT_THAT(Complaint({{"c", ChoiceList{}, {}}}), HasSubstr("at least one value"));
  EXPECT_THAT(Complaint({{"c", Names({"a", "a"}), {}}}), HasSubstr("\"a\" is listed twice"));
  EXPECT_THAT(Complaint({{"m", FloatRange{}, {{"opt", std::string("sgd")}}}}),
              HasSubstr("\"opt\", which is not in"));
  EXPECT_THAT(Complaint({{"o", IntRange{}, {}}, {"m", FloatRange{}, {{"o", int64_t{1}}}}}),
              HasSubstr("not a choice"));
  EXPECT_THAT(Complaint({{"o", Names({"a"}), {}}, {"m", FloatRange{}, {{"o", std::string("b")}}}}),
              HasSubstr("can never hold"));
  EXPECT_THAT(Complaint({{"a", Names({"x"}), {{"b", std::string("x")}}},
                         {"b", Names({"x"}), {{"a", std::string("x")}}}}),
              HasSubstr("depend on themselves"));
  EXPECT_THAT(Complaint({{"a", IntRange{}, {}}, {"a", IntRange{}, {}}}), HasSubstr("twice"));
}

TEST(SpaceTest, ParentsComeBeforeChildren) {
  const Space space({{"a", FloatRange{}, {{"z", std::string("x")}}}, {"z", Names({"x", "y"}), {}}});
  EXPECT_EQ(space.parameters()[0].name, "z");
  EXPECT_EQ(space.parameters()[1].name, "a");
}

TEST(SpaceTest, EveryDrawIsAValidConfigurationAndItsTextReadsBack) {
  const Space space = Trainer();
  Rng rng(1);
  int with_momentum = 0;
  for (int i = 0; i < 2000; ++i) {
    std::vector<double> draw(space.parameters().size());
    for (double& u : draw) u = rng.Uniform();
    const Params params = space.FromDraw(draw);
    ASSERT_NO_THROW(space.Check(params));
    ASSERT_EQ(params.count("momentum"), std::get<std::string>(params.at("opt")) == "sgd" ? 1u : 0u);
    with_momentum += static_cast<int>(params.count("momentum"));
    ASSERT_EQ(ParseParams(ParamsText(params)), params);
  }
  EXPECT_NEAR(with_momentum, 1000, 100);
}

TEST(SpaceTest, NumbersSurviveTheWayToUnitAndBack) {
  const Space space = Trainer();
  for (const Parameter& p : space.parameters()) {
    if (std::holds_alternative<ChoiceList>(p.domain)) continue;
    for (double u : {0.0, 0.1, 0.5, 0.73, 1.0}) {
      const ParamValue value = Space::FromUnit(p, u);
      const ParamValue again = Space::FromUnit(p, Space::ToUnit(p, value));
      if (const auto* x = std::get_if<double>(&value)) {
        EXPECT_NEAR(std::get<double>(again) / (*x + 1e-300), *x == 0 ? 0 : 1, 1e-12) << p.name;
      } else {
        EXPECT_EQ(again, value) << p.name;
      }
    }
  }
}

TEST(SpaceTest, LogRangesAreUniformInTheLogarithm) {
  const Parameter p{"lr", FloatRange{1e-4, 1, true}, {}};
  EXPECT_NEAR(std::get<double>(Space::FromUnit(p, 0.5)), 1e-2, 1e-12);
  EXPECT_NEAR(Space::ToUnit(p, 1e-1), 0.75, 1e-12);
}

TEST(SpaceTest, EveryWholeNumberIsEquallyLikely) {
  const Parameter p{"n", IntRange{1, 4}, {}};
  Rng rng(3);
  int counts[5] = {};
  for (int i = 0; i < 40000; ++i) ++counts[std::get<int64_t>(Space::FromUnit(p, rng.Uniform()))];
  for (int n = 1; n <= 4; ++n) EXPECT_NEAR(counts[n], 10000, 400) << n;
}

TEST(SpaceTest, PointsPutChoicesAtUnitDistanceAndInactiveNumbersInTheMiddle) {
  const Space space = Trainer();
  const Params sgd = ParseParams(R"({"opt":"sgd","momentum":0.99,"lr":0.1,"layers":8,"width":16})");
  Params adam = sgd;
  adam["opt"] = std::string("adam");
  adam.erase("momentum");
  const auto a = space.ToPoint(sgd), b = space.ToPoint(adam);
  ASSERT_EQ(a.size(), 6u);
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
  EXPECT_NEAR(squares, 1 + 0.25, 1e-12);  // the choice, and momentum at 1 against 0.5
}

TEST(SpaceTest, EnumerateVisitsEveryConfigurationOnce) {
  const Space space({{"opt", Names({"sgd", "adam"}), {}},
                     {"nesterov", ChoiceList{{true, false}}, {{"opt", std::string("sgd")}}},
                     {"layers", IntRange{1, 3}, {}}});
  std::set<std::string> seen;
  space.Enumerate(0, [&](const Params& params) {
    space.Check(params);
    return seen.insert(ParamsText(params)).second;
  });
  EXPECT_EQ(seen.size(), 3u * (2 + 1));
  EXPECT_TRUE(space.discrete());
  EXPECT_THROW(Trainer().Enumerate(0, [](const Params&) { return true; }), Error);
}

TEST(SpaceTest, CheckNamesTheParameterAndWhatIsAccepted) {
  const Space space = Trainer();
  auto complaint = [&](const char* text) -> std::string {
    try {
      space.Check(ParseParams(text));
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(complaint(R"({"opt":"adam","lr":0.1,"layers":8,"width":16})"), "");
  EXPECT_THAT(complaint(R"({"opt":"adam","lr":1,"layers":8,"width":16})"),
              HasSubstr("\"lr\": 1: expected a number"));
  EXPECT_THAT(complaint(R"({"opt":"rms","lr":0.1,"layers":8,"width":16})"),
              HasSubstr("one of \"sgd\", \"adam\""));
  EXPECT_THAT(complaint(R"({"opt":"adam","lr":0.1,"layers":2.5,"width":16})"),
              HasSubstr("whole number from 1 to 8"));
  EXPECT_THAT(complaint(R"({"opt":"adam","lr":0.1,"layers":8})"), HasSubstr("\"width\": has no value"));
  EXPECT_THAT(complaint(R"({"opt":"adam","momentum":0,"lr":0.1,"layers":8,"width":16})"),
              HasSubstr("condition"));
}

TEST(SpaceTest, TextReadsBack) {
  EXPECT_EQ(Space::FromText(Trainer().ToText()), Trainer());
  EXPECT_FALSE(Space::FromText(Trainer().ToText()) == Space({{"lr", FloatRange{}, {}}}));
}

}  // namespace
}  // namespace strop::tune
