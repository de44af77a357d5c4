#include "strop/base/log.h"

#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include "strop/base/error.h"

namespace strop {
namespace {

struct Registry {
  std::mutex mutex;
  spdlog::level::level_enum level = spdlog::level::off;
  std::shared_ptr<spdlog::sinks::sink> sink;
  std::map<std::string, std::unique_ptr<spdlog::logger>, std::less<>> loggers;

  Registry() {
    const char* no_color = std::getenv("NO_COLOR");
    const bool plain = no_color != nullptr && *no_color != '\0';
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(plain ? spdlog::color_mode::never
                                                                       : spdlog::color_mode::automatic);
    sink->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %n: %v");
  }
};

// Never destroyed: threads may log while the process ends.
Registry& TheRegistry() {
  static auto* registry = new Registry;
  return *registry;
}

spdlog::level::level_enum ParseLevel(std::string_view name, std::string_view source) {
  constexpr std::pair<std::string_view, spdlog::level::level_enum> kLevels[] = {
      {"trace", spdlog::level::trace},  {"debug", spdlog::level::debug}, {"info", spdlog::level::info},
      {"warning", spdlog::level::warn}, {"error", spdlog::level::err},   {"off", spdlog::level::off}};
  for (const auto& [known, level] : kLevels) {
    if (known == name) return level;
  }
  throw Error(Code::kInvalidArgument,
              fmt::format("{} \"{}\": expected trace, debug, info, warning, error or off", source, name));
}

}  // namespace

spdlog::logger& Log(std::string_view room) {
  Registry& registry = TheRegistry();
  std::lock_guard lock(registry.mutex);
  auto found = registry.loggers.find(room);
  if (found == registry.loggers.end()) {
    auto logger = std::make_unique<spdlog::logger>(std::string(room), registry.sink);
    logger->set_level(registry.level);
    logger->flush_on(spdlog::level::warn);
    found = registry.loggers.emplace(std::string(room), std::move(logger)).first;
  }
  return *found->second;
}

void InitLog(std::string_view level) {
  const char* forced = std::getenv("STROP_LOG");
  const bool use_forced = forced != nullptr && *forced != '\0';
  const auto parsed = use_forced ? ParseLevel(forced, "STROP_LOG") : ParseLevel(level, "log level");
  Registry& registry = TheRegistry();
  std::lock_guard lock(registry.mutex);
  registry.level = parsed;
  for (auto& [name, logger] : registry.loggers) logger->set_level(parsed);
}

}  // namespace strop
