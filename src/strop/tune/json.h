#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "strop/base/api.h"
#include "strop/tune/space.h"

namespace strop::tune {

// Parameters as the trial protocol, the store and the command line write them.
STROP_API nlohmann::json ToJson(const ParamValue& value);
STROP_API nlohmann::json ToJson(const Params& params);
// Throw kInvalidArgument naming the parameter when a value is not a boolean, number or string.
STROP_API ParamValue ValueFromJson(const nlohmann::json& value, const std::string& name);
STROP_API Params ParamsFromJson(const nlohmann::json& object);

}  // namespace strop::tune
