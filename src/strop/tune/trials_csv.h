#pragma once

#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/tune/study.h"

namespace strop::tune {

// The names of a study's objectives as columns: value, or value_0 and so on where there are several.
STROP_API std::vector<std::string> ValueColumns(const Study& study);

// The trials as CSV: a header, then a row a trial by number, quoted as RFC 4180 says, lines ended by LF.
// Columns: number, state, error, sampler, attempts, started, finished, the values, and by name
// constraint_NAME and params_NAME for every outcome constraint and parameter of any trial. What a trial lacks
// is empty; an empty text is "".
STROP_API std::string TrialsCsv(Study& study);

}  // namespace strop::tune
