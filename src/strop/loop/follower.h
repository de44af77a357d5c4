#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "strop/base/api.h"

namespace strop::loop {

// The lines that a growing file gains; what it holds already is skipped. Used by one thread.
class STROP_API Follower {
 public:
  // The file is made if it is not there yet.
  explicit Follower(const std::filesystem::path& file);
  // Calls hear(line) for each line that was finished since the last call.
  void ReadLines(const std::function<void(const std::string&)>& hear);

 private:
  std::ifstream file_;
  std::string line_;
};

}  // namespace strop::loop
