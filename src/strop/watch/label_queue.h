#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strop/base/api.h"
#include "strop/store/database.h"

namespace strop::watch {

// Why a label is wanted: drawn whatever the model says (an unbiased sample, good for validation), or because
// the model was unsure. In the tables and on the wire: "uniform", "uncertain".
enum class Reason { kUniform, kUncertain };
STROP_API std::string_view ReasonName(Reason reason) noexcept;
// Throws kInvalidArgument that lists the names.
STROP_API Reason ParseReason(std::string_view name);

// A served row that is kept.
struct STROP_API Capture {
  std::string request_id;
  std::string model;
  int64_t version = 0;
  double time = 0;                              // Unix seconds
  store::Blob inputs;                           // EncodeRow of the input tensors
  store::Blob outputs;                          // EncodeRow of the output tensors
  double uncertainty = 0;                       // of the outputs, see select.h
  std::optional<Reason> wanted = std::nullopt;  // its label is asked for in the same transaction
};

struct STROP_API Wish {
  std::string request_id;
  Reason reason = Reason::kUniform;
};

struct STROP_API Label {
  std::string request_id;
  store::Value label;  // a number or text, never null or bytes
};

struct STROP_API LabelCounts {
  int64_t captured = 0;
  int64_t wanted_uniform = 0, wanted_uncertain = 0;  // asked for, labelled or not
  int64_t labelled = 0;                              // for whatever reason, or none
  int64_t labelled_uniform = 0, labelled_uncertain = 0;
};

struct STROP_API ExportOptions {
  std::optional<Reason> reason = std::nullopt;  // none: every labelled row
  double since = 0;                             // rows captured at or after this, Unix seconds
  std::string label = "label";                  // the label's column
};

// Rows captured in service, the labels wanted for them and the labels that came, in the tables captures,
// label_queue and labels of a store. Each call is one transaction: what it acknowledged survives kill -9. One
// thread at a time, as its Database; processes may share the store.
class STROP_API LabelQueue {
 public:
  // Makes the tables. The database outlives the queue.
  explicit LabelQueue(store::Database* database);

  // Keeps the rows; a request id that is kept already stays as it was. Beyond `capture_rows` the oldest rows
  // without a label go first, with their wishes, then the oldest with one.
  void PutCaptures(const std::vector<Capture>& captures, int64_t capture_rows);
  // Asks for labels; asking again changes nothing, but that uniform takes the place of uncertain, for a row
  // that was also drawn uniformly belongs to the unbiased sample. Throws kNotFound for a request id that is
  // not captured.
  void Request(const std::vector<Wish>& wishes);
  // Labels wanted and not there yet, the newest rows first.
  std::vector<Wish> Wanted(int64_t limit) const;
  // Keeps all labels or none. The same label again changes nothing; another one replaces it. Throws kNotFound
  // naming a request id that is not captured, kInvalidArgument for a label that is null or bytes.
  void PutLabels(const std::vector<Label>& labels);
  // Of rows captured at or after `since`.
  LabelCounts Counts(double since = 0) const;
  // Writes the labelled rows, oldest first, as Parquet: the captured inputs (role input), the label (int64 if
  // all are whole numbers, float64 if all are numbers, else text; role label), request_id (role id), reason
  // ("" if the label was not asked for) and time (role time). Answers the rows. Throws kNotFound when there
  // are none, kInvalidArgument when their inputs differ in shape.
  int64_t Export(const std::filesystem::path& path, const ExportOptions& options) const;

 private:
  store::Database* database_;
};

}  // namespace strop::watch
