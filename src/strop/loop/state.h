#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strop/base/api.h"
#include "strop/store/database.h"

namespace strop::loop {

// Where the loop stands. The order is the order of a round; kWatch is where it rests.
enum class Step { kTune, kTrain, kCompress, kWatch, kLabel, kRetrain, kRecompress, kValidate, kSwap };

STROP_API std::string_view StepName(Step step) noexcept;  // tune, train, …, swap
STROP_API Step ParseStep(std::string_view name);          // throws kInternal

// One row of the store: everything a restarted loop needs. Round 0 makes the first model; an alarm begins
// the next, which ends with a swap. A rejection begins another with more labels of the same drift.
struct STROP_API LoopState {
  Step step = Step::kTune;
  int64_t round = 0;
  double alarm_time = 0;    // Unix seconds of the alarm that began this round's labelling; 0: none
  int64_t labels_used = 0;  // labels since the alarm at the last rejection; retraining waits for as many more
  int64_t seen_event = 0;   // id of the last alarm that was acted on
  std::string champion_f32;     // what retraining starts from
  std::string champion_served;  // what the server was last told to serve
};

// Somebody's model that wants to be served (table `candidates`, made by serve).
struct STROP_API Candidate {
  int64_t id = 0;
  std::string path;
};

struct STROP_API Alarm {
  int64_t event = 0;
  double time = 0;
  std::string detail_json;
};

// The loop's view of the store. One thread at a time.
class STROP_API StateStore {
 public:
  explicit StateStore(const std::string& url);

  LoopState Load();
  // Saves the state and logs `event` with it in one transaction.
  void Save(const LoopState& state, std::string_view event, std::string_view detail_json);
  void Log(std::string_view event, std::string_view detail_json);

  // The oldest alarm of watch after event `seen`.
  std::optional<Alarm> AlarmAfter(int64_t seen);
  // Id of the newest alarm; 0 when there was none.
  int64_t LastAlarm();
  // Labelled captures since `time`, of one reason or ("any") of all.
  int64_t LabelsSince(double time, const std::string& reason);
  // The oldest candidate that nobody has looked at.
  std::optional<Candidate> Offered();
  void Decide(int64_t candidate, bool promoted, std::string_view evidence_json);

 private:
  store::Database database_;
};

}  // namespace strop::loop
