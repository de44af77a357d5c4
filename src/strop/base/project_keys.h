#pragma once

#include <functional>
#include <string>
#include <vector>

#include "strop/base/project_value.h"

namespace strop::project {

struct Key {
  std::string section, name, accepted, doc;
  std::function<void(Project&, const Spot&)> read;
  std::function<nlohmann::json(const Project&)> show;
};

// Every key of strop.toml, in the order of the documents: the parser, `strop check` and docs/project.md
// follow it.
const std::vector<Key>& Keys();

}  // namespace strop::project
