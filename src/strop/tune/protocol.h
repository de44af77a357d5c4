#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "strop/base/api.h"
#include "strop/tune/space.h"

namespace strop::tune {

// The messages of the trial protocol (docs/trial.md): one JSON object a line, over the Unix socket that
// STROP_TRIAL names. What a newer version adds is ignored; a missing or wrong field throws kInvalidArgument
// that names it.
inline constexpr int kProtocolVersion = 1;
inline constexpr const char* kSocketVariable = "STROP_TRIAL";

// A metric that is not a finite number is written as null and read as NaN.
using Metrics = std::map<std::string, double>;

struct STROP_API StartMessage {
  int64_t trial = 0;
  Params params;
  uint64_t seed = 0;              // below 2^31, so that every library takes it
  double budget = 1;              // in the trainer's own unit
  double deadline = 0;            // Unix seconds, 0: none
  std::string metric = "value";   // what the study looks at
  std::string train, validation;  // rows; empty: none
  std::string from;               // checkpoint or model to go on from; empty: none
  std::string out_dir;

  std::string ToText() const;
  static StartMessage FromText(const std::string& text);
};

// What a trainer sends: a report, or that it is done.
struct STROP_API TrainerMessage {
  bool done = false;
  int64_t step = 0;  // of a report
  Metrics metrics;
  std::string model;  // of done
  std::string checkpoint;

  std::string ToText() const;
  static TrainerMessage FromText(const std::string& text);
};

// The answer to a report.
struct STROP_API AnswerMessage {
  bool stop = false;
  std::string reason;  // of a stop

  std::string ToText() const;
  static AnswerMessage FromText(const std::string& text);
};

}  // namespace strop::tune
