#pragma once

// Reads a whole source or chunk file and keeps every row, for tests to look at.

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/table.h>
#include <gtest/gtest.h>

#include "strop/base/test_folder.h"
#include "strop/feed/files/file_source.h"

namespace strop::feed::test {

// Rows as bytes, by column; a row that is put twice or not at all fails the test.
class CollectSink final : public RowSink {
 public:
  CollectSink(const std::vector<data::Column>& columns, int64_t rows)
      : columns_(columns),
        rows_(columns.size(), std::vector<std::string>(static_cast<size_t>(rows))),
        times_(columns.size(), std::vector<int>(static_cast<size_t>(rows))) {}

  void Put(size_t column, int64_t row, int64_t count, const uint8_t* values) override {
    const size_t bytes = columns_[column].row_bytes();
    for (int64_t i = 0; i < count; ++i) Set(column, row + i, values + static_cast<size_t>(i) * bytes, bytes);
  }
  void PutRagged(size_t column, int64_t row, const uint8_t* values, size_t bytes) override {
    EXPECT_TRUE(columns_[column].ragged());
    Set(column, row, values, bytes);
  }
  void AppendTo(std::map<std::string, std::vector<std::string>>& out) const {
    for (size_t c = 0; c < columns_.size(); ++c) {
      for (const int times : times_[c]) EXPECT_EQ(times, 1) << columns_[c].name;
      auto& rows = out[columns_[c].name];
      rows.insert(rows.end(), rows_[c].begin(), rows_[c].end());
    }
  }

 private:
  void Set(size_t column, int64_t row, const uint8_t* values, size_t bytes) {
    rows_[column].at(static_cast<size_t>(row)).assign(reinterpret_cast<const char*>(values), bytes);
    ++times_[column][static_cast<size_t>(row)];
  }

  std::vector<data::Column> columns_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::vector<int>> times_;
};

using Rows = std::map<std::string, std::vector<std::string>>;

inline Rows ReadRows(const Source& source, int64_t slice_bytes = 0) {
  Rows rows;
  const auto reader = source.NewReader(slice_bytes);
  for (size_t chunk = 0; chunk < source.chunk_rows().size(); ++chunk) {
    CollectSink sink(source.columns(), source.chunk_rows()[chunk]);
    reader->Read(static_cast<int64_t>(chunk), sink);
    sink.AppendTo(rows);
  }
  return rows;
}

inline Rows ReadRows(ChunkFile& file, const std::vector<std::string>& names) {
  const auto columns = ProjectColumns(*file.FullSchema(), names, "the file");
  file.Project(columns);
  Rows rows;
  const auto chunk_rows = file.ChunkRows();
  for (size_t chunk = 0; chunk < chunk_rows.size(); ++chunk) {
    CollectSink sink(columns, chunk_rows[chunk]);
    file.Read(static_cast<int64_t>(chunk), 0, sink);
    sink.AppendTo(rows);
  }
  return rows;
}

inline Rows RowsOf(const arrow::Table& table, const std::vector<std::string>& names) {
  const auto columns = ProjectColumns(*table.schema(), names, "the table");
  CollectSink sink(columns, table.num_rows());
  std::vector<uint8_t> scratch;
  PutTable(table, columns, scratch, sink);
  Rows rows;
  sink.AppendTo(rows);
  return rows;
}

// The bytes that a dense value has in a row.
template <class T>
std::string BytesOf(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// Files in a folder of the test's own, and the cache of indexes beside them.
class SourceTest : public testing::Test {
 protected:
  void SetUp() override { setenv("XDG_CACHE_HOME", (folder_.path() / "cache").c_str(), 1); }
  void TearDown() override { unsetenv("XDG_CACHE_HOME"); }

  std::filesystem::path Write(const std::string& name, std::string_view bytes) const {
    const auto path = folder_.path() / "data" / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    return path;
  }

  TestFolder folder_;
};

}  // namespace strop::feed::test
