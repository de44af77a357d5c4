#include "strop/feed/transformed_source.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::feed {
namespace {

using Chains = std::vector<TransformChain>;  // one a column

class TransformSink final : public RowSink {
 public:
  TransformSink(const Chains& chains, std::vector<TransformChain::Scratch>& scratch, RowSink& sink)
      : chains_(chains), scratch_(scratch), sink_(sink) {}

  void Put(size_t column, int64_t row, int64_t count, const uint8_t* values) override {
    const TransformChain& chain = chains_[column];
    if (chain.empty()) return sink_.Put(column, row, count, values);
    const data::Column& input = chain.input();
    RowValue value{input.dtype, input.shape, values};
    for (int64_t i = 0; i < count; ++i, value.data += input.row_bytes()) PutOne(column, row + i, value);
  }
  void PutRows(size_t column, std::span<const int64_t> rows, const uint8_t* values,
               size_t row_bytes) override {
    if (chains_[column].empty()) return sink_.PutRows(column, rows, values, row_bytes);
    RowSink::PutRows(column, rows, values, row_bytes);
  }
  void PutRagged(size_t column, int64_t row, const uint8_t* values, size_t bytes) override {
    const TransformChain& chain = chains_[column];
    if (chain.empty()) return sink_.PutRagged(column, row, values, bytes);
    const data::Column& input = chain.input();
    Shape shape = input.shape;
    shape[0] = 1;
    shape[0] = static_cast<int64_t>(bytes / (static_cast<size_t>(ElementCount(shape)) * SizeOf(input.dtype)));
    PutOne(column, row, {input.dtype, std::move(shape), values});
  }

 private:
  void PutOne(size_t column, int64_t row, const RowValue& value) {
    const RowPlace place = sink_.Place(column, row);
    if (!place.wanted) return;
    const TransformChain& chain = chains_[column];
    const RowValue made = chain.Apply(value, place.key, place.data, scratch_[column]);
    if (place.data != nullptr) return;
    if (!chain.output().ragged()) return sink_.Put(column, row, 1, made.data);
    sink_.PutRagged(column, row, made.data,
                    static_cast<size_t>(ElementCount(made.shape)) * SizeOf(made.dtype));
  }

  const Chains& chains_;
  std::vector<TransformChain::Scratch>& scratch_;
  RowSink& sink_;
};

class TransformedReader final : public ChunkReader {
 public:
  TransformedReader(std::shared_ptr<const Chains> chains, std::unique_ptr<ChunkReader> reader)
      : chains_(std::move(chains)), reader_(std::move(reader)), scratch_(chains_->size()) {}

  void Read(int64_t chunk, RowSink& sink) override {
    TransformSink transformed(*chains_, scratch_, sink);
    reader_->Read(chunk, transformed);
  }
  void ReadRows(int64_t chunk, std::span<const int64_t> rows, RowSink& sink) override {
    TransformSink transformed(*chains_, scratch_, sink);
    reader_->ReadRows(chunk, rows, transformed);
  }
  std::shared_ptr<arrow::Table> ReadTable(int64_t) override {
    throw Error(Code::kUnsupported, "transformed rows are not passed on as tables: serve the source itself");
  }
  double TakeReadSeconds() noexcept override { return reader_->TakeReadSeconds(); }

 private:
  std::shared_ptr<const Chains> chains_;
  std::unique_ptr<ChunkReader> reader_;
  std::vector<TransformChain::Scratch> scratch_;
};

class TransformedSource final : public Source {
 public:
  TransformedSource(std::shared_ptr<Source> source, const std::vector<TransformSpec>& specs)
      : source_(std::move(source)), chains_(std::make_shared<Chains>()) {
    for (const TransformSpec& spec : specs) RequireColumn(spec);
    for (const data::Column& column : source_->columns()) {
      chains_->emplace_back(column, specs);
      columns_.push_back(chains_->back().output());
      RequireOneLength(columns_.back());
    }
  }

  const std::vector<data::Column>& columns() const noexcept override { return columns_; }
  std::shared_ptr<arrow::Schema> schema() const override { return source_->schema(); }
  const std::vector<int64_t>& chunk_rows() const noexcept override { return source_->chunk_rows(); }
  std::unique_ptr<ChunkReader> NewReader(int64_t slice_bytes) const override {
    return std::make_unique<TransformedReader>(chains_, source_->NewReader(slice_bytes));
  }
  std::string WhyChunksOnly() const override { return source_->WhyChunksOnly(); }

 private:
  // Rows may differ in their first size alone: images of several sizes are no batch.
  static void RequireOneLength(const data::Column& column) {
    if (std::count(column.shape.begin() + (column.ragged() ? 1 : 0), column.shape.end(), -1) == 0) return;
    throw Error(Code::kInvalidArgument,
                fmt::format("column {} has rows of several sizes, {}: bring them to one by resize "
                            "or crop",
                            column.name, ShapeText(column.shape)));
  }
  void RequireColumn(const TransformSpec& spec) const {
    std::string names;
    for (const data::Column& column : source_->columns()) {
      if (column.name == spec.column) return;
      names += (names.empty() ? "" : ", ") + column.name;
    }
    throw Error(Code::kInvalidArgument,
                fmt::format("transform {} is of column \"{}\", which is not read: the "
                            "columns are {}",
                            spec.name, spec.column, names));
  }

  std::shared_ptr<Source> source_;
  std::shared_ptr<Chains> chains_;
  std::vector<data::Column> columns_;
};

}  // namespace

std::shared_ptr<Source> TransformSource(std::shared_ptr<Source> source,
                                        const std::vector<TransformSpec>& specs) {
  if (specs.empty()) return source;
  return std::make_shared<TransformedSource>(std::move(source), specs);
}

}  // namespace strop::feed
