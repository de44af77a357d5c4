#pragma once

#include <chrono>
#include <string>

#include "strop/base/api.h"

namespace strop {

// POSTs JSON to http://HOST[:PORT]/PATH and answers the body. Throws kInvalidArgument for another URL,
// kUnavailable naming it when nobody answers in time or the status is not 2xx.
STROP_API std::string PostJson(const std::string& url, const std::string& json,
                               std::chrono::milliseconds timeout = std::chrono::seconds(10));

}  // namespace strop
