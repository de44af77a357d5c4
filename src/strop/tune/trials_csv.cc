#include "strop/tune/trials_csv.h"

#include <set>

#include <fmt/format.h>

namespace strop::tune {
namespace {

std::string Quoted(const std::string& text) {
  if (!text.empty() && text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

std::string Field(const ParamValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text ? Quoted(*text) : ValueText(value);
}

std::string Line(const std::vector<std::string>& fields) {
  return fmt::format("{}\n", fmt::join(fields, ","));
}

}  // namespace

std::vector<std::string> ValueColumns(const Study& study) {
  const size_t objectives = study.directions().size();
  if (objectives == 1) return {"value"};
  std::vector<std::string> names;
  for (size_t i = 0; i < objectives; ++i) names.push_back(fmt::format("value_{}", i));
  return names;
}

std::string TrialsCsv(Study& study) {
  const std::vector<TrialRecord> trials = study.Trials();
  const std::vector<std::string> values = ValueColumns(study);
  std::set<std::string> names, constraints;
  for (const TrialRecord& trial : trials) {
    for (const auto& [name, value] : trial.params) names.insert(name);
    for (const auto& [name, violation] : trial.violations) constraints.insert(name);
  }

  std::vector<std::string> header = {"number",   "state",   "error",   "sampler",
                                     "attempts", "started", "finished"};
  header.insert(header.end(), values.begin(), values.end());
  for (const std::string& name : constraints) header.push_back(Quoted("constraint_" + name));
  for (const std::string& name : names) header.push_back(Quoted("params_" + name));
  std::string csv = Line(header);
  for (const TrialRecord& trial : trials) {
    std::vector<std::string> fields = {std::to_string(trial.number),
                                       std::string(TrialStateName(trial.state)),
                                       Quoted(trial.error),
                                       Quoted(trial.sampler),
                                       std::to_string(trial.attempts),
                                       fmt::format("{}", trial.started),
                                       fmt::format("{}", trial.finished)};
    for (size_t i = 0; i < values.size(); ++i)
      fields.push_back(i < trial.values.size() ? fmt::format("{}", trial.values[i]) : "");
    for (const std::string& name : constraints) {
      const auto found = trial.violations.find(name);
      fields.push_back(found == trial.violations.end() ? "" : fmt::format("{}", found->second));
    }
    for (const std::string& name : names) {
      const auto found = trial.params.find(name);
      fields.push_back(found == trial.params.end() ? "" : Field(found->second));
    }
    csv += Line(fields);
  }
  return csv;
}

}  // namespace strop::tune
