#include "strop/tune/trial.h"

#include <chrono>
#include <cstdlib>

#include "strop/base/error.h"

namespace strop::tune {

std::optional<Trial> Trial::FromEnvironment() {
  const char* path = std::getenv(kSocketVariable);
  if (path == nullptr || *path == '\0') return std::nullopt;
  return Trial(LineSocket::Connect(path));
}

Trial::Trial(LineSocket socket) : socket_(std::move(socket)) {
  const std::optional<std::string> line = socket_.ReadLine();
  if (!line) throw Error(Code::kUnavailable, "strop tune closed the trial's socket before the start");
  start_ = StartMessage::FromText(*line);
}

void Trial::Report(int64_t step, const Metrics& metrics, const std::filesystem::path& checkpoint) {
  TrainerMessage message;
  message.step = step;
  message.metrics = metrics;
  message.checkpoint = checkpoint.string();
  socket_.WriteLine(message.ToText());
  const std::optional<std::string> line = socket_.ReadLine();
  if (!line) throw Error(Code::kUnavailable, "strop tune closed the trial's socket");
  stop_ = AnswerMessage::FromText(*line).stop || stop_;
}

bool Trial::should_stop() const noexcept {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return stop_ || (start_.deadline > 0 && now.count() >= start_.deadline);
}

void Trial::Done(const Metrics& metrics, const std::filesystem::path& model,
                 const std::filesystem::path& checkpoint) {
  TrainerMessage message;
  message.done = true;
  message.metrics = metrics;
  message.model = model.string();
  message.checkpoint = checkpoint.string();
  socket_.WriteLine(message.ToText());
}

}  // namespace strop::tune
