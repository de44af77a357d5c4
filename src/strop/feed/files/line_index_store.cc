#include "strop/feed/files/line_index_store.h"

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/type.h>

#include "strop/base/error.h"
#include "strop/base/log.h"
#include "strop/data/table.h"
#include "strop/feed/files/index_cache.h"

namespace strop::feed {
namespace {

void Parse(std::string_view payload, LineIndex& index) {
  IndexReader reader(payload);
  std::vector<LineChunk> chunks(reader.Count(sizeof(LineChunk)));
  for (LineChunk& chunk : chunks) {
    chunk.offset = reader.Number();
    chunk.bytes = reader.Number();
    chunk.rows = reader.Number();
    chunk.line = reader.Number();
  }
  arrow::io::BufferReader stream(std::make_shared<arrow::Buffer>(reader.Text()));
  arrow::ipc::DictionaryMemo memo;
  auto schema = arrow::ipc::ReadSchema(&stream, &memo);
  data::Check(schema.status(), "reading an index");
  index.chunks = std::move(chunks);
  index.schema = *schema;
}

}  // namespace

bool LoadLineIndex(const std::filesystem::path& path, std::string_view kind, LineIndex& index) noexcept {
  const auto payload = LoadIndex(path, kind, index.stamp);
  if (!payload) return false;
  try {
    Parse(*payload, index);
    return true;
  } catch (const std::exception& error) {
    Log("feed").debug("the index of {} is made again: {}", path.string(), error.what());
    return false;
  }
}

void StoreLineIndex(const std::filesystem::path& path, std::string_view kind,
                    const LineIndex& index) noexcept {
  auto schema = arrow::ipc::SerializeSchema(*index.schema);
  if (!schema.ok()) return;
  IndexWriter writer;
  writer.Put(static_cast<int64_t>(index.chunks.size()));
  for (const LineChunk& chunk : index.chunks) {
    writer.Put(chunk.offset);
    writer.Put(chunk.bytes);
    writer.Put(chunk.rows);
    writer.Put(chunk.line);
  }
  writer.Put(std::string_view(**schema));
  StoreIndex(path, kind, index.stamp, writer.bytes());
}

}  // namespace strop::feed
