#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/project.h"
#include "strop/tune/constraint.h"
#include "strop/tune/parameter.h"

namespace strop::tune {

// What is searched. Immutable but for Add, and then usable by many threads at once.
//
// A configuration is seen in three forms: Params; a *draw*, one number of [0, 1) a parameter in the order of
// parameters(), which is what samplers make and learn from; and a *point*, which is what a surrogate sees.
// A draw that Settle has settled is the only one of its configuration: whole numbers, steps and choices lie
// in the middle of their share, inactive parameters are NaN.
//
// A point has a coordinate of [0, 1] for a number (in its logarithm where `log`), and one of {0, 1/sqrt(2)} a
// value for a choice, so that two different values lie at distance 1. A number that is not always active has
// two: it lies on an arc of radius 1 around the origin, which stands for inactive (after Swersky, Duvenaud,
// Snoek, Hutter and Osborne, "Raiders of the Lost Architecture", 2014). So an inactive number is as far from
// every value as the ends of its range are from each other, and near no value by accident.
class STROP_API Space {
 public:
  Space() = default;
  // Throws kInvalidArgument naming the parameter and what is wrong with it: low above high, a log range that
  // reaches zero, a step that is not above 0 or in a log range, no or equal choices, a condition on what is
  // no choice or on a value it does not have, a cycle; or the constraint (constraint.h).
  explicit Space(std::vector<Parameter> parameters, const std::vector<std::string>& constraints = {});
  static Space FromProject(const TuneSection& tune);

  // Adds one unconditional parameter (define-by-run). Throws as the constructor.
  void Add(Parameter parameter);

  // Parents before their children, otherwise by name.
  const std::vector<Parameter>& parameters() const noexcept { return parameters_; }
  size_t size() const noexcept { return parameters_.size(); }
  bool empty() const noexcept { return parameters_.empty(); }
  const Parameter* Find(std::string_view name) const noexcept;
  bool IsChoice(size_t parameter) const noexcept;
  bool conditional() const noexcept;
  const std::vector<Constraint>& constraints() const noexcept { return constraints_; }
  // Whether a settled draw keeps to all constraints.
  bool Allows(std::span<const double> draw) const;

  // How many values the i-th parameter can take; 0 for a continuous range.
  int64_t ValueCount(size_t parameter) const noexcept { return facts_[parameter].values; }
  // The `index`-th of them, and the index of a value (-1: a choice has no such value).
  ParamValue ValueAt(size_t parameter, int64_t index) const;
  int64_t IndexOf(size_t parameter, const ParamValue& value) const;
  // Whether no range is continuous, so that configurations can run out.
  bool discrete() const noexcept;

  // The value at `u` in [0, 1) of a domain.
  static ParamValue FromUnit(const Parameter& parameter, double u);
  // A number's place in its domain. Values outside of the range are clamped (a range may have been narrowed).
  static double ToUnit(const Parameter& parameter, const ParamValue& value);

  Params FromDraw(std::span<const double> draw) const;
  // Settled. Parameters that `params` lacks are NaN, and so are those whose condition does not hold.
  std::vector<double> ToDraw(const Params& params) const;
  void Settle(std::span<double> draw) const;
  // The index of the i-th parameter's value at `u`; ValueCount(i) is not 0.
  int64_t IndexAt(size_t parameter, double u) const noexcept;
  // The part of [0, 1] that stands for the same value as `u`; ValueCount(i) is not 0.
  std::pair<double, double> ShareAt(size_t parameter, double u) const noexcept;
  // Whether the i-th parameter is active in a draw whose parents before it are settled.
  bool Active(size_t parameter, std::span<const double> draw) const noexcept;

  // Coordinates of a point.
  size_t dimensions() const noexcept { return dimensions_; }
  // First coordinate of the i-th parameter, and how many it has.
  size_t offset(size_t parameter) const noexcept { return facts_[parameter].offset; }
  size_t width(size_t parameter) const noexcept { return facts_[parameter].width; }
  // Of a settled draw. `point` has dimensions() numbers.
  void ToPoint(std::span<const double> draw, std::span<double> point) const;
  // The coordinates of an active number at `u`, and the derivative by u of what has `gradient` by the point.
  void PlaceNumber(size_t parameter, double u, std::span<double> point) const;
  double NumberGradient(size_t parameter, double u, std::span<const double> gradient) const;

  // Throws kInvalidArgument naming the parameter that is missing, unknown, inactive or out of its range, or
  // the constraint that does not hold.
  void Check(const Params& params) const;

  // Of a space without continuous ranges, not fewer than there are.
  double MostConfigurations() const noexcept;
  // Calls `visit` with every allowed configuration until it answers false; numbers of a continuous range are
  // left at the middle of `steps` equal parts. Throws kInvalidArgument when steps is 0 and a range is
  // continuous.
  void Enumerate(int64_t steps, const std::function<bool(const Params&)>& visit) const;

  // The same text for the same space; FromText(ToText()) is the same space.
  std::string ToText() const;
  static Space FromText(const std::string& text);

  bool operator==(const Space& other) const;

 private:
  // What is worked out once about a parameter.
  struct Facts {
    int64_t values = 0;
    size_t offset = 0, width = 1;
    std::vector<std::pair<size_t, int64_t>> when;  // a parent and the index of its value
  };

  void Validate();
  void WorkOut();
  bool Active(size_t parameter, const Params& params) const;

  std::vector<Parameter> parameters_;
  std::vector<Constraint> constraints_;
  std::vector<Facts> facts_;
  size_t dimensions_ = 0;
};

}  // namespace strop::tune
