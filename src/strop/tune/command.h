#pragma once

#include <optional>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/tune/protocol.h"

namespace strop::tune {

// A trainer's command for one trial: every {name} of a parameter, {data}, {validation}, {budget}, {seed} and
// {out_dir} is replaced. An argument that names a parameter which is inactive in this trial is left out,
// together with the option before it when the argument is that placeholder alone ("--momentum {momentum}").
// Braces around anything but a name stay as they are. Throws kInvalidArgument naming an unknown placeholder
// and the known ones.
STROP_API std::vector<std::string> FillCommand(const std::vector<std::string>& command, const Space& space,
                                               const StartMessage& start);

// The metric of a trainer that knows nothing of the protocol: of the last "metric=number" or "metric: number"
// in its output, else of the last number printed; nullopt when there is neither. "nan" and "inf" are numbers
// after a name.
STROP_API std::optional<double> PrintedMetric(const std::string& output, const std::string& metric);

}  // namespace strop::tune
