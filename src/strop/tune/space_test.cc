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

double Distance(const Space& space, const Params& a, const Params& b) {
  std::vector<double> p(space.dimensions()), q(space.dimensions());
  space.ToPoint(space.ToDraw(a), p);
  space.ToPoint(space.ToDraw(b), q);
  double squares = 0;
  for (size_t i = 0; i < p.size(); ++i) squares += (p[i] - q[i]) * (p[i] - q[i]);
  return std::sqrt(squares);
}

TEST(SpaceTest, AnInactiveNumberIsAsFarFromEveryValue) {
  const Space space = Trainer();
  Params sgd = ParseParams(R"({"opt":"sgd","momentum":0.99,"lr":0.1,"layers":8,"width":16})");
  Params adam = sgd;
  adam["opt"] = std::string("adam");
  adam.erase("momentum");
  // The choice counts 1, momentum the radius of its arc.
  EXPECT_NEAR(Distance(space, sgd, adam), std::sqrt(2), 1e-12);
  Params still = sgd;
  still["momentum"] = 0.0;
  EXPECT_NEAR(Distance(space, still, adam), std::sqrt(2), 1e-12);
  // Two values lie a chord apart: 2 sin(1/2) for the whole range.
  EXPECT_NEAR(Distance(space, still, sgd), 2 * std::sin(0.5), 1e-12);
}

TEST(SpaceTest, NumberGradientMatchesFiniteDifferences) {
  const Space space = Trainer();
  std::vector<double> gradient(space.dimensions());
  for (size_t i = 0; i < gradient.size(); ++i) gradient[i] = 1 + 0.5 * static_cast<double>(i);
  auto value = [&](size_t p, double u) {
    std::vector<double> point(space.dimensions(), 0.0);
    space.PlaceNumber(p, u, point);
    double sum = 0;
    for (size_t i = 0; i < point.size(); ++i) sum += gradient[i] * point[i];
    return sum;
  };
  for (size_t p = 0; p < space.size(); ++p) {
    if (space.IsChoice(p)) continue;
    EXPECT_NEAR(space.NumberGradient(p, 0.4, gradient), (value(p, 0.4 + 1e-6) - value(p, 0.4 - 1e-6)) / 2e-6,
                1e-8);
  }
}

TEST(SpaceTest, StepsAreAllTheValuesAndEquallyLikely) {
  const Parameter dropout{"dropout", FloatRange{0, 0.5, false, 0.1}, {}};
  const Parameter width{"width", IntRange{16, 70, false, 16}, {}};
  const Space space({dropout, width});
  EXPECT_TRUE(space.discrete());
  EXPECT_EQ(space.ValueCount(0), 6);
  EXPECT_EQ(space.ValueCount(1), 4);  // 16, 32, 48, 64
  Rng rng(3);
  std::map<int64_t, int> counts;
  for (int i = 0; i < 40000; ++i) {
    const Params params = space.FromDraw(std::vector{rng.Uniform(), rng.Uniform()});
    ASSERT_NO_THROW(space.Check(params));
    ++counts[std::get<int64_t>(params.at("width"))];
  }
  ASSERT_EQ(counts.size(), 4u);
  for (auto [value, count] : counts) EXPECT_NEAR(count, 10000, 400) << value;
  EXPECT_THROW(space.Check(ParseParams(R"({"dropout":0.25,"width":32})")), Error);
  EXPECT_THROW(space.Check(ParseParams(R"({"dropout":0.3,"width":33})")), Error);
  EXPECT_EQ(Space::FromText(space.ToText()), space);
  EXPECT_THAT(Complaint({{"x", FloatRange{1, 2, true, 0.1}, {}}}), HasSubstr("step in a log range"));
  EXPECT_THAT(Complaint({{"n", IntRange{1, 2, false, 0}, {}}}), HasSubstr("step = 0"));
}

TEST(SpaceTest, ConstraintsDecideWhatIsAllowed) {
  const Space space({{"batch", IntRange{8, 256, true}, {}},
                     {"steps", IntRange{1, 16}, {}},
                     {"opt", Names({"sgd", "adam"}), {}},
                     {"momentum", FloatRange{0, 1}, {{"opt", std::string("sgd")}}}},
                    {"batch * steps <= 512", "momentum < 0.5 || steps > 4"});
  auto allowed = [&](const char* params) { return space.Allows(space.ToDraw(ParseParams(params))); };
  EXPECT_TRUE(allowed(R"({"batch":64,"steps":8,"opt":"adam"})"));
  EXPECT_FALSE(allowed(R"({"batch":65,"steps":8,"opt":"adam"})"));
  EXPECT_FALSE(allowed(R"({"batch":8,"steps":4,"opt":"sgd","momentum":0.9})"));
  EXPECT_TRUE(allowed(R"({"batch":8,"steps":5,"opt":"sgd","momentum":0.9})"));
  EXPECT_TRUE(allowed(R"({"batch":8,"steps":4,"opt":"adam"})"));  // momentum is inactive
  EXPECT_EQ(Space::FromText(space.ToText()), space);
  EXPECT_FALSE(Space::FromText(space.ToText()) == Space(space.parameters()));
  EXPECT_THROW(space.Check(ParseParams(R"({"batch":256,"steps":16,"opt":"adam"})")), Error);
}

TEST(SpaceTest, RefusesConstraintsThatSayNothing) {
  auto complaint = [](const char* text) -> std::string {
    try {
      Space({{"batch", IntRange{8, 256}, {}}, {"opt", Names({"sgd"}), {}}}, {text});
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::kInvalidArgument);
      return e.what();
    }
    return "";
  };
  EXPECT_THAT(complaint("batch <= "), HasSubstr("constraint \"batch <= \": "));
  EXPECT_THAT(complaint("batch * width <= 8"), HasSubstr("\"width\" is not in the space"));
  EXPECT_THAT(complaint("opt < 1"), HasSubstr("\"opt\" has values that are no numbers"));
  EXPECT_THAT(complaint("1 < 2"), HasSubstr("name of a parameter"));
}

TEST(SpaceTest, RefusesConstraintsThatMeanSomethingElse) {
  const std::vector<Parameter> parameters = {{"a", IntRange{1, 9}, {}}, {"b", IntRange{1, 9}, {}}};
  const auto why = [&](const std::string& constraint) -> std::string {
    try {
      Space(parameters, {constraint});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(why("a = 5"), HasSubstr("expected =="));
  EXPECT_THAT(why("0 < a < 5"), HasSubstr("several comparisons"));
  EXPECT_THAT(why("a < 5, b < 5"), HasSubstr("&&"));
  EXPECT_THAT(why("a + b"), HasSubstr("expected a comparison"));
  EXPECT_THAT(why("a < 5 and b < 5"), HasSubstr("join them with &&"));
  for (const char* fine : {"a == 5", "a < 5 && b < 5", "(a < 5) != (b < 5)", "max(a, b) <= 4 || a >= b"})
    EXPECT_EQ(why(fine), "") << fine;
}

TEST(SpaceTest, RefusesWhatNumbersCannotHold) {
  EXPECT_THROW(Space({{"x", FloatRange{0, 1e300, false, 1e-10}, {}}}), Error);
  EXPECT_THROW(Space({{"x", ChoiceList{{std::nan(""), 1.0}}, {}}}), Error);
}

TEST(SpaceTest, EqualConfigurationsHaveOneSettledDraw) {
  const Space space = Trainer();
  Rng rng(4);
  for (int i = 0; i < 500; ++i) {
    std::vector<double> draw(space.size());
    for (double& u : draw) u = rng.Uniform();
    const Params params = space.FromDraw(draw);
    space.Settle(draw);
    std::vector<double> again = space.ToDraw(params), twice = draw;
    space.Settle(twice);
    ASSERT_EQ(space.FromDraw(draw), params);
    for (size_t p = 0; p < draw.size(); ++p) {
      const bool active = params.count(space.parameters()[p].name) > 0;
      ASSERT_EQ(std::isnan(draw[p]), !active);
      if (!active) continue;
      EXPECT_EQ(twice[p], draw[p]);
      // A continuous number may lose the last digits on its way through its value.
      EXPECT_NEAR(again[p], draw[p], space.ValueCount(p) == 0 ? 1e-12 : 0) << space.parameters()[p].name;
    }
  }
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
