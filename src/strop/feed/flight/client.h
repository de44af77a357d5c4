#pragma once

#include <memory>
#include <string>
#include <vector>

#include "strop/feed/source.h"

namespace strop::feed::flight {

// A source behind grpc://HOST:PORT/NAME. The order is made here, chunk by chunk, so a loader reads the same
// rows in the same order as from the files. Throws kUnavailable when nobody answers within 10 s, kNotFound
// for another NAME.
std::shared_ptr<Source> OpenRemote(const std::string& uri, const std::vector<std::string>& columns);

}  // namespace strop::feed::flight
