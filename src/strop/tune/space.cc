#include "strop/tune/space.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::tune {
namespace {

// One value lies at distance 1 from another of the same choice.
const double kOneHot = std::sqrt(0.5);

[[noreturn]] void Reject(const std::string& name, const std::string& why) {
  throw Error(Code::kInvalidArgument, fmt::format("parameter \"{}\": {}", name, why));
}

double Number(const ParamValue& value) {
  if (const auto* i = std::get_if<int64_t>(&value)) return static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&value)) return *d;
  if (const auto* b = std::get_if<bool>(&value)) return *b ? 1 : 0;
  return std::nan("");
}

// How many values a range has; 0: continuous. A step need not divide the range: its last value lies at or
// below high. The slack is for steps that binary fractions only come near, as 0.1 from 0 to 1.
int64_t CountValues(const FloatRange& range) {
  if (range.low == range.high) return 1;
  if (range.step == 0) return 0;
  return static_cast<int64_t>(std::floor((range.high - range.low) / range.step + 1e-9)) + 1;
}
int64_t CountValues(const IntRange& range) { return (range.high - range.low) / range.step + 1; }
int64_t CountValues(const ChoiceList& list) { return static_cast<int64_t>(list.values.size()); }

double ValueOf(const FloatRange& range, int64_t index) {
  return std::min(range.high, range.low + static_cast<double>(index) * range.step);
}
int64_t ValueOf(const IntRange& range, int64_t index) { return range.low + index * range.step; }

// The index of the value that is nearest to x.
template <class Range>
int64_t NearestIndex(const Range& range, double x) {
  const int64_t count = CountValues(range);
  if (count == 1) return 0;
  const double place = (x - static_cast<double>(range.low)) / static_cast<double>(range.step);
  return std::llround(std::clamp(place, 0.0, static_cast<double>(count - 1)));
}

// Where a value lies in [0, 1): in the middle of its share, so that the ends are as likely as the middle.
double Middle(int64_t index, int64_t count) {
  return (static_cast<double>(index) + 0.5) / static_cast<double>(count);
}
int64_t IndexInCount(double u, int64_t count) {
  return std::clamp<int64_t>(static_cast<int64_t>(u * static_cast<double>(count)), 0, count - 1);
}

// In a logarithmic range a whole number owns half a step to either side.
struct LogEdges {
  double low, high;
  explicit LogEdges(const IntRange& range)
      : low(std::log(static_cast<double>(range.low) - 0.5)),
        high(std::log(static_cast<double>(range.high) + 0.5)) {}
};

constexpr int64_t kMostSteps = int64_t{1} << 53;  // whole numbers to here are doubles, too

void CheckDomain(const Parameter& parameter) {
  const std::string& name = parameter.name;
  if (name.empty()) throw Error(Code::kInvalidArgument, "a parameter has an empty name");
  if (const auto* f = std::get_if<FloatRange>(&parameter.domain)) {
    if (!std::isfinite(f->low) || !std::isfinite(f->high)) Reject(name, "low and high must be finite");
    if (f->low > f->high) Reject(name, fmt::format("low = {} is above high = {}", f->low, f->high));
    if (f->log && f->low <= 0) Reject(name, fmt::format("low = {} in a log range: expected above 0", f->low));
    if (!(f->step >= 0) || !std::isfinite(f->step))
      Reject(name, fmt::format("step = {}: expected a number above 0", f->step));
    if (f->log && f->step > 0) Reject(name, "has a step in a log range: remove one of them");
    if (f->step > 0 && (f->high - f->low) / f->step > static_cast<double>(kMostSteps))
      Reject(name,
             fmt::format("step = {} from {} to {}: expected at most 2^53 steps", f->step, f->low, f->high));
  } else if (const auto* i = std::get_if<IntRange>(&parameter.domain)) {
    if (i->low > i->high) Reject(name, fmt::format("low = {} is above high = {}", i->low, i->high));
    if (i->log && i->low < 1)
      Reject(name, fmt::format("low = {} in a log range: expected at least 1", i->low));
    if (i->step < 1) Reject(name, fmt::format("step = {}: expected at least 1", i->step));
    if (i->log && i->step > 1) Reject(name, "has a step in a log range: remove one of them");
    if (i->low < -kMostSteps || i->high > kMostSteps)
      Reject(name, fmt::format("range {} to {}: expected whole numbers within 2^53", i->low, i->high));
  } else {
    const auto& values = std::get<ChoiceList>(parameter.domain).values;
    if (values.empty()) Reject(name, "a choice needs at least one value");
    for (const ParamValue& value : values)
      if (std::holds_alternative<double>(value) && !std::isfinite(std::get<double>(value)))
        Reject(name, fmt::format("value {}: expected a finite number", std::get<double>(value)));
    for (size_t a = 0; a < values.size(); ++a)
      for (size_t b = 0; b < a; ++b)
        if (SameValue(values[a], values[b]))
          Reject(name, fmt::format("value {} is listed twice", ValueText(values[a])));
  }
}

}  // namespace

bool Parameter::SameDomain(const Parameter& other) const {
  if (domain.index() != other.domain.index()) return false;
  if (const auto* f = std::get_if<FloatRange>(&domain)) {
    const auto& g = std::get<FloatRange>(other.domain);
    return f->low == g.low && f->high == g.high && f->log == g.log && f->step == g.step;
  }
  if (const auto* i = std::get_if<IntRange>(&domain)) {
    const auto& j = std::get<IntRange>(other.domain);
    return i->low == j.low && i->high == j.high && i->log == j.log && i->step == j.step;
  }
  const auto& a = std::get<ChoiceList>(domain).values;
  const auto& b = std::get<ChoiceList>(other.domain).values;
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), SameValue);
}

bool Parameter::operator==(const Parameter& other) const {
  return name == other.name && SameDomain(other) &&
         std::equal(when.begin(), when.end(), other.when.begin(), other.when.end(),
                    [](auto& a, auto& b) { return a.first == b.first && SameValue(a.second, b.second); });
}

Space::Space(std::vector<Parameter> parameters, const std::vector<std::string>& constraints)
    : parameters_(std::move(parameters)) {
  Validate();
  WorkOut();
  for (const std::string& text : constraints) constraints_.emplace_back(text, parameters_);
}

Space Space::FromProject(const TuneSection& tune) {
  std::vector<Parameter> parameters;
  for (const auto& [name, section] : tune.space) parameters.push_back({name, section.domain, section.when});
  return Space(std::move(parameters), tune.constraints);
}

bool Space::operator==(const Space& other) const {
  return parameters_ == other.parameters_ &&
         std::equal(constraints_.begin(), constraints_.end(), other.constraints_.begin(),
                    other.constraints_.end(),
                    [](const Constraint& a, const Constraint& b) { return a.text() == b.text(); });
}

bool Space::Allows(std::span<const double> draw) const {
  std::vector<double> values;
  for (const Constraint& constraint : constraints_) {
    values.clear();
    for (size_t p : constraint.parameters())
      if (!std::isnan(draw[p])) values.push_back(Number(FromUnit(parameters_[p], draw[p])));
    if (values.size() == constraint.parameters().size() && !constraint.Holds(values)) return false;
  }
  return true;
}

void Space::Add(Parameter parameter) {
  std::vector<Parameter> parameters = parameters_;
  parameters.push_back(std::move(parameter));
  std::vector<std::string> constraints;
  for (const Constraint& constraint : constraints_) constraints.push_back(constraint.text());
  *this = Space(std::move(parameters), constraints);
}

void Space::Validate() {
  std::sort(parameters_.begin(), parameters_.end(), [](auto& a, auto& b) { return a.name < b.name; });
  for (const Parameter& parameter : parameters_) {
    CheckDomain(parameter);
    for (const auto& [parent, value] : parameter.when) {
      const Parameter* found = Find(parent);
      if (!found)
        Reject(parameter.name, fmt::format("its condition names \"{}\", which is not in the space", parent));
      const auto* list = std::get_if<ChoiceList>(&found->domain);
      if (!list)
        Reject(parameter.name, fmt::format("its condition names \"{}\", which is not a choice", parent));
      if (std::none_of(list->values.begin(), list->values.end(),
                       [&wanted = value](auto& v) { return SameValue(v, wanted); }))
        Reject(parameter.name,
               fmt::format("its condition {} = {} can never hold: {} is not one of its values", parent,
                           ValueText(value), ValueText(value)));
    }
  }
  for (size_t i = 1; i < parameters_.size(); ++i)
    if (parameters_[i].name == parameters_[i - 1].name) Reject(parameters_[i].name, "is there twice");

  std::vector<Parameter> ordered;
  std::set<std::string> placed;
  while (ordered.size() < parameters_.size()) {
    const size_t before = ordered.size();
    for (const Parameter& parameter : parameters_) {
      if (placed.count(parameter.name)) continue;
      if (!std::all_of(parameter.when.begin(), parameter.when.end(),
                       [&](auto& w) { return placed.count(w.first); }))
        continue;
      ordered.push_back(parameter);
      placed.insert(parameter.name);
    }
    if (ordered.size() == before)
      for (const Parameter& parameter : parameters_)
        if (!placed.count(parameter.name)) Reject(parameter.name, "its conditions depend on themselves");
  }
  parameters_ = std::move(ordered);
}

void Space::WorkOut() {
  facts_.assign(parameters_.size(), {});
  dimensions_ = 0;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& parameter = parameters_[i];
    Facts& facts = facts_[i];
    facts.values = std::visit([](const auto& domain) { return CountValues(domain); }, parameter.domain);
    facts.offset = dimensions_;
    facts.width = IsChoice(i) ? static_cast<size_t>(facts.values) : parameter.when.empty() ? 1 : 2;
    dimensions_ += facts.width;
    for (const auto& [parent, value] : parameter.when) {
      const auto at = static_cast<size_t>(Find(parent) - parameters_.data());
      facts.when.emplace_back(at, IndexOf(at, value));
    }
  }
}

const Parameter* Space::Find(std::string_view name) const noexcept {
  for (const Parameter& parameter : parameters_)
    if (parameter.name == name) return &parameter;
  return nullptr;
}

bool Space::IsChoice(size_t parameter) const noexcept {
  return std::holds_alternative<ChoiceList>(parameters_[parameter].domain);
}

bool Space::conditional() const noexcept {
  return std::any_of(parameters_.begin(), parameters_.end(),
                     [](const Parameter& p) { return !p.when.empty(); });
}

bool Space::Active(size_t parameter, const Params& params) const {
  // An inactive parent is absent from `params`, so its children fall with it.
  for (const auto& [parent, value] : parameters_[parameter].when) {
    auto found = params.find(parent);
    if (found == params.end() || !SameValue(found->second, value)) return false;
  }
  return true;
}

bool Space::Active(size_t parameter, std::span<const double> draw) const noexcept {
  for (const auto& [parent, index] : facts_[parameter].when)
    if (std::isnan(draw[parent]) || IndexAt(parent, draw[parent]) != index) return false;
  return true;
}

ParamValue Space::FromUnit(const Parameter& parameter, double u) {
  u = std::clamp(u, 0.0, 1.0);
  if (const auto* f = std::get_if<FloatRange>(&parameter.domain)) {
    if (const int64_t count = CountValues(*f)) return ValueOf(*f, IndexInCount(u, count));
    if (!f->log) return std::clamp(f->low + u * (f->high - f->low), f->low, f->high);
    const double low = std::log(f->low), high = std::log(f->high);
    return std::clamp(std::exp(low + u * (high - low)), f->low, f->high);
  }
  if (const auto* i = std::get_if<IntRange>(&parameter.domain)) {
    if (!i->log) return ValueOf(*i, IndexInCount(u, CountValues(*i)));
    const LogEdges edges(*i);
    const double x = std::exp(edges.low + u * (edges.high - edges.low));
    return std::clamp(static_cast<int64_t>(std::llround(x)), i->low, i->high);
  }
  const auto& list = std::get<ChoiceList>(parameter.domain);
  return list.values[static_cast<size_t>(IndexInCount(u, CountValues(list)))];
}

double Space::ToUnit(const Parameter& parameter, const ParamValue& value) {
  const double x = Number(value);
  if (const auto* f = std::get_if<FloatRange>(&parameter.domain)) {
    if (const int64_t count = CountValues(*f)) return Middle(NearestIndex(*f, x), count);
    if (!f->log) return std::clamp((x - f->low) / (f->high - f->low), 0.0, 1.0);
    if (x <= 0) return 0;
    return std::clamp((std::log(x) - std::log(f->low)) / (std::log(f->high) - std::log(f->low)), 0.0, 1.0);
  }
  const auto& range = std::get<IntRange>(parameter.domain);
  if (!range.log) return Middle(NearestIndex(range, x), CountValues(range));
  const LogEdges edges(range);
  const double clamped = std::clamp(x, static_cast<double>(range.low), static_cast<double>(range.high));
  return (std::log(clamped) - edges.low) / (edges.high - edges.low);
}

ParamValue Space::ValueAt(size_t parameter, int64_t index) const {
  const Parameter& p = parameters_[parameter];
  if (const auto* f = std::get_if<FloatRange>(&p.domain)) return ValueOf(*f, index);
  if (const auto* i = std::get_if<IntRange>(&p.domain)) return ValueOf(*i, index);
  return std::get<ChoiceList>(p.domain).values[static_cast<size_t>(index)];
}

int64_t Space::IndexOf(size_t parameter, const ParamValue& value) const {
  const Parameter& p = parameters_[parameter];
  if (const auto* f = std::get_if<FloatRange>(&p.domain)) return NearestIndex(*f, Number(value));
  if (const auto* i = std::get_if<IntRange>(&p.domain)) return NearestIndex(*i, Number(value));
  const auto& values = std::get<ChoiceList>(p.domain).values;
  for (size_t k = 0; k < values.size(); ++k)
    if (SameValue(values[k], value)) return static_cast<int64_t>(k);
  return -1;
}

int64_t Space::IndexAt(size_t parameter, double u) const noexcept {
  const auto* range = std::get_if<IntRange>(&parameters_[parameter].domain);
  if (range == nullptr || !range->log) return IndexInCount(u, facts_[parameter].values);
  return std::get<int64_t>(FromUnit(parameters_[parameter], u)) - range->low;
}

std::pair<double, double> Space::ShareAt(size_t parameter, double u) const noexcept {
  const auto index = static_cast<double>(IndexAt(parameter, u));
  const auto* range = std::get_if<IntRange>(&parameters_[parameter].domain);
  if (range == nullptr || !range->log) {
    const auto count = static_cast<double>(facts_[parameter].values);
    return {index / count, (index + 1) / count};
  }
  const LogEdges edges(*range);
  const double value = static_cast<double>(range->low) + index, width = edges.high - edges.low;
  return {(std::log(value - 0.5) - edges.low) / width, (std::log(value + 0.5) - edges.low) / width};
}

Params Space::FromDraw(std::span<const double> draw) const {
  Params params;
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (Active(i, params))
      params.emplace_hint(params.end(), parameters_[i].name, FromUnit(parameters_[i], draw[i]));
  return params;
}

std::vector<double> Space::ToDraw(const Params& params) const {
  std::vector<double> draw(parameters_.size(), std::nan(""));
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const auto found = params.find(parameters_[i].name);
    if (found == params.end() || !Active(i, draw)) continue;
    if (!IsChoice(i)) {
      draw[i] = ToUnit(parameters_[i], found->second);
    } else if (const int64_t index = IndexOf(i, found->second); index >= 0) {
      draw[i] = Middle(index, facts_[i].values);
    }
  }
  return draw;
}

void Space::Settle(std::span<double> draw) const {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const int64_t values = facts_[i].values;
    if (!Active(i, draw)) {
      draw[i] = std::nan("");
    } else if (values > 0) {
      const auto* range = std::get_if<IntRange>(&parameters_[i].domain);
      draw[i] = range != nullptr && range->log ? ToUnit(parameters_[i], FromUnit(parameters_[i], draw[i]))
                                               : Middle(IndexInCount(draw[i], values), values);
    }
  }
}

void Space::ToPoint(std::span<const double> draw, std::span<double> point) const {
  std::fill(point.begin(), point.end(), 0.0);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (std::isnan(draw[i])) continue;
    if (IsChoice(i)) {
      point[facts_[i].offset + static_cast<size_t>(IndexAt(i, draw[i]))] = kOneHot;
    } else {
      PlaceNumber(i, draw[i], point);
    }
  }
}

void Space::PlaceNumber(size_t parameter, double u, std::span<double> point) const {
  const Facts& facts = facts_[parameter];
  if (facts.width == 1) {
    point[facts.offset] = u;
  } else {
    point[facts.offset] = std::cos(u);
    point[facts.offset + 1] = std::sin(u);
  }
}

double Space::NumberGradient(size_t parameter, double u, std::span<const double> gradient) const {
  const Facts& facts = facts_[parameter];
  if (facts.width == 1) return gradient[facts.offset];
  return std::cos(u) * gradient[facts.offset + 1] - std::sin(u) * gradient[facts.offset];
}

void Space::Check(const Params& params) const {
  for (const auto& [name, value] : params)
    if (!Find(name)) Reject(name, "is not in the space");
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = parameters_[i];
    auto found = params.find(p.name);
    if (!Active(i, params)) {
      if (found != params.end()) Reject(p.name, "is given although its condition does not hold");
      continue;
    }
    if (found == params.end()) Reject(p.name, "has no value");
    const ParamValue& value = found->second;
    const double x = Number(value);
    if (const auto* f = std::get_if<FloatRange>(&p.domain)) {
      if (!(x >= f->low && x <= f->high))
        Reject(p.name, fmt::format("{}: expected a number from {} to {}", ValueText(value), f->low, f->high));
      if (f->step > 0 && std::abs(x - ValueOf(*f, NearestIndex(*f, x))) > 1e-9 * f->step)
        Reject(p.name, fmt::format("{}: expected {} and steps of {}", ValueText(value), f->low, f->step));
    } else if (const auto* r = std::get_if<IntRange>(&p.domain)) {
      if (!(x >= static_cast<double>(r->low) && x <= static_cast<double>(r->high) && x == std::floor(x)))
        Reject(p.name,
               fmt::format("{}: expected a whole number from {} to {}", ValueText(value), r->low, r->high));
      if ((std::llround(x) - r->low) % r->step != 0)
        Reject(p.name, fmt::format("{}: expected {} and steps of {}", ValueText(value), r->low, r->step));
    } else if (IndexOf(i, value) < 0) {
      std::string accepted;
      for (const ParamValue& v : std::get<ChoiceList>(p.domain).values)
        accepted += (accepted.empty() ? "" : ", ") + ValueText(v);
      Reject(p.name, fmt::format("{}: expected one of {}", ValueText(value), accepted));
    }
  }
  if (!Allows(ToDraw(params)))
    throw Error(Code::kInvalidArgument,
                fmt::format("parameters {} break a constraint of the space", ParamsText(params)));
}

bool Space::discrete() const noexcept {
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (ValueCount(i) == 0) return false;
  return true;
}

double Space::MostConfigurations() const noexcept {
  double most = 1;
  for (size_t i = 0; i < parameters_.size(); ++i) most *= static_cast<double>(ValueCount(i));
  return most;
}

void Space::Enumerate(int64_t steps, const std::function<bool(const Params&)>& visit) const {
  if (steps == 0 && !discrete())
    throw Error(Code::kInvalidArgument, "the space has a continuous range: give the number of grid steps");
  Params params;
  std::function<bool(size_t)> descend = [&](size_t i) {
    if (i == parameters_.size()) return !Allows(ToDraw(params)) || visit(params);
    if (!Active(i, params)) return descend(i + 1);
    const int64_t values = ValueCount(i);
    const int64_t count = values == 0 ? steps : values;
    for (int64_t k = 0; k < count; ++k) {
      params[parameters_[i].name] =
          values == 0 ? FromUnit(parameters_[i], (static_cast<double>(k) + 0.5) / static_cast<double>(count))
                      : ValueAt(i, k);
      if (!descend(i + 1)) return false;
    }
    params.erase(parameters_[i].name);
    return true;
  };
  descend(0);
}

bool SameValue(const ParamValue& a, const ParamValue& b) noexcept {
  auto is_number = [](const ParamValue& v) {
    return std::holds_alternative<int64_t>(v) || std::holds_alternative<double>(v);
  };
  if (is_number(a) && is_number(b)) return Number(a) == Number(b);
  return a == b;
}

}  // namespace strop::tune
