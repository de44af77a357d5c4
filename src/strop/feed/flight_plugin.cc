#include "strop/feed/flight_plugin.h"

#include <dlfcn.h>

#include <filesystem>
#include <mutex>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/feed/service.h"

namespace strop::feed {
namespace {

FlightPlugin& Plugin() {
  static FlightPlugin plugin;
  return plugin;
}

}  // namespace

void RegisterFlight(FlightPlugin plugin) { Plugin() = std::move(plugin); }

const FlightPlugin& Flight() {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  if (!Plugin().open) {
    Dl_info here{};
    dladdr(reinterpret_cast<void*>(&Flight), &here);
    const auto path = std::filesystem::path(here.dli_fname).parent_path() / "libstrop_feed_flight.so";
    if (dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr || !Plugin().open) {
      const char* reason = dlerror();
      throw Error(Code::kFailedPrecondition,
                  fmt::format("Arrow Flight cannot be loaded: {}", reason ? reason : path.string()));
    }
  }
  return Plugin();
}

Service::~Service() = default;

std::unique_ptr<Service> Serve(const std::map<std::string, std::string>& sources,
                               const std::string& location) {
  return Flight().serve(sources, location);
}

std::string SourceName(const std::string& uri) {
  std::filesystem::path path(uri);
  if (uri.find_first_of("*?[") != std::string::npos && path.has_parent_path()) path = path.parent_path();
  return path.stem().string();
}

}  // namespace strop::feed
