#include "strop/feed/files/tar_index.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/log.h"
#include "strop/feed/files/tar_members.h"

namespace strop::feed {
namespace {

constexpr std::string_view kKind = "webdataset";

void AddMember(const std::filesystem::path& path, const TarMember& member,
               std::unordered_map<std::string, size_t>& numbers, TarIndex& index) {
  const size_t slash = member.name.rfind('/');
  const size_t base = slash == std::string::npos ? 0 : slash + 1;
  const size_t dot = member.name.find('.', base);
  if (dot == std::string::npos || dot == base || dot + 1 == member.name.size()) return;
  const std::string key = member.name.substr(0, dot);
  std::string column = member.name.substr(dot + 1);
  for (char& c : column) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (index.samples.empty() || index.samples.back().key != key) {
    if (index.samples.size() == 1) index.first_columns = index.columns.size();
    index.samples.push_back({key, {}});
  }
  const size_t number = numbers.try_emplace(column, index.columns.size()).first->second;
  if (number == index.columns.size()) index.columns.push_back(column);
  auto& parts = index.samples.back().parts;
  if (std::any_of(parts.begin(), parts.end(), [&](const TarPart& part) { return part.column == number; })) {
    throw Error(
        Code::kCorrupt,
        fmt::format("{}: sample \"{}\" has the member {} twice (byte {}): give each sample its own name",
                    path.string(), key, member.name, member.offset));
  }
  parts.push_back({number, member.offset, member.size});
}

std::string Serialize(const TarIndex& index) {
  IndexWriter writer;
  writer.Put(static_cast<int64_t>(index.columns.size()));
  for (const std::string& column : index.columns) writer.Put(std::string_view(column));
  writer.Put(static_cast<int64_t>(index.first_columns));
  writer.Put(static_cast<int64_t>(index.samples.size()));
  for (const TarSample& sample : index.samples) {
    writer.Put(std::string_view(sample.key));
    writer.Put(static_cast<int64_t>(sample.parts.size()));
    for (const TarPart& part : sample.parts) {
      writer.Put(static_cast<int64_t>(part.column));
      writer.Put(part.offset);
      writer.Put(part.size);
    }
  }
  return writer.bytes();
}

void Parse(std::string_view payload, TarIndex& index) {
  IndexReader reader(payload);
  index.columns.resize(reader.Count(sizeof(int64_t)));
  for (std::string& column : index.columns) column = reader.Text();
  index.first_columns = static_cast<size_t>(reader.Number());
  index.samples.resize(reader.Count(2 * sizeof(int64_t)));
  for (TarSample& sample : index.samples) {
    sample.key = reader.Text();
    sample.parts.resize(reader.Count(3 * sizeof(int64_t)));
    for (TarPart& part : sample.parts) {
      part.column = static_cast<size_t>(reader.Number());
      part.offset = reader.Number();
      part.size = reader.Number();
      if (part.column >= index.columns.size()) throw Error(Code::kCorrupt, "a column beyond the last");
    }
  }
  if (index.samples.empty() || index.first_columns > index.columns.size()) {
    throw Error(Code::kCorrupt, "no samples");
  }
}

}  // namespace

std::shared_ptr<const TarIndex> IndexTar(const std::filesystem::path& path) {
  const FileStamp stamp = StampOf(path);
  if (const auto payload = LoadIndex(path, kKind, stamp)) {
    try {
      auto index = std::make_shared<TarIndex>();
      Parse(*payload, *index);
      index->stamp = stamp;
      return index;
    } catch (const std::exception& error) {
      Log("feed").debug("the index of {} is made again: {}", path.string(), error.what());
    }
  }
  auto index = std::make_shared<TarIndex>();
  index->stamp = stamp;
  std::unordered_map<std::string, size_t> numbers;
  ReadTar(path, [&](const TarMember& member) { AddMember(path, member, numbers, *index); });
  if (index->samples.empty()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} has no samples: its files are named KEY.EXTENSION, as in 000.jpg and 000.cls",
                            path.string()));
  }
  if (index->samples.size() == 1) index->first_columns = index->columns.size();
  CheckUnchanged(path, stamp);
  StoreIndex(path, kKind, stamp, Serialize(*index));
  return index;
}

}  // namespace strop::feed
