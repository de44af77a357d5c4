#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "strop/base/api.h"

namespace strop::loop {

// Starts verbs as processes and waits for them, while `tick` goes on being called (the server is looked
// after, an interrupt is noticed: what tick throws stops the verb and is rethrown). Used by one thread.
class STROP_API VerbRunner {
 public:
  // Verbs run in `folder`; what they say on stderr goes to LOGS/<verb>.log, and `hear` gets it line by line.
  VerbRunner(std::filesystem::path folder, std::filesystem::path logs, std::function<void()> tick,
             std::function<void(const std::string&)> hear);

  // Answers the last line of stdout, a JSON object. A verb that ends with another status than 0 becomes
  // kInternal with the last line of its stderr.
  std::string Run(const std::string& verb, const std::vector<std::string>& arguments);

 private:
  std::filesystem::path folder_;
  std::filesystem::path logs_;
  std::function<void()> tick_;
  std::function<void(const std::string&)> hear_;
};

// The last line of a text that is not blank; empty when there is none.
STROP_API std::string LastLine(const std::string& text);

}  // namespace strop::loop
