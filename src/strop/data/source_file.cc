#include "strop/data/source_file.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

#include <arrow/io/file.h>
#include <arrow/status.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/properties.h>

#include "strop/data/table.h"

namespace strop::data {

FileFormat DetectFormat(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status))
    throw Error(Code::kNotFound, fmt::format("{}: no such file", path.string()));
  if (std::filesystem::is_directory(status)) {
    throw Error(Code::kInvalidArgument, fmt::format("{} is a folder: name its files, as in \"{}/*.parquet\"",
                                                    path.string(), path.string()));
  }
  if (!std::filesystem::is_regular_file(status)) {  // opening a pipe would wait for who writes it
    throw Error(Code::kInvalidArgument,
                fmt::format("{} is not a file: pipes and devices cannot be read", path.string()));
  }
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw Error(Code::kIo, fmt::format("{}: {}", path.string(), std::strerror(errno)));
  const auto size = static_cast<int64_t>(file.tellg());
  std::array<char, 8> head{}, tail{};
  file.seekg(0);
  file.read(head.data(), std::min<int64_t>(size, 8));
  file.clear();
  file.seekg(std::max<int64_t>(0, size - 8));
  file.read(tail.data(), std::min<int64_t>(size, 8));
  const std::string_view start(head.data(), 8), end(tail.data(), 8);
  const auto cut_short = [&](std::string_view kind) {
    return Error(Code::kCorrupt,
                 fmt::format("{} is cut short: {} bytes that begin as {} and do not end as one; write "
                             "or copy it again",
                             path.string(), size, kind));
  };
  if (start.starts_with("PAR1")) {
    if (size < 12 || !end.ends_with("PAR1")) throw cut_short("a Parquet file");
    return FileFormat::kParquet;
  }
  if (start.starts_with("ARROW1")) {
    if (size < 20 || !end.ends_with("ARROW1")) throw cut_short("an Arrow IPC file");
    return FileFormat::kArrowFile;
  }
  if (size >= 8 && start.starts_with("\xff\xff\xff\xff")) return FileFormat::kArrowStream;
  if (size == 0) {
    throw Error(Code::kCorrupt, fmt::format("{} is empty (0 bytes): write or copy it again", path.string()));
  }
  throw Error(Code::kCorrupt,
              fmt::format("{} ({} bytes) is neither Parquet nor Arrow IPC: convert it, for instance with "
                          "pyarrow.parquet.write_table",
                          path.string(), size));
}

void CheckContent(const arrow::Status& status, const std::filesystem::path& path) {
  if (status.ok() || status.IsNotImplemented() || status.IsOutOfMemory() || status.IsCancelled()) {
    Check(status, "reading " + path.string());
    return;
  }
  std::string message = status.message();
  if (const size_t end = message.find('\n'); end != std::string::npos) message.resize(end);
  throw Error(Code::kCorrupt,
              fmt::format("{} is damaged: {}; write or copy it again", path.string(), message));
}

std::unique_ptr<parquet::arrow::FileReader> OpenParquet(const std::filesystem::path& path, bool threads) {
  if (DetectFormat(path) != FileFormat::kParquet) {
    throw Error(Code::kInvalidArgument, fmt::format("{} is not a Parquet file", path.string()));
  }
  auto file = arrow::io::ReadableFile::Open(path.string());
  Check(file.status(), "opening " + path.string());
  parquet::ReaderProperties properties = parquet::default_reader_properties();
  properties.set_page_checksum_verification(true);
  parquet::ArrowReaderProperties arrow_properties;
  arrow_properties.set_use_threads(threads);
  parquet::arrow::FileReaderBuilder builder;
  CheckContent(builder.Open(std::move(*file), properties), path);
  builder.properties(arrow_properties);
  auto reader = builder.Build();
  CheckContent(reader.status(), path);
  return std::move(*reader);
}

}  // namespace strop::data
