#pragma once

#include <string>

#include "strop/base/api.h"

namespace strop::tune {

// Names the calling process for as long as machines run: host, boot, process id, start time.
STROP_API std::string ProcessOwner();
// Whether the process of that name has certainly ended. False for one of another host.
STROP_API bool OwnerIsDead(const std::string& owner);

}  // namespace strop::tune
