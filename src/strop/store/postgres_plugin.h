#pragma once

#include <functional>
#include <memory>
#include <string>

#include "strop/base/api.h"
#include "strop/store/backend.h"

namespace strop::store {

using BackendOpener = std::function<std::unique_ptr<Backend>(const std::string& url)>;

// Called by libstrop_store_postgres.so as it is loaded. libpq brings ten libraries, so it is loaded only when
// a postgresql:// URL is named.
STROP_API void RegisterPostgres(BackendOpener open);
// Loads that library from beside this one if need be. Throws kFailedPrecondition naming it and why, or what
// the opener throws. Thread safe.
std::unique_ptr<Backend> OpenPostgres(const std::string& url);

}  // namespace strop::store
