#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/tune/json.h"
#include "strop/tune/space.h"

namespace strop::tune {

using nlohmann::json;

json ToJson(const ParamValue& value) {
  return std::visit([](const auto& v) { return json(v); }, value);
}

ParamValue ValueFromJson(const json& value, const std::string& name) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  throw Error(Code::kInvalidArgument,
              fmt::format("parameter \"{}\": {}: expected a boolean, number or string", name, value.dump()));
}

json ToJson(const Params& params) {
  json object = json::object();
  for (const auto& [name, value] : params) object[name] = ToJson(value);
  return object;
}

Params ParamsFromJson(const json& object) {
  if (!object.is_object())
    throw Error(Code::kInvalidArgument, fmt::format("parameters {}: expected an object", object.dump()));
  Params params;
  for (const auto& [name, value] : object.items()) params[name] = ValueFromJson(value, name);
  return params;
}

std::string ValueText(const ParamValue& value) { return ToJson(value).dump(); }
std::string ParamsText(const Params& params) { return ToJson(params).dump(); }

Params ParseParams(const std::string& text) {
  const json object = json::parse(text, nullptr, false);
  if (object.is_discarded())
    throw Error(Code::kInvalidArgument, fmt::format("parameters {}: expected a JSON object", text));
  return ParamsFromJson(object);
}

std::string Space::ToText() const {
  json list = json::array();
  for (const Parameter& p : parameters_) {
    json entry = {{"name", p.name}};
    if (const auto* f = std::get_if<FloatRange>(&p.domain)) {
      entry.update({{"type", "float"}, {"low", f->low}, {"high", f->high}, {"log", f->log}});
      if (f->step > 0) entry["step"] = f->step;
    } else if (const auto* i = std::get_if<IntRange>(&p.domain)) {
      entry.update({{"type", "int"}, {"low", i->low}, {"high", i->high}, {"log", i->log}});
      if (i->step > 1) entry["step"] = i->step;
    } else {
      json values = json::array();
      for (const ParamValue& v : std::get<ChoiceList>(p.domain).values) values.push_back(ToJson(v));
      entry.update({{"type", "choice"}, {"values", values}});
    }
    if (!p.when.empty()) entry["when"] = ToJson(p.when);
    list.push_back(std::move(entry));
  }
  for (const Constraint& constraint : constraints_) list.push_back({{"constraint", constraint.text()}});
  return list.dump();
}

Space Space::FromText(const std::string& text) {
  try {
    std::vector<Parameter> parameters;
    std::vector<std::string> constraints;
    for (const json& entry : json::parse(text)) {
      if (entry.contains("constraint")) {
        constraints.push_back(entry["constraint"]);
        continue;
      }
      Parameter p;
      p.name = entry.at("name");
      const std::string type = entry.at("type");
      if (type == "float") {
        p.domain = FloatRange{entry.at("low"), entry.at("high"), entry.at("log"), entry.value("step", 0.0)};
      } else if (type == "int") {
        p.domain =
            IntRange{entry.at("low"), entry.at("high"), entry.at("log"), entry.value("step", int64_t{1})};
      } else {
        ChoiceList list;
        for (const json& v : entry.at("values")) list.values.push_back(ValueFromJson(v, p.name));
        p.domain = std::move(list);
      }
      if (entry.contains("when")) p.when = ParamsFromJson(entry["when"]);
      parameters.push_back(std::move(p));
    }
    return Space(std::move(parameters), constraints);
  } catch (const json::exception& e) {
    throw Error(Code::kCorrupt, fmt::format("a stored search space cannot be read: {}", e.what()));
  }
}

}  // namespace strop::tune
