#include "strop/loop/server.h"

#include <chrono>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/line_socket.h"
#include "strop/loop/verb_runner.h"

namespace strop::loop {
namespace {

using std::chrono::seconds;
constexpr auto kStartTimeout = seconds(60);
constexpr auto kSwapTimeout = seconds(120);
constexpr auto kEarly = seconds(10);
constexpr int kEarlyDeathsAllowed = 3;

nlohmann::json Ask(const std::filesystem::path& socket, const nlohmann::json& request,
                   std::chrono::milliseconds timeout) {
  LineSocket control = LineSocket::Connect(socket);
  control.WriteLine(request.dump());
  const auto line = control.ReadLine(timeout);
  if (!line)
    throw Error(Code::kUnavailable, fmt::format("the server closed {} without an answer", socket.string()));
  const auto answer = nlohmann::json::parse(*line);
  if (answer.contains("error")) {
    throw Error(Code::kFailedPrecondition, answer.value("message", answer["error"].dump()));
  }
  return answer;
}

}  // namespace

ServerProcess::ServerProcess(const Project& project, std::filesystem::path reference, Log log)
    : project_(project), reference_(std::move(reference)), log_(std::move(log)) {}

void ServerProcess::Start(const std::filesystem::path& model) {
  model_ = model;
  Launch();
  log_("serving", nlohmann::json{{"http", http_}, {"pid", process_->pid()}}.dump());
}

void ServerProcess::Launch() {
  const auto log_file = project_.loop.directory / "logs" / "serve.log";
  std::filesystem::create_directories(log_file.parent_path());
  ProcessOptions options;
  options.command = {(VerbFolder() / "strop-serve").string(),
                     project_.file.string(),
                     "--model",
                     project_.serve.name + "=" + model_.string(),
                     "--reference",
                     reference_.string(),
                     "--json"};
  if (!http_.empty()) options.command.insert(options.command.end(), {"--http", http_});
  options.directory = project_.folder();
  options.output = log_file;
  process_.emplace(options);
  started_ = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - started_ < kStartTimeout) {
    if (const auto status = process_->Poll()) {
      throw Error(Code::kUnavailable, fmt::format("strop serve ended with {} at its start: {}", *status,
                                                  LastLine(ReadFile(log_file))));
    }
    try {
      const auto status =
          Ask(project_.loop.directory / "serve.sock", {{"status", nlohmann::json::object()}}, seconds(5));
      if (status.value("pid", 0) == process_->pid()) {
        http_ = status.at("http").get<std::string>();
        return;
      }
    } catch (const Error& error) {
      if (error.code() != Code::kUnavailable && error.code() != Code::kTimeout) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  throw Error(Code::kTimeout, fmt::format("strop serve was not ready after {} s (its log: {})",
                                          kStartTimeout.count(), log_file.string()));
}

void ServerProcess::KeepAlive() {
  if (!process_) return;
  const auto status = process_->Poll();
  if (!status) return;
  early_deaths_ = std::chrono::steady_clock::now() - started_ < kEarly ? early_deaths_ + 1 : 0;
  if (early_deaths_ >= kEarlyDeathsAllowed) {
    throw Error(Code::kUnavailable,
                fmt::format("strop serve died {} times in a row within {} s of its start, last with {}",
                            early_deaths_, kEarly.count(), *status));
  }
  log_("server_died", nlohmann::json{{"status", *status}}.dump());
  Launch();
  log_("server_back", nlohmann::json{{"http", http_}, {"pid", process_->pid()}}.dump());
}

void ServerProcess::Swap(const std::filesystem::path& model, const std::filesystem::path& reference) {
  Ask(project_.loop.directory / "serve.sock",
      {{"load",
        {{"name", project_.serve.name}, {"path", model.string()}, {"reference", reference.string()}}}},
      kSwapTimeout);
  model_ = model;
  reference_ = reference;
}

void ServerProcess::Stop() {
  if (process_) process_->Stop();
  process_.reset();
}

}  // namespace strop::loop
