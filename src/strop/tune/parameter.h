#pragma once

#include <map>
#include <string>
#include <variant>

#include "strop/base/api.h"
#include "strop/base/project.h"

namespace strop::tune {

// A parameter's value, and the parameters of one trial by name; an inactive parameter is absent.
using ParamValue = ChoiceValue;
using Params = std::map<std::string, ParamValue>;

struct STROP_API Parameter {
  std::string name;
  std::variant<FloatRange, IntRange, ChoiceList> domain;
  std::map<std::string, ParamValue> when;  // active only if every named choice is active and has that value

  bool SameDomain(const Parameter& other) const;
  bool operator==(const Parameter& other) const;
};

// 3, 0.1, true, "adam" as JSON text; numbers compare by value whatever their type.
STROP_API std::string ValueText(const ParamValue& value);
STROP_API bool SameValue(const ParamValue& a, const ParamValue& b) noexcept;
// {"lr":0.1,"opt":"adam"}; equal configurations have equal text.
STROP_API std::string ParamsText(const Params& params);
// Throws kInvalidArgument when a value is not a boolean, number or string.
STROP_API Params ParseParams(const std::string& text);

}  // namespace strop::tune
