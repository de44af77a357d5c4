#include "strop/loop/verb_runner.h"

#include <thread>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/process.h"
#include "strop/base/progress.h"
#include "strop/loop/follower.h"

namespace strop::loop {

std::string LastLine(const std::string& text) {
  const size_t end = text.find_last_not_of(" \n\r\t");
  if (end == std::string::npos) return "";
  const size_t newline = text.find_last_of('\n', end);
  const size_t begin = newline == std::string::npos ? 0 : newline + 1;
  return text.substr(begin, end - begin + 1);
}

VerbRunner::VerbRunner(std::filesystem::path folder, std::filesystem::path logs, std::function<void()> tick,
                       std::function<void(const std::string&)> hear)
    : folder_(std::move(folder)), logs_(std::move(logs)), tick_(std::move(tick)), hear_(std::move(hear)) {
  std::filesystem::create_directories(logs_);
}

std::string VerbRunner::Run(const std::string& verb, const std::vector<std::string>& arguments) {
  const std::filesystem::path log = logs_ / (verb + ".log");
  const std::filesystem::path result = logs_ / (verb + ".json");
  ProcessOptions options;
  options.command = {(VerbFolder() / ("strop-" + verb)).string()};
  options.command.insert(options.command.end(), arguments.begin(), arguments.end());
  options.command.push_back("--json");
  options.directory = folder_;
  options.output = log;
  options.stdout_file = result;
  options.env = {{kProgressVariable, "json"}};
  Follower follower(log);
  Process process(options);
  std::optional<int> status;
  while (!(status = process.Poll())) {
    tick_();
    follower.ReadLines(hear_);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  follower.ReadLines(hear_);
  if (*status != 0) {
    throw Error(Code::kInternal, fmt::format("strop {} ended with {}: {} (its log: {})", verb, *status,
                                             LastLine(ReadFile(log)), log.string()));
  }
  return LastLine(ReadFile(result));
}

}  // namespace strop::loop
