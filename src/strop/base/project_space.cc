// [tune.space.NAME]: the parameters of a study, with the conditions under which they are active.

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/project_value.h"

namespace strop::project {
namespace {

using Parameters = std::map<std::string, ParameterSection>;
constexpr double kHuge = 1e300;
constexpr int64_t kLargestInt = int64_t{1} << 53;  // samplers work in double

ChoiceValue ReadChoice(const Spot& spot) {
  if (const auto* flag = spot.node->as_boolean()) return flag->get();
  if (const auto* whole = spot.node->as_integer()) return whole->get();
  if (const auto* real = spot.node->as_floating_point(); real != nullptr && std::isfinite(real->get()))
    return real->get();
  if (const auto* text = spot.node->as_string()) return text->get();
  spot.RefuseExpected("a text, a number or true or false");
}

nlohmann::json ChoiceJson(const ChoiceValue& choice) {
  return std::visit([](const auto& value) { return nlohmann::json(value); }, choice);
}

std::string ChoiceTexts(const ChoiceList& list) {
  std::string text;
  for (const ChoiceValue& value : list.values) text += (text.empty() ? "" : ", ") + ChoiceJson(value).dump();
  return text;
}

// The table of one parameter: which keys were read, so that the others are refused.
class ParameterReader {
 public:
  explicit ParameterReader(const Spot& spot) : spot_(spot), table_(spot.node->as_table()) {
    if (table_ == nullptr) spot.RefuseExpected("a table with type, and low and high or values");
  }

  ParameterSection Read() {
    const std::string type = OneOf({"float", "int", "choice"}).read(Required("type"));
    ParameterSection out;
    if (type == "float") out.domain = Range<FloatRange>(Real(-kHuge, kHuge), 0.0);
    if (type == "int") out.domain = Range<IntRange>(Whole(-kLargestInt, kLargestInt), int64_t{1});
    if (type == "choice") out.domain = Choices(Required("values"));
    if (const auto when = Optional("when")) out.when = Conditions(*when);
    for (const auto& [key, value] : *table_) {
      if (known_.count(std::string(key.str())) == 0) {
        RefuseUnknown(At(key.str(), value), key, {known_.begin(), known_.end()});
      }
    }
    return out;
  }

 private:
  Spot At(std::string_view key, const toml::node& value) const { return spot_.Inside(key, value); }

  std::optional<Spot> Optional(const std::string& key) {
    known_.insert(key);
    const toml::node* value = table_->get(key);
    if (value == nullptr) return std::nullopt;
    return At(key, *value);
  }

  Spot Required(const std::string& key) {
    const auto spot = Optional(key);
    if (!spot) spot_.Refuse(fmt::format("{} is missing", key));
    return *spot;
  }

  // lowest_log: where a logarithmic range may begin (above it for reals, at it for whole numbers).
  template <class R, class T>
  R Range(const Kind<T>& kind, T lowest_log) {
    R range;
    const Spot low = Required("low"), high = Required("high");
    range.low = kind.read(low);
    range.high = kind.read(high);
    if (range.low >= range.high) high.Refuse(fmt::format("expected more than low, which is {}", range.low));
    if (const auto log = Optional("log")) {
      if (!log->node->is_boolean()) log->RefuseExpected("true or false");
      range.log = log->node->as_boolean()->get();
    }
    const bool fits = std::is_integral_v<T> ? range.low >= lowest_log : range.low > lowest_log;
    if (range.log && !fits) low.Refuse("a logarithmic range begins above 0: raise low or remove log");
    if (const auto step = Optional("step")) {
      range.step = kind.read(*step);
      if (!(range.step > 0)) step->RefuseExpected("a number above 0");
      if (range.log) step->Refuse("a logarithmic range has no step: remove one of them");
    }
    return range;
  }

  ChoiceList Choices(const Spot& spot) {
    const auto* list = spot.node->as_array();
    if (list == nullptr || list->empty())
      spot.RefuseExpected("a list of at least one value, such as [\"sgd\", \"adam\"]");
    ChoiceList out;
    for (const toml::node& item : *list) {
      const ChoiceValue value = ReadChoice({spot.file, spot.section, spot.key, &item});
      if (std::find(out.values.begin(), out.values.end(), value) != out.values.end()) {
        spot.Refuse(fmt::format("{} stands there twice", ChoiceJson(value).dump()));
      }
      out.values.push_back(value);
    }
    return out;
  }

  std::map<std::string, ChoiceValue> Conditions(const Spot& spot) {
    const auto* table = spot.node->as_table();
    if (table == nullptr || table->empty()) spot.RefuseExpected("a table such as { opt = \"sgd\" }");
    std::map<std::string, ChoiceValue> out;
    for (const auto& [key, value] : *table)
      out[std::string(key.str())] = ReadChoice(spot.Inside(key.str(), value));
    return out;
  }

  const Spot& spot_;
  const toml::table* table_;
  std::set<std::string> known_;
};

// A condition names a choice parameter and one of its values, and conditions make no circle.
void CheckConditions(const Spot& spot, const Parameters& space) {
  const toml::table& table = *spot.node->as_table();
  for (const auto& [name, parameter] : space) {
    const toml::node* when = table[name]["when"].node();
    for (const auto& [other, value] : parameter.when) {
      Spot at{spot.file, "tune.space." + name + ".when", other, when->as_table()->get(other)};
      const auto target = space.find(other);
      if (target == space.end()) {
        std::vector<std::string> names;
        for (const auto& [known, unused] : space) names.push_back(known);
        at.Refuse(fmt::format("no parameter of that name{}", Suggest(other, names)));
      }
      const auto* choices = std::get_if<ChoiceList>(&target->second.domain);
      if (choices == nullptr)
        at.Refuse(fmt::format("{} is not of type choice, which conditions need", other));
      if (std::find(choices->values.begin(), choices->values.end(), value) == choices->values.end()) {
        at.RefuseExpected(fmt::format("one of {}", ChoiceTexts(*choices)));
      }
    }
    // Depth first from every parameter: reaching the start again is a circle.
    std::set<std::string> seen;
    std::vector<std::string> next = {name};
    while (!next.empty()) {
      const std::string at = next.back();
      next.pop_back();
      for (const auto& [other, unused] : space.at(at).when) {
        if (other == name) {
          Spot{spot.file, "tune.space." + name, "when", when}.Refuse(
              "the conditions make a circle: remove one of them");
        }
        if (space.count(other) > 0 && seen.insert(other).second) next.push_back(other);
      }
    }
  }
}

nlohmann::json ParameterJson(const ParameterSection& parameter) {
  nlohmann::json out;
  if (const auto* real = std::get_if<FloatRange>(&parameter.domain)) {
    out = {{"type", "float"}, {"low", real->low}, {"high", real->high}, {"log", real->log}};
    if (real->step > 0) out["step"] = real->step;
  } else if (const auto* whole = std::get_if<IntRange>(&parameter.domain)) {
    out = {{"type", "int"}, {"low", whole->low}, {"high", whole->high}, {"log", whole->log}};
    if (whole->step > 1) out["step"] = whole->step;
  } else {
    out = {{"type", "choice"}, {"values", nlohmann::json::array()}};
    for (const ChoiceValue& value : std::get<ChoiceList>(parameter.domain).values)
      out["values"].push_back(ChoiceJson(value));
  }
  for (const auto& [other, value] : parameter.when) out["when"][other] = ChoiceJson(value);
  return out;
}

}  // namespace

Kind<Parameters> Space() {
  const std::string accepted = "a table [tune.space.NAME] a parameter";
  return {accepted,
          [accepted](const Spot& spot) {
            const auto* table = spot.node->as_table();
            if (table == nullptr) spot.RefuseExpected(accepted);
            Parameters space;
            for (const auto& [name, value] : *table) {
              const Spot inside = spot.Inside(name.str(), value);
              if (name.str().empty()) inside.Refuse("a parameter needs a name");
              space[std::string(name.str())] = ParameterReader(inside).Read();
            }
            CheckConditions(spot, space);
            return space;
          },
          [](const Parameters& space) {
            nlohmann::json out = nlohmann::json::object();
            for (const auto& [name, parameter] : space) out[name] = ParameterJson(parameter);
            return out;
          }};
}

}  // namespace strop::project
