#include "strop/feed/transformed_source.h"

#include <algorithm>
#include <exception>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <spdlog/logger.h>

#include "strop/base/error.h"
#include "strop/base/log.h"

namespace strop::feed {
namespace {

using Chains = std::vector<TransformChain>;  // one a column

// Rows that a transform could not make, and why the first of them.
struct Refused {
  std::set<int64_t> rows;
  std::exception_ptr cause;
};

class TransformSink final : public RowSink {
 public:
  // `refused`: where rows that cannot be made are noted; null: they are errors.
  TransformSink(const Chains& chains, std::vector<TransformChain::Scratch>& scratch, RowSink& sink,
                Refused* refused = nullptr)
      : chains_(chains), scratch_(scratch), sink_(sink), refused_(refused) {}

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
    RowValue made;
    try {
      made = chain.Apply(value, place.key, place.data, scratch_[column]);
    } catch (const Error&) {
      if (refused_ == nullptr) throw;
      if (!refused_->cause) refused_->cause = std::current_exception();
      refused_->rows.insert(row);
      return;
    }
    if (place.data != nullptr) return sink_.Placed(column, row);
    if (!chain.output().ragged()) return sink_.Put(column, row, 1, made.data);
    sink_.PutRagged(column, row, made.data,
                    static_cast<size_t>(ElementCount(made.shape)) * SizeOf(made.dtype));
  }

  const Chains& chains_;
  std::vector<TransformChain::Scratch>& scratch_;
  RowSink& sink_;
  Refused* const refused_;
};

// Gives each of some rows the values of the row `step` behind it, going round within a chunk.
class ShiftSink final : public RowSink {
 public:
  ShiftSink(const std::set<int64_t>& rows, int64_t step, int64_t chunk_rows,
            const std::vector<data::Column>& columns, RowSink& sink)
      : rows_(rows), step_(step), chunk_rows_(chunk_rows), columns_(columns), sink_(sink) {}

  void Put(size_t column, int64_t row, int64_t count, const uint8_t* values) override {
    for (const int64_t taker : rows_) {
      const int64_t at = (taker + step_) % chunk_rows_ - row;
      const auto bytes = static_cast<int64_t>(columns_[column].row_bytes());
      if (at >= 0 && at < count) sink_.Put(column, taker, 1, values + at * bytes);
    }
  }
  void PutRagged(size_t column, int64_t row, const uint8_t* values, size_t bytes) override {
    const int64_t taker = (row - step_ + chunk_rows_) % chunk_rows_;
    if (rows_.count(taker) > 0) sink_.PutRagged(column, taker, values, bytes);
  }

 private:
  const std::set<int64_t>& rows_;
  const int64_t step_;
  const int64_t chunk_rows_;
  const std::vector<data::Column>& columns_;
  RowSink& sink_;
};

class TransformedReader final : public ChunkReader {
 public:
  TransformedReader(std::shared_ptr<const Chains> chains, std::shared_ptr<const Source> source,
                    int64_t slice_bytes)
      : chains_(std::move(chains)),
        source_(std::move(source)),
        reader_(source_->NewReader(slice_bytes)),
        scratch_(chains_->size()) {}

  void Read(int64_t chunk, RowSink& sink) override {
    TransformSink transformed(*chains_, scratch_, sink);
    reader_->Read(chunk, transformed);
  }
  // Which row stands in is a property of the file, whichever rows are wanted.
  int64_t ReadAround(int64_t chunk, RowSink& sink) override {
    Refused refused;
    TransformSink transformed(*chains_, scratch_, sink, &refused);
    reader_->Read(chunk, transformed);
    const auto count = static_cast<int64_t>(refused.rows.size());
    const int64_t rows = source_->chunk_rows()[static_cast<size_t>(chunk)];
    for (int64_t step = 1; !refused.rows.empty(); ++step) {
      if (step == rows) {  // read by itself, the error names the file
        Read(chunk, sink);
        return 0;
      }
      const auto takers = std::exchange(refused.rows, {});
      ShiftSink shifted(takers, step, rows, source_->columns(), transformed);
      reader_->Read(chunk, shifted);
    }
    if (count > 0) LogReplaced(chunk, count, refused.cause);
    return count;
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
  static void LogReplaced(int64_t chunk, int64_t count, const std::exception_ptr& cause) {
    try {
      std::rethrow_exception(cause);
    } catch (const Error& error) {
      Log("feed").warn("row group {}: {} rows are replaced by those after them: {}", chunk, count,
                       error.what());
    }
  }

  std::shared_ptr<const Chains> chains_;
  std::shared_ptr<const Source> source_;
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
    return std::make_unique<TransformedReader>(chains_, source_, slice_bytes);
  }
  void Cancel() const noexcept override { source_->Cancel(); }
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
