#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "strop/base/api.h"
#include "strop/tune/study.h"

namespace strop::tune {

// What the page below shows: {"name", "seed", "objectives": [{"name", "direction", "importances":
// [{"parameter", "share", "deviation"}]}], "no_importance": why there are none, "parameters": as
// Space::ToText, "trials": [{"number", "state", "values", "feasible", "params", "sampler", "started",
// "finished", "error"}], "front": numbers of the trials that none beats}. `names` are the objectives';
// where there are not as many, ValueColumns.
STROP_API nlohmann::json ReportJson(Study& study, std::vector<std::string> names = {});

// One HTML page that needs nothing else, no network either: the best trial or the Pareto front, optimisation
// history, parameter importance (importance.h), parallel coordinates, slices and the table of trials.
STROP_API std::string ReportHtml(Study& study, const std::vector<std::string>& names = {});

}  // namespace strop::tune
