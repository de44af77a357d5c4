#pragma once

#include <string>

#include <libpq-fe.h>

#include "strop/store/database.h"

namespace strop::store::postgres {

// A value for a statement: in PostgreSQL's text format, but for bytes.
struct Encoded {
  bool null = false;
  bool binary = false;
  std::string bytes;
};

// For a place of which the server said that it is of `type`. NaN is null, as in SQLite. Throws
// kInvalidArgument for bytes where it wants something else, for a text with a NUL, and for a number that is
// not finite where JSON is wanted.
Encoded Encode(const Value& value, Oid type);

// A row of a result in text format.
class ResultRow final : public Row {
 public:
  ResultRow(const PGresult* result, int row) : result_(result), row_(row) {}
  bool IsNull(int column) const noexcept override;
  int64_t Int(int column) const noexcept override;
  double Real(int column) const noexcept override;
  std::string Text(int column) const override;
  Blob Bytes(int column) const override;
  Value Get(int column) const override;

 private:
  const PGresult* result_;
  int row_;
};

}  // namespace strop::store::postgres
