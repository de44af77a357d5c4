#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "strop/base/api.h"
#include "strop/base/process.h"
#include "strop/base/project.h"

namespace strop::loop {

// The `strop serve` process of a project, and a companion beside it. Used by one thread, which must live as
// long.
class STROP_API ServerProcess {
 public:
  // log(event, detail as JSON) is told of starts and deaths.
  using Log = std::function<void(const std::string&, const std::string&)>;
  ServerProcess(const Project& project, std::filesystem::path reference, Log log);

  // Starts the server and waits until it answers on its control socket. Throws kUnavailable with the last
  // line of its log when it ends before that (a port in use).
  void Start(const std::filesystem::path& model);
  // Starts it again when it died; the server itself comes back with the champion it last acknowledged. Throws
  // kUnavailable when it died within ten seconds of its start three times in a row.
  void KeepAlive();
  // Loads `model` as the champion, watched against the rows of `reference`, and waits until it is live and
  // saved. Throws what the server answers.
  void Swap(const std::filesystem::path& model, const std::filesystem::path& reference);
  void Stop();

  const std::string& http() const noexcept { return http_; }

 private:
  void Launch();

  const Project& project_;
  std::filesystem::path reference_;
  Log log_;
  std::filesystem::path model_;
  std::string http_;
  std::optional<Process> process_;
  std::chrono::steady_clock::time_point started_;
  int early_deaths_ = 0;
};

}  // namespace strop::loop
