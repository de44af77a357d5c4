#pragma once

#include <string>
#include <string_view>

#include "strop/base/api.h"

namespace strop::store::postgres {

// SQLite's SQL as PostgreSQL understands it; strings, quoted names and comments stay as they are.
// - ? and ?1 are $1.
// - In CREATE TABLE and ALTER TABLE … ADD, the type of a column: INTEGER is BIGINT, REAL is DOUBLE PRECISION
//   (REAL has 4 bytes there), BLOB is BYTEA, TEXT compares by bytes (COLLATE "C"), INTEGER PRIMARY KEY
//   [AUTOINCREMENT] counts up by itself, and a column without a type, which may hold a number or a text, is
//   JSONB.
// All else is passed on, so that it must be SQL that both understand.
STROP_API std::string ToPostgres(std::string_view sql);

}  // namespace strop::store::postgres
