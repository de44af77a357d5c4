#include "strop/feed/files/file_kind.h"

#include <cctype>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/source_file.h"
#include "strop/feed/files/ipc_chunks.h"
#include "strop/feed/files/line_chunks.h"
#include "strop/feed/files/parquet_chunks.h"
#include "strop/feed/files/sample_chunks.h"

namespace strop::feed {
namespace {

constexpr std::pair<std::string_view, FileKind> kExtensions[] = {
    {".csv", FileKind::kCsv},     {".tsv", FileKind::kCsv},   {".jsonl", FileKind::kJson},
    {".ndjson", FileKind::kJson}, {".json", FileKind::kJson}, {".tar", FileKind::kTar}};

ChunkOpener OpenTableFile(const std::filesystem::path& path, const FileSystem& file_system) {
  const bool parquet = data::DetectFormat(path) == data::FileFormat::kParquet;
  return parquet ? OpenParquetFile(path, file_system) : OpenIpcFile(path, file_system);
}

}  // namespace

std::string_view KindName(FileKind kind) noexcept {
  switch (kind) {
    case FileKind::kTable:
      return "Parquet or Arrow IPC";
    case FileKind::kCsv:
      return "CSV";
    case FileKind::kJson:
      return "JSON lines";
    case FileKind::kTar:
      return "tar";
    case FileKind::kFolder:
      return "a folder of images";
  }
  return "";
}

FileKind KindOf(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  if (std::filesystem::is_directory(status)) return FileKind::kFolder;
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} is not a file: expected one, or a folder of images", path.string()));
  }
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const auto& [known, kind] : kExtensions) {
    if (extension == known) return kind;
  }
  try {
    if (data::DetectFormat(path) == data::FileFormat::kArrowStream) {
      throw Error(Code::kUnsupported,
                  fmt::format("{} is an Arrow IPC stream, which cannot be read out of order: "
                              "convert it by \"strop feed convert {} OUT.parquet\"",
                              path.string(), path.string()));
    }
  } catch (const Error& error) {
    const std::string_view message = error.what();
    if (error.code() != Code::kCorrupt || message.find("is cut short") != std::string_view::npos) throw;
    throw Error(Code::kCorrupt,
                fmt::format("{}; read as they are: Parquet, Arrow IPC, .csv, .tsv, .jsonl, .ndjson, "
                            ".json, .tar and folders of images",
                            message));
  }
  return FileKind::kTable;
}

ChunkOpener OpenerOf(const std::filesystem::path& path, FileKind kind, const FileSystem& file_system) {
  if (file_system && kind != FileKind::kTable) {
    throw Error(Code::kUnsupported,
                fmt::format("{} is {}, which is read from local files only: convert it to Parquet",
                            path.string(), KindName(kind)));
  }
  switch (kind) {
    case FileKind::kTable:
      return OpenTableFile(path, file_system);
    case FileKind::kCsv:
      return OpenCsvFile(path);
    case FileKind::kJson:
      return OpenJsonFile(path);
    case FileKind::kTar:
      return OpenTarFile(path);
    case FileKind::kFolder:
      return OpenImageFolder(path);
  }
  throw Error(Code::kInternal, fmt::format("{} is of an unknown kind", path.string()));
}

}  // namespace strop::feed
