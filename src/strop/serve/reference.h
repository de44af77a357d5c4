#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/engine/session.h"
#include "strop/model/graph.h"
#include "strop/watch/detector.h"

namespace strop::serve {

// How a served model is watched.
struct STROP_API WatchOptions {
  std::vector<std::string> detectors = {"input", "activation"};
  int64_t window = 200;
  int64_t reference_rows = 2000;
  int64_t false_alarm_rows = 100'000;
  int64_t features = 512;
  double uniform_share = 0.1;
  double uncertain_share = 0.2;
  std::vector<std::string> columns;  // of the reference that are fed to the model; empty: by name or role
  uint64_t seed = 0;
  void Validate() const;
};

// The detectors of one model version. Only the observer's thread calls them once the model serves.
struct STROP_API ModelWatch {
  struct Watched {
    std::string kind;   // "input" or "activation"
    std::string value;  // the tensor whose rows are fed: an input's name or the tap
    std::unique_ptr<watch::Detector> detector;
    watch::Verdict last;
    int64_t rows = 0;
    bool judged = false;  // a window has been full
  };
  std::vector<Watched> detectors;
};

// Reads the reference rows for a model's inputs: `rows` of them, drawn by seed, in the model's dtypes and row
// shapes. A column serves an input of its name; a sole input also takes the sole column with the role
// "input". Throws kInvalidArgument naming the input and the columns when none fits.
STROP_API TensorMap ReadReference(const std::string& uri, const std::vector<model::ValueInfo>& inputs,
                                  const WatchOptions& options);

// Calibrates detectors on the reference; `tap` (may be empty) must be a tap of the session, and is computed
// here.
STROP_API std::unique_ptr<ModelWatch> MakeModelWatch(engine::Session& session, const std::string& tap,
                                                     const TensorMap& reference, const WatchOptions& options);

}  // namespace strop::serve
