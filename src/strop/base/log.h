#pragma once

#include <memory>
#include <string_view>

#include <spdlog/logger.h>

#include "strop/base/api.h"

namespace strop {

// The log of one room ("feed", "serve", …). Silent until a program calls InitLog: libraries never print of
// themselves. Thread safe; the reference lives as long as the process.
STROP_API spdlog::logger& Log(std::string_view room);

// Sends all logs to stderr at `level` (trace, debug, info, warning, error, off); STROP_LOG overrides the
// level. Throws kInvalidArgument for another level.
STROP_API void InitLog(std::string_view level);

}  // namespace strop
