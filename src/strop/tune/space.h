#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/project.h"

namespace strop::tune {

// A parameter's value, and the parameters of one trial by name; an inactive parameter is absent.
using ParamValue = ChoiceValue;
using Params = std::map<std::string, ParamValue>;

struct STROP_API Parameter {
  std::string name;
  std::variant<FloatRange, IntRange, ChoiceList> domain;
  std::map<std::string, ParamValue> when;  // active only if every named choice is active and has that value

  bool operator==(const Parameter& other) const;
};

// What is searched. Immutable but for Add, and then usable by many threads at once.
//
// A configuration is seen in three forms: Params; a *draw*, one number of [0, 1) a parameter in the order of
// parameters(), which is how random and quasi-random samplers make one; and a *point*, which is what a
// surrogate sees: a coordinate of [0, 1] for a number (in its logarithm where `log`), one coordinate of {0,
// 1/sqrt(2)} a value for a choice (so that two different values lie at distance 1). The coordinates of an
// inactive parameter are constant: 0.5 for a number, 0 for a choice.
class STROP_API Space {
 public:
  Space() = default;
  // Throws kInvalidArgument naming the parameter and what is wrong with it: low above high, a log range that
  // reaches zero, no or equal choices, a condition on what is no choice or on a value it does not have, a
  // cycle.
  explicit Space(std::vector<Parameter> parameters);
  static Space FromProject(const std::map<std::string, ParameterSection>& space);

  // Adds one unconditional parameter (define-by-run). Throws as the constructor.
  void Add(Parameter parameter);

  // Parents before their children, otherwise by name.
  const std::vector<Parameter>& parameters() const noexcept { return parameters_; }
  const Parameter* Find(std::string_view name) const noexcept;
  bool empty() const noexcept { return parameters_.empty(); }
  // Coordinates of a point.
  size_t dimensions() const noexcept { return dimensions_; }
  // First coordinate of the i-th parameter, and how many it has.
  size_t offset(size_t parameter) const noexcept { return offsets_[parameter]; }
  size_t width(size_t parameter) const noexcept;
  // Whether the i-th parameter is active in `params`, which holds its parents.
  bool Active(size_t parameter, const Params& params) const;

  // The value at `u` in [0, 1) of a domain.
  static ParamValue FromUnit(const Parameter& parameter, double u);
  // A number's coordinate. Values outside of the range are clamped (a range may have been narrowed).
  static double ToUnit(const Parameter& parameter, const ParamValue& value);
  // How many values the i-th parameter can take; 0 for a continuous range.
  int64_t ValueCount(size_t parameter) const noexcept;
  // The `index`-th of them, and the index of a value.
  ParamValue ValueAt(size_t parameter, int64_t index) const;
  int64_t IndexOf(size_t parameter, const ParamValue& value) const;

  Params FromDraw(std::span<const double> draw) const;
  std::vector<double> ToPoint(const Params& params) const;
  // Throws kInvalidArgument naming the parameter that is missing, unknown, inactive or out of its range.
  void Check(const Params& params) const;

  // Calls `visit` with every configuration until it answers false; numbers of a continuous range are left at
  // the middle of `steps` equal parts. Throws kInvalidArgument when steps is 0 and a range is continuous.
  void Enumerate(int64_t steps, const std::function<bool(const Params&)>& visit) const;
  // Whether no range is continuous, so that configurations can run out.
  bool discrete() const noexcept;

  // The same text for the same space; FromText(ToText()) is the same space.
  std::string ToText() const;
  static Space FromText(const std::string& text);

  bool operator==(const Space& other) const { return parameters_ == other.parameters_; }

 private:
  void Validate();

  std::vector<Parameter> parameters_;
  std::vector<size_t> offsets_;
  size_t dimensions_ = 0;
};

// 3, 0.1, true, "adam" as JSON text; numbers compare by value whatever their type.
STROP_API std::string ValueText(const ParamValue& value);
STROP_API bool SameValue(const ParamValue& a, const ParamValue& b) noexcept;
// {"lr":0.1,"opt":"adam"}; equal configurations have equal text.
STROP_API std::string ParamsText(const Params& params);
// Throws kInvalidArgument when a value is not a boolean, number or string.
STROP_API Params ParseParams(const std::string& text);

}  // namespace strop::tune
