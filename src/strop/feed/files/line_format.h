#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/result.h>
#include <arrow/type_fwd.h>

namespace strop::feed {

// How one kind of text with a row a line is cut into rows and parsed. Immutable, thread safe.
class LineFormat {
 public:
  virtual ~LineFormat() = default;
  virtual std::string_view name() const = 0;  // "CSV"
  // Where the row that begins at `begin` ends, its line ending included; npos: not within `text`. At the end
  // of the file (`last`) a row may end without one; npos then says that it never ends.
  virtual size_t RowEnd(std::string_view text, size_t begin, bool last) const = 0;
  // Whether the first row names the columns.
  virtual bool has_header() const = 0;
  // `header`: the first row, when there is one.
  virtual arrow::Result<std::vector<std::string>> ColumnNames(
      const std::shared_ptr<arrow::Buffer>& header) const = 0;
  // Whole rows, with the types that they suggest.
  virtual arrow::Result<std::shared_ptr<arrow::Table>> Infer(const std::shared_ptr<arrow::Buffer>& block,
                                                             const std::vector<std::string>& names) const = 0;
  // Whole rows of a file of this schema: the wanted columns, in the order wanted.
  virtual arrow::Result<std::shared_ptr<arrow::Table>> Parse(
      const std::shared_ptr<arrow::Buffer>& block, const arrow::Schema& schema,
      const std::vector<std::string>& wanted) const = 0;
  // Whether any value can be read as text, so that types without another common one have that.
  virtual bool all_text() const = 0;
};

}  // namespace strop::feed
