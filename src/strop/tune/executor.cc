#include "strop/tune/executor.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/line_socket.h"
#include "strop/base/process.h"
#include "strop/base/rng.h"
#include "strop/base/threads.h"
#include "strop/base/topology.h"
#include "strop/tune/command.h"
#include "strop/tune/slots.h"

namespace strop::tune {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kTick(50);
constexpr milliseconds kPatience(5000);  // with a trainer that does not read
constexpr milliseconds kGrace(2000);     // from SIGTERM to SIGKILL

double UnixNow() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string Seconds(milliseconds time) {
  return fmt::format("{} s", static_cast<double>(time.count()) / 1000);
}

// The last `bytes` of a file; "" when it is not there.
std::string Tail(const fs::path& path, std::streamoff bytes) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";
  const std::streamoff size = file.tellg();
  file.seekg(std::max<std::streamoff>(0, size - bytes));
  return {std::istreambuf_iterator<char>(file), {}};
}

// The last lines that say something, as one.
std::string LastLines(const fs::path& path) {
  constexpr size_t kLines = 3, kBytes = 400;
  const std::string tail = Tail(path, 4096);
  std::vector<std::string> lines;
  for (size_t end = tail.size(); end > 0 && lines.size() < kLines;) {
    const size_t begin = tail.rfind('\n', end - 1);
    std::string line = tail.substr(begin == std::string::npos ? 0 : begin + 1,
                                   end - (begin == std::string::npos ? 0 : begin + 1));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) lines.insert(lines.begin(), line);
    end = begin == std::string::npos ? 0 : begin;
  }
  std::string joined;
  for (const std::string& line : lines) joined += (joined.empty() ? "" : " | ") + line;
  return joined.size() > kBytes ? "…" + joined.substr(joined.size() - kBytes) : joined;
}

// A folder with a path short enough for a socket's address, removed at the end.
class SocketFolder {
 public:
  SocketFolder() {
    std::string pattern = (fs::temp_directory_path() / "strop-trial-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw Error(Code::kIo, fmt::format("cannot make a folder {}", pattern));
    path_ = pattern;
  }
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;
  ~SocketFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path socket() const { return path_ / "socket"; }

 private:
  fs::path path_;
};

class Run {
 public:
  Run(const ExecutorOptions& options, const StartMessage& start,
      const std::function<bool(int64_t, double, const Metrics&)>& report)
      : options_(options),
        start_(start),
        report_(report),
        stdout_(fs::path(start.out_dir) / "stdout.txt"),
        log_(fs::path(start.out_dir) / "log.txt"),
        listener_(folder_.socket()) {}

  TrainerResult Go(std::vector<std::string> command) {
    fs::create_directories(start_.out_dir);
    std::error_code ignored;
    fs::remove(log_, ignored);
    ProcessOptions process;
    process.command = std::move(command);
    process.directory = options_.directory;
    process.output = log_;
    process.stdout_file = stdout_;
    process.env = options_.env;
    process.env[kSocketVariable] = listener_.path().string();
    process.env["PYTHONUNBUFFERED"] =
        "1";  // or a trainer that prints looks silent, and its last words are lost
    if (!std::getenv("OMP_NUM_THREADS"))
      process.env["OMP_NUM_THREADS"] = std::to_string(
          options_.cpus > 0 ? options_.cpus : std::max<int64_t>(1, UsableCpus() / options_.jobs));
    Process trainer(process);
    const auto started = Clock::now();
    last_sign_ = started;
    for (;;) {
      if (options_.interrupted()) {
        trainer.Stop(kGrace);
        result_.outcome = TrainerResult::Outcome::kInterrupted;
        return std::move(result_);
      }
      const std::optional<int> status = trainer.Poll();
      Listen(status ? milliseconds(0) : kTick);
      if (!error_.empty()) return Stop(trainer, error_);
      if (status) return Finish(*status);
      const auto now = Clock::now();
      if (OutputGrew()) last_sign_ = now;
      if (now - last_sign_ > options_.silence)
        return Stop(trainer,
                    fmt::format("trainer was silent for {} and was stopped", Seconds(options_.silence)));
      if (now - started > options_.timeout)
        return Stop(trainer,
                    fmt::format("trainer ran for longer than {} and was stopped", Seconds(options_.timeout)));
    }
  }

 private:
  // Hears what the trainer says for at most `wait`; once it has ended (wait 0), all that it still said.
  void Listen(milliseconds wait) {
    if (!peer_ && !closed_) {
      peer_ = listener_.Accept(wait);
      if (peer_) TellTrainer(start_.ToText());
    } else if (!peer_) {
      std::this_thread::sleep_for(wait);
    }
    if (peer_ || closed_) RefuseOthers();
    while (peer_ && error_.empty()) {
      const std::optional<std::string> line = ReadLine(wait);
      if (!line) return;
      last_sign_ = Clock::now();
      if (const auto message = Understand(*line)) Hear(*message);
      if (wait.count() > 0) return;
    }
  }

  // One process speaks for a trial.
  void RefuseOthers() {
    while (std::optional<LineSocket> other = listener_.Accept(milliseconds(0))) {
      try {
        other->WriteLine(
            ErrorText("another process of this trainer speaks for the trial: call strop.trial() in one "
                      "of them, as rank 0"),
            kTick);
      } catch (const Error&) {
        // It has gone, or does not listen.
      }
    }
  }

  static std::string ErrorText(const std::string& message) {
    return nlohmann::json{{"type", "error"}, {"message", message}}.dump(
        -1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  // nullopt when nothing came, or the trainer has closed its end.
  std::optional<std::string> ReadLine(milliseconds wait) {
    std::optional<std::string> line;
    try {
      line = peer_->ReadLine(wait);
    } catch (const Error& error) {
      if (error.code() == Code::kTimeout) return std::nullopt;
      error_ = error.what();
      return std::nullopt;
    }
    if (!line) {
      peer_.reset();
      closed_ = true;
    }
    return line;
  }

  std::optional<TrainerMessage> Understand(const std::string& line) {
    try {
      return TrainerMessage::FromText(line);
    } catch (const Error& error) {
      error_ = error.what();
      TellTrainer(ErrorText(error_));
      return std::nullopt;
    }
  }

  void Hear(const TrainerMessage& message) {
    for (const auto& [name, value] : message.metrics) result_.metrics[name] = value;
    if (!message.checkpoint.empty()) result_.checkpoint = InOut(message.checkpoint);
    if (message.done) {
      if (!message.model.empty()) result_.model = InOut(message.model);
      return;
    }
    AnswerMessage answer;
    const std::optional<double> value = MetricOf(message.metrics);
    if (value && !report_(message.step, *value, message.metrics)) answer = {true, "pruned"};
    if (start_.deadline > 0 && UnixNow() > start_.deadline) answer = {true, "deadline"};
    TellTrainer(answer.ToText());
  }

  void TellTrainer(const std::string& line) {
    try {
      if (peer_) peer_->WriteLine(line, kPatience);
    } catch (const Error& error) {
      if (error.code() == Code::kTimeout)
        error_ =
            fmt::format("the trainer does not read its answers; it must, one a report ({})", error.what());
      else if (error.code() != Code::kUnavailable)  // then its exit status says more
        throw;
    }
  }

  fs::path InOut(const std::string& path) const { return fs::path(start_.out_dir) / path; }

  std::optional<double> MetricOf(const Metrics& metrics) const {
    auto found = metrics.find(start_.metric);
    if (found == metrics.end()) found = metrics.find("value");
    if (found == metrics.end()) return std::nullopt;
    return found->second;
  }

  bool OutputGrew() {
    auto size = [](const fs::path& path) {
      struct stat info {};
      return stat(path.c_str(), &info) == 0 ? info.st_size : 0;
    };
    const auto now = size(log_) + size(stdout_);
    return std::exchange(output_size_, now) != now;
  }

  // Whole lines, the last of very many.
  static std::string Printed(const fs::path& file) {
    constexpr size_t kMost = 64u << 20;
    std::string text = Tail(file, kMost);
    if (text.size() == kMost) text.erase(0, std::min(text.find('\n'), text.size() - 1) + 1);
    return text;
  }

  std::string WithLastLines(const std::string& what) const {
    std::string lines = LastLines(log_);
    if (lines.empty()) lines = LastLines(stdout_);
    return lines.empty() ? what : fmt::format("{}: {}", what, lines);
  }

  TrainerResult Stop(Process& trainer, const std::string& why) {
    trainer.Stop(kGrace);
    result_.error = WithLastLines(why);
    return std::move(result_);
  }

  TrainerResult Finish(int status) {
    if (status != 0) {
      result_.error =
          WithLastLines(status > 128 ? fmt::format("trainer was killed by signal {}", status - 128)
                                     : fmt::format("trainer ended with status {}", status));
      return std::move(result_);
    }
    std::optional<double> value = MetricOf(result_.metrics);
    if (!value && result_.metrics.empty()) value = PrintedMetric(Printed(stdout_), start_.metric);
    if (!value) {
      std::string names;
      for (const auto& [name, unused] : result_.metrics) names += (names.empty() ? "" : ", ") + name;
      result_.error =
          names.empty()
              ? fmt::format("trainer reported and printed no number: expected metric \"{}\"", start_.metric)
              : fmt::format("trainer reported {}: expected metric \"{}\"", names, start_.metric);
    } else if (!std::isfinite(*value)) {
      result_.error = fmt::format("trainer reported {} = {}", start_.metric, *value);
    } else {
      result_.outcome = TrainerResult::Outcome::kDone;
      result_.value = *value;
    }
    return std::move(result_);
  }

  const ExecutorOptions& options_;
  const StartMessage& start_;
  const std::function<bool(int64_t, double, const Metrics&)>& report_;
  const fs::path stdout_, log_;
  SocketFolder folder_;
  LineListener listener_;
  std::optional<LineSocket> peer_;
  bool closed_ = false;
  std::string error_;  // the trainer does not keep to the protocol
  Clock::time_point last_sign_;
  off_t output_size_ = 0;
  TrainerResult result_;
};

// The options of trainers that the calling thread starts in a slot: they inherit its CPUs.
ExecutorOptions Occupy(const Slot& slot, ExecutorOptions options) {
  if (!slot.cpus.empty()) BindThread(slot.cpus);
  if (!slot.gpus.empty()) options.env["CUDA_VISIBLE_DEVICES"] = fmt::format("{}", fmt::join(slot.gpus, ","));
  return options;
}

}  // namespace

TrainerResult RunTrainer(const ExecutorOptions& options, const Space& space, const StartMessage& start,
                         const std::function<bool(int64_t, double, const Metrics&)>& report) {
  std::vector<std::string> command = FillCommand(options.command, space, start);
  if (command.empty())
    throw Error(Code::kInvalidArgument,
                "there is no trainer: set [train] command in strop.toml, or give it after --");
  return Run(options, start, report).Go(std::move(command));
}

StartMessage StartOf(const ExecutorOptions& options, uint64_t seed, const TrialRecord& trial) {
  StartMessage start;
  start.trial = trial.number;
  start.params = trial.params;
  start.seed = MixSeed(seed, static_cast<uint64_t>(trial.number)) >> 33;
  start.budget = options.budget;
  // Somewhat before it is killed, so that it may end by itself and count.
  const double seconds = std::chrono::duration<double>(options.timeout).count();
  start.deadline = UnixNow() + seconds - std::min(60.0, 0.1 * seconds);
  start.metric = options.metric;
  start.train = options.train;
  start.validation = options.validation;
  start.out_dir = (options.runs / std::to_string(trial.number)).string();
  return start;
}

bool RunStudy(Study& study, const ExecutorOptions& options, int64_t trials,
              const std::function<void(const TrialRecord& trial)>& told) {
  const std::vector<Slot> slots =
      MakeSlots(options.jobs, options.cpus, options.gpus, AffinityCpus(), VisibleGpus());
  std::mutex mutex;
  std::exception_ptr error;
  std::atomic<bool> stop = false, exhausted = false;
  ExecutorOptions stoppable = options;
  stoppable.interrupted = [&] { return stop || options.interrupted(); };

  auto one = [&](const TrialRecord& trial, const ExecutorOptions& own) {
    const StartMessage start = StartOf(options, study.seed(), trial);
    TrainerResult result;
    try {
      result = RunTrainer(own, study.space(), start, [&](int64_t step, double value, const Metrics& metrics) {
        study.Report(trial.number, step, value, nlohmann::json(metrics).dump());
        return true;
      });
    } catch (...) {
      study.Release(trial.number);
      throw;
    }
    switch (result.outcome) {
      case TrainerResult::Outcome::kInterrupted:
        study.Release(trial.number);
        return;
      case TrainerResult::Outcome::kDone:
        study.Tell(trial.number, result.value);
        break;
      case TrainerResult::Outcome::kFailed:
        if (trial.attempts <= options.retries) return study.Retry(trial.number, result.error);
        study.TellFailed(trial.number, result.error);
        break;
    }
    std::lock_guard lock(mutex);
    TrialRecord finished = trial;
    finished.state =
        result.outcome == TrainerResult::Outcome::kDone ? TrialState::kDone : TrialState::kFailed;
    if (finished.state == TrialState::kDone) finished.values = {result.value};
    finished.error = result.error;
    told(finished);
  };
  auto work = [&](const Slot& slot) {
    try {
      const ExecutorOptions own = Occupy(slot, stoppable);
      while (!own.interrupted()) {
        std::optional<TrialRecord> trial;
        try {
          trial = study.Ask(trials);
        } catch (const Exhausted&) {
          exhausted = true;
          return;
        }
        if (!trial) return;
        one(*trial, own);
      }
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      stop = true;
    }
  };
  // A trainer dies with the thread that started it, so each worker waits for its own.
  std::vector<std::thread> workers;
  for (const Slot& slot : slots) workers.emplace_back(work, std::cref(slot));
  for (std::thread& worker : workers) worker.join();
  if (error) std::rethrow_exception(error);
  return exhausted;
}

}  // namespace strop::tune
