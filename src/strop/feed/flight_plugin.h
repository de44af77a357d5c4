#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/feed/source.h"

namespace strop::feed {

class Service;

// What libstrop_feed_flight.so brings. Flight and its gRPC are loaded only when a grpc:// address is named.
struct STROP_API FlightPlugin {
  std::function<std::shared_ptr<Source>(const std::string& uri, const std::vector<std::string>& columns)>
      open;
  std::function<std::unique_ptr<Service>(const std::map<std::string, std::string>& sources,
                                         const std::string& location)>
      serve;
};

// Called by the library as it is loaded.
STROP_API void RegisterFlight(FlightPlugin plugin);
// Loads the library beside this one if need be. Throws kFailedPrecondition naming it and why. Thread safe.
STROP_API const FlightPlugin& Flight();

}  // namespace strop::feed
