#pragma once

#include <string>

#include "strop/base/api.h"

namespace strop::tune {

// Names the calling process for as long as machines run: host name, machine id, boot, PID namespace, process
// id and start time.
STROP_API std::string ProcessOwner();
// Whether the process of that name has certainly ended. Of a process of another machine or PID namespace that
// cannot be told, so it is false; so it is for any other text.
STROP_API bool OwnerIsDead(const std::string& owner);

}  // namespace strop::tune
