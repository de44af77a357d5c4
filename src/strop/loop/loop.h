#pragma once

#include <functional>
#include <string>

#include "strop/base/api.h"
#include "strop/base/progress.h"
#include "strop/base/project.h"

namespace strop::loop {

struct STROP_API LoopOptions {
  bool once = false;  // end after one drift -> retrain -> swap, and after the companion
  // Called with what begins or happened, for people.
  std::function<void(const std::string&)> say = [](const std::string&) {};
  // Called with how far the verb that runs, the wait for labels or the companion is.
  std::function<void(const Progress&)> progress = [](const Progress&) {};
  // Called many times a second; throws to stop the loop, which keeps its place.
  std::function<void()> tick = [] {};
};

struct STROP_API LoopResult {
  int64_t rounds = 0;
  std::string champion;      // the model that is served at the end
  int companion_status = 0;  // exit status of the companion; 0 when there is none
};

// Closes the loop of a project: tune, train, compress, serve and watch; on an alarm label, retrain, compress,
// validate and swap. Every step is done by a verb in a process of its own and recorded in
// <loop.directory>/strop.db before the next begins: after kill -9 a new call goes on with the step that was
// not finished. One loop a project at a time: a second throws kUnavailable. Blocks; uses one thread.
STROP_API LoopResult RunLoop(const Project& project, const LoopOptions& options);

}  // namespace strop::loop
