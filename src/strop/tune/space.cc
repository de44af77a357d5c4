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

// An integer owns the interval of half a step to either side, so that its ends are as likely as its middle.
struct Edges {
  double low, high;
};
Edges IntEdges(const IntRange& range) {
  double low = static_cast<double>(range.low) - 0.5;
  double high = static_cast<double>(range.high) + 0.5;
  if (range.log) return {std::log(low), std::log(high)};
  return {low, high};
}

void CheckDomain(const Parameter& parameter) {
  const std::string& name = parameter.name;
  if (name.empty()) throw Error(Code::kInvalidArgument, "a parameter has an empty name");
  if (const auto* f = std::get_if<FloatRange>(&parameter.domain)) {
    if (!std::isfinite(f->low) || !std::isfinite(f->high)) Reject(name, "low and high must be finite");
    if (f->low > f->high) Reject(name, fmt::format("low = {} is above high = {}", f->low, f->high));
    if (f->log && f->low <= 0) Reject(name, fmt::format("low = {} in a log range: expected above 0", f->low));
  } else if (const auto* i = std::get_if<IntRange>(&parameter.domain)) {
    if (i->low > i->high) Reject(name, fmt::format("low = {} is above high = {}", i->low, i->high));
    if (i->log && i->low < 1)
      Reject(name, fmt::format("low = {} in a log range: expected at least 1", i->low));
    constexpr int64_t kExact = int64_t{1} << 53;
    if (i->low < -kExact || i->high > kExact)
      Reject(name, fmt::format("range {} to {}: expected whole numbers within 2^53", i->low, i->high));
  } else {
    const auto& values = std::get<ChoiceList>(parameter.domain).values;
    if (values.empty()) Reject(name, "a choice needs at least one value");
    for (size_t a = 0; a < values.size(); ++a)
      for (size_t b = 0; b < a; ++b)
        if (SameValue(values[a], values[b]))
          Reject(name, fmt::format("value {} is listed twice", ValueText(values[a])));
  }
}

}  // namespace

bool Parameter::operator==(const Parameter& other) const {
  auto same_domain = [&] {
    if (domain.index() != other.domain.index()) return false;
    if (const auto* f = std::get_if<FloatRange>(&domain)) {
      const auto& g = std::get<FloatRange>(other.domain);
      return f->low == g.low && f->high == g.high && f->log == g.log;
    }
    if (const auto* i = std::get_if<IntRange>(&domain)) {
      const auto& j = std::get<IntRange>(other.domain);
      return i->low == j.low && i->high == j.high && i->log == j.log;
    }
    const auto& a = std::get<ChoiceList>(domain).values;
    const auto& b = std::get<ChoiceList>(other.domain).values;
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), SameValue);
  };
  return name == other.name && same_domain() &&
         std::equal(when.begin(), when.end(), other.when.begin(), other.when.end(),
                    [](auto& a, auto& b) { return a.first == b.first && SameValue(a.second, b.second); });
}

Space::Space(std::vector<Parameter> parameters) : parameters_(std::move(parameters)) { Validate(); }

Space Space::FromProject(const std::map<std::string, ParameterSection>& space) {
  std::vector<Parameter> parameters;
  for (const auto& [name, section] : space) parameters.push_back({name, section.domain, section.when});
  return Space(std::move(parameters));
}

void Space::Add(Parameter parameter) {
  std::vector<Parameter> parameters = parameters_;
  parameters.push_back(std::move(parameter));
  *this = Space(std::move(parameters));
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
  offsets_.clear();
  dimensions_ = 0;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    offsets_.push_back(dimensions_);
    dimensions_ += width(i);
  }
}

const Parameter* Space::Find(std::string_view name) const noexcept {
  for (const Parameter& parameter : parameters_)
    if (parameter.name == name) return &parameter;
  return nullptr;
}

size_t Space::width(size_t parameter) const noexcept {
  const auto* list = std::get_if<ChoiceList>(&parameters_[parameter].domain);
  return list ? list->values.size() : 1;
}

bool Space::Active(size_t parameter, const Params& params) const {
  // An inactive parent is absent from `params`, so its children fall with it.
  for (const auto& [parent, value] : parameters_[parameter].when) {
    auto found = params.find(parent);
    if (found == params.end() || !SameValue(found->second, value)) return false;
  }
  return true;
}

ParamValue Space::FromUnit(const Parameter& parameter, double u) {
  u = std::clamp(u, 0.0, 1.0);
  if (const auto* f = std::get_if<FloatRange>(&parameter.domain)) {
    if (!f->log) return std::clamp(f->low + u * (f->high - f->low), f->low, f->high);
    const double low = std::log(f->low), high = std::log(f->high);
    return std::clamp(std::exp(low + u * (high - low)), f->low, f->high);
  }
  if (const auto* i = std::get_if<IntRange>(&parameter.domain)) {
    const Edges edges = IntEdges(*i);
    double x = edges.low + u * (edges.high - edges.low);
    if (i->log) x = std::exp(x);
    return std::clamp(static_cast<int64_t>(std::llround(x)), i->low, i->high);
  }
  const auto& values = std::get<ChoiceList>(parameter.domain).values;
  return values[std::min(values.size() - 1, static_cast<size_t>(u * static_cast<double>(values.size())))];
}

double Space::ToUnit(const Parameter& parameter, const ParamValue& value) {
  const double x = Number(value);
  if (const auto* f = std::get_if<FloatRange>(&parameter.domain)) {
    if (f->low == f->high) return 0.5;
    if (!f->log) return std::clamp((x - f->low) / (f->high - f->low), 0.0, 1.0);
    if (x <= 0) return 0;
    return std::clamp((std::log(x) - std::log(f->low)) / (std::log(f->high) - std::log(f->low)), 0.0, 1.0);
  }
  const auto& range = std::get<IntRange>(parameter.domain);
  const Edges edges = IntEdges(range);
  const double clamped = std::clamp(x, static_cast<double>(range.low), static_cast<double>(range.high));
  return ((range.log ? std::log(clamped) : clamped) - edges.low) / (edges.high - edges.low);
}

int64_t Space::ValueCount(size_t parameter) const noexcept {
  const Parameter& p = parameters_[parameter];
  if (const auto* f = std::get_if<FloatRange>(&p.domain)) return f->low == f->high ? 1 : 0;
  if (const auto* i = std::get_if<IntRange>(&p.domain)) return i->high - i->low + 1;
  return static_cast<int64_t>(std::get<ChoiceList>(p.domain).values.size());
}

ParamValue Space::ValueAt(size_t parameter, int64_t index) const {
  const Parameter& p = parameters_[parameter];
  if (const auto* f = std::get_if<FloatRange>(&p.domain)) return f->low;
  if (const auto* i = std::get_if<IntRange>(&p.domain)) return i->low + index;
  return std::get<ChoiceList>(p.domain).values[static_cast<size_t>(index)];
}

int64_t Space::IndexOf(size_t parameter, const ParamValue& value) const {
  const Parameter& p = parameters_[parameter];
  if (std::holds_alternative<FloatRange>(p.domain)) return 0;
  if (const auto* i = std::get_if<IntRange>(&p.domain))
    return std::clamp(static_cast<int64_t>(std::llround(Number(value))), i->low, i->high) - i->low;
  const auto& values = std::get<ChoiceList>(p.domain).values;
  for (size_t k = 0; k < values.size(); ++k)
    if (SameValue(values[k], value)) return static_cast<int64_t>(k);
  return -1;
}

Params Space::FromDraw(std::span<const double> draw) const {
  Params params;
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (Active(i, params)) params[parameters_[i].name] = FromUnit(parameters_[i], draw[i]);
  return params;
}

std::vector<double> Space::ToPoint(const Params& params) const {
  std::vector<double> point(dimensions_, 0.0);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const bool choice = std::holds_alternative<ChoiceList>(parameters_[i].domain);
    auto found = params.find(parameters_[i].name);
    if (found == params.end() || !Active(i, params)) {
      if (!choice) point[offsets_[i]] = 0.5;
      continue;
    }
    if (!choice) {
      point[offsets_[i]] = ToUnit(parameters_[i], found->second);
    } else if (int64_t index = IndexOf(i, found->second); index >= 0) {
      point[offsets_[i] + static_cast<size_t>(index)] = kOneHot;
    }
  }
  return point;
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
    } else if (const auto* r = std::get_if<IntRange>(&p.domain)) {
      if (!(x >= static_cast<double>(r->low) && x <= static_cast<double>(r->high) && x == std::floor(x)))
        Reject(p.name,
               fmt::format("{}: expected a whole number from {} to {}", ValueText(value), r->low, r->high));
    } else if (IndexOf(i, value) < 0) {
      std::string accepted;
      for (const ParamValue& v : std::get<ChoiceList>(p.domain).values)
        accepted += (accepted.empty() ? "" : ", ") + ValueText(v);
      Reject(p.name, fmt::format("{}: expected one of {}", ValueText(value), accepted));
    }
  }
}

bool Space::discrete() const noexcept {
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (ValueCount(i) == 0) return false;
  return true;
}

void Space::Enumerate(int64_t steps, const std::function<bool(const Params&)>& visit) const {
  if (steps == 0 && !discrete())
    throw Error(Code::kInvalidArgument, "the space has a continuous range: give the number of grid steps");
  Params params;
  std::function<bool(size_t)> descend = [&](size_t i) {
    if (i == parameters_.size()) return visit(params);
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
