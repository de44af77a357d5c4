#pragma once

#include <string>

#include "strop/store/database.h"
#include "strop/watch/label_queue.h"

namespace strop::watch {

// Throws kNotFound naming the request id unless it is captured.
void RequireCapture(store::Database& database, const std::string& request_id);
// Within a transaction.
void InsertWish(store::Database& database, const Wish& wish);

}  // namespace strop::watch
