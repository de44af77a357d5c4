#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/tune/protocol.h"
#include "strop/tune/study.h"

namespace strop::tune {

struct STROP_API ExecutorOptions {
  std::vector<std::string> command;  // see FillCommand
  std::filesystem::path directory;   // working folder of trainers
  std::filesystem::path runs;  // trial n writes below runs/n: what it makes, stdout.txt and log.txt (stderr)
  std::string train, validation;  // rows handed to trainers; empty: none
  std::string metric = "value";
  double budget = 1;
  int64_t jobs = 1;            // trainers at a time
  int64_t cpus = 0, gpus = 0;  // of one trainer, its own; 0: shared (slots.h)
  int64_t retries = 0;         // of a trial whose trainer failed
  std::chrono::milliseconds silence =
      std::chrono::minutes(10);  // neither a message nor output for so long: stopped
  std::chrono::milliseconds timeout = std::chrono::minutes(30);  // of one trainer
  std::map<std::string, std::string> env;                        // more of the trainer's environment
  std::function<bool()> interrupted = [] { return false; };      // polled about every 50 ms, by many threads
};

// What became of one trainer.
struct STROP_API TrainerResult {
  enum class Outcome { kDone, kFailed, kInterrupted };
  Outcome outcome = Outcome::kFailed;
  double value = 0;                         // of the metric, when done
  Metrics metrics;                          // the last reported
  std::string error;                        // when failed: one line with the end of its output
  std::filesystem::path model, checkpoint;  // when it named them
};

// Starts the trainer of one trial, speaks the protocol with it and waits for its end. The trainer has a
// process group of its own, dies with this process, and finds OMP_NUM_THREADS set to its share of the CPUs. A
// trainer that crashes, hangs or reports nonsense is a failed result. Throws only when the command cannot be
// started (kNotFound) or filled. `report` is called with every report and answers whether to go on.
STROP_API TrainerResult
RunTrainer(const ExecutorOptions& options, const Space& space, const StartMessage& start,
           const std::function<bool(int64_t step, double value, const Metrics& metrics)>& report);

// The start message of a trial: parameters, seed by (study, trial), out_dir, deadline.
STROP_API StartMessage StartOf(const ExecutorOptions& options, uint64_t seed, const TrialRecord& trial);

// Runs trainers, `jobs` at a time, each in its slot (slots.h), until the study has `trials` finished ones, is
// exhausted or is interrupted; then the trainers still running are stopped and their trials given back.
// `told` is called after each finished trial, by one thread at a time. Throws what asking or starting threw,
// once the other trainers have been stopped. Answers whether the space was used up.
STROP_API bool RunStudy(Study& study, const ExecutorOptions& options, int64_t trials,
                        const std::function<void(const TrialRecord& trial)>& told);

}  // namespace strop::tune
