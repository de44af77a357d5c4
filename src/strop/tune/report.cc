#include "strop/tune/report.h"

#include <string_view>

#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/tune/importance.h"
#include "strop/tune/json.h"
#include "strop/tune/trials_csv.h"

namespace strop::embedded {
std::string_view ReportPage() noexcept;  // report.html
std::string_view Plotly() noexcept;      // plotly.min.js, MIT
}  // namespace strop::embedded

namespace strop::tune {
namespace {

using nlohmann::json;

json TrialJson(const TrialRecord& trial) {
  return {{"number", trial.number},       {"state", TrialStateName(trial.state)}, {"values", trial.values},
          {"feasible", trial.feasible()}, {"params", ToJson(trial.params)},       {"sampler", trial.sampler},
          {"started", trial.started},     {"finished", trial.finished},           {"error", trial.error}};
}

json ImportancesJson(Study& study, size_t objective) {
  json list = json::array();
  for (const Importance& importance : ParameterImportances(study, objective))
    list.push_back({{"parameter", importance.parameter},
                    {"share", importance.share},
                    {"deviation", importance.deviation}});
  return list;
}

json ParametersJson(const Space& space) {
  json list = json::array();
  for (const json& entry : json::parse(space.ToText()))
    if (entry.contains("name")) list.push_back(entry);
  return list;
}

// Within a script of a page, where no text may look like markup; a name that is not UTF-8 is shown as far as
// it is.
std::string ScriptText(const json& value) {
  std::string text;
  for (const char c : value.dump(-1, ' ', true, json::error_handler_t::replace))
    text += c == '<' ? "\\u003c" : std::string(1, c);
  return text;
}

}  // namespace

json ReportJson(Study& study, std::vector<std::string> names) {
  if (names.size() != study.directions().size()) names = ValueColumns(study);
  json report = {
      {"name", study.name()},  {"seed", std::to_string(study.seed())},        {"objectives", json::array()},
      {"no_importance", ""},   {"parameters", ParametersJson(study.space())}, {"trials", json::array()},
      {"front", json::array()}};
  for (size_t i = 0; i < study.directions().size(); ++i) {
    json objective = {
        {"name", names[i]}, {"direction", study.directions()[i]}, {"importances", json::array()}};
    try {
      objective["importances"] = ImportancesJson(study, i);
    } catch (const Error& error) {
      if (error.code() != Code::kFailedPrecondition) throw;
      report["no_importance"] = error.what();
    }
    report["objectives"].push_back(std::move(objective));
  }
  // In this order, so that what is on the front is done among the trials, whoever ends one meanwhile.
  for (const TrialRecord& trial : study.ParetoFront()) report["front"].push_back(trial.number);
  for (const TrialRecord& trial : study.Trials()) report["trials"].push_back(TrialJson(trial));
  return report;
}

std::string ReportHtml(Study& study, const std::vector<std::string>& names) {
  constexpr std::string_view kPlotlyMark = "{{plotly}}", kStudyMark = "{{study}}";
  const std::string_view page = embedded::ReportPage();
  const size_t plotly = page.find(kPlotlyMark), data = page.find(kStudyMark);
  std::string html(page.substr(0, plotly));
  html += embedded::Plotly();
  html += page.substr(plotly + kPlotlyMark.size(), data - plotly - kPlotlyMark.size());
  html += ScriptText(ReportJson(study, names));
  html += page.substr(data + kStudyMark.size());
  return html;
}

}  // namespace strop::tune
