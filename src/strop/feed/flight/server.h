#pragma once

#include <map>
#include <memory>
#include <string>

#include "strop/feed/service.h"

namespace strop::feed::flight {

// See feed::Serve.
std::unique_ptr<Service> StartServer(const std::map<std::string, std::string>& sources,
                                     const std::string& location);

}  // namespace strop::feed::flight
