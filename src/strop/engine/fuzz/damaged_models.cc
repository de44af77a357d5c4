// Feeds damaged ONNX models to everything that reads them: each must run, or be refused in one line.
//   strop_engine_fuzz [--seconds N] [--seed N] [--first N] [--count N] [--jobs N] [--out FOLDER]
//   strop_engine_fuzz --replay FILE
// A mutant is a function of seed and number. It is tried in a process with limits of time and memory; those
// that crash it, hang, or throw anything but a strop::Error of one line are findings, saved in the folder
// (at most three that look alike). Ends with 1 when there are any.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "strop/base/file.h"
#include "strop/base/rng.h"
#include "strop/base/test_folder.h"
#include "strop/engine/fuzz/corpus.h"
#include "strop/engine/fuzz/mutate.h"
#include "strop/engine/fuzz/worker.h"

namespace {

using namespace strop::engine::fuzz;
using Clock = std::chrono::steady_clock;

constexpr int kAlikeSaved = 3;

struct Options {
  int64_t seconds = 20;
  uint64_t seed = std::random_device()();
  int64_t first = 0, count = INT64_MAX;
  int jobs = 1;
  std::filesystem::path out, replay;
  Limits limits;
};

// Without the syncs of WriteFileAtomically: nobody needs it after a crash of the machine.
void Write(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// Numbers below 0 are the specimens as they are.
std::string BytesOf(const std::vector<Specimen>& corpus, uint64_t seed, int64_t number) {
  if (number < 0) return corpus[static_cast<size_t>(-1 - number)].model.SerializeAsString();
  strop::Rng rng(seed, static_cast<uint64_t>(number));
  return MakeMutant(corpus, rng);
}

class Campaign {
 public:
  explicit Campaign(Options options) : options_(std::move(options)) {
    if (options_.out.empty())
      options_.out = std::filesystem::temp_directory_path() / fmt::format("strop-fuzz-{}", options_.seed);
  }

  int Run() {
    const Clock::time_point begin = Clock::now();
    fmt::print("seed {}\n", options_.seed);
    Specimens();
    const int64_t end = options_.count == INT64_MAX ? INT64_MAX : options_.first + options_.count;
    std::vector<std::unique_ptr<Worker>> workers;
    for (int i = 0; i < options_.jobs; ++i)
      workers.push_back(NewWorker(options_.first + i, options_.jobs, end));
    bool busy = true;
    while (busy && Clock::now() - begin < std::chrono::seconds(options_.seconds)) {
      busy = false;
      for (const auto& worker : workers) {
        if (worker->done()) continue;
        busy = true;
        if (const auto finding = worker->Poll()) Record(*finding);
      }
      usleep(2000);
    }
    int64_t ran = 0, refused = 0;
    for (const auto& worker : workers) ran += worker->ran(), refused += worker->refused();
    for (const auto& [key, times] : alike_)
      if (times > 1) fmt::print("{} times: {}\n", times, key);
    fmt::print("{} mutants in {:.0f} s: {} ran, {} were refused, {} findings\n", ran + refused + findings_,
               std::chrono::duration<double>(Clock::now() - begin).count(), ran, refused, findings_);
    return findings_ == 0 && ran > 0 && refused > 0 ? 0 : 1;
  }

 private:
  std::unique_ptr<Worker> NewWorker(int64_t first, int64_t step, int64_t end) {
    folders_.push_back(std::make_unique<strop::TestFolder>());
    PlantFiles(folders_.back()->path());
    return std::make_unique<Worker>(first, step, end, folders_.back()->path() / "mutant.onnx",
                                    options_.limits,
                                    [this](int64_t number, const std::filesystem::path& file) {
                                      Write(file, BytesOf(corpus_, options_.seed, number));
                                      return number < 0 ? 0 : static_cast<int>(number % 3);
                                    });
  }

  // What is not damaged must run: else mutants of it would tell nothing.
  void Specimens() {
    const auto count = static_cast<int64_t>(corpus_.size());
    for (int64_t number = -count; number < 0; ++number) {
      const std::unique_ptr<Worker> worker = NewWorker(number, 1, number + 1);
      while (!worker->done()) {
        if (const auto finding = worker->Poll()) Record(*finding);
        usleep(1000);
      }
      if (worker->refused() > 0) Record({number, "specimen", "an undamaged specimen: " + worker->refusal()});
    }
  }

  void Record(const Finding& finding) {
    ++findings_;
    const int times = ++alike_[finding.key];
    if (times > kAlikeSaved) return;
    const std::string name = finding.number < 0
                                 ? "specimen " + corpus_[static_cast<size_t>(-1 - finding.number)].name
                                 : fmt::format("{}-{}", options_.seed, finding.number);
    const std::filesystem::path file = options_.out / (name + ".onnx");
    strop::WriteFileAtomically(file, BytesOf(corpus_, options_.seed, finding.number));
    fmt::print("FINDING {}: {} (--replay {})\n", finding.number, finding.text, file.string());
    std::fflush(stdout);
  }

  Options options_;
  const std::vector<Specimen> corpus_ = MakeCorpus();
  std::vector<std::unique_ptr<strop::TestFolder>> folders_;
  std::map<std::string, int> alike_;
  int64_t findings_ = 0;
};

int Replay(const Options& options) {
  const std::string bytes = strop::ReadFile(options.replay);
  const strop::TestFolder folder;
  PlantFiles(folder.path());
  int findings = 0;
  Worker worker(0, 1, 3, folder.path() / "mutant.onnx", options.limits,
                [&](int64_t number, const std::filesystem::path& file) {
                  Write(file, bytes);
                  return static_cast<int>(number);
                });
  while (!worker.done()) {
    if (const auto finding = worker.Poll()) {
      ++findings;
      fmt::print("FINDING {}\n", finding->text);
    }
    usleep(1000);
  }
  if (worker.refused() > 0) fmt::print("{}\n", worker.refusal());
  fmt::print("{} ran, {} were refused, {} findings\n", worker.ran(), worker.refused(), findings);
  return findings == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Damaged models");
  app.add_option("--seconds", options.seconds);
  app.add_option("--seed", options.seed);
  app.add_option("--first", options.first, "number of the first mutant");
  app.add_option("--count", options.count);
  app.add_option("--jobs", options.jobs)->check(CLI::Range(1, 64));
  app.add_option("--out", options.out, "where findings are saved");
  app.add_option("--replay", options.replay);
  app.add_option("--trial-seconds", options.limits.seconds);
  app.add_option("--trial-megabytes", options.limits.megabytes);
  CLI11_PARSE(app, argc, argv);
  return options.replay.empty() ? Campaign(options).Run() : Replay(options);
}
