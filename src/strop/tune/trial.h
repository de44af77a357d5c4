#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "strop/base/api.h"
#include "strop/base/line_socket.h"
#include "strop/tune/protocol.h"

namespace strop::tune {

// The trainer's end of the trial protocol. Used by one thread.
class STROP_API Trial {
 public:
  // Connects to the socket that STROP_TRIAL names and waits for the start; nullopt when the variable is not
  // set, so that a trainer also runs by hand. Throws kUnavailable when nobody listens.
  static std::optional<Trial> FromEnvironment();
  explicit Trial(LineSocket socket);
  Trial(Trial&&) noexcept = default;

  const StartMessage& start() const noexcept { return start_; }
  // Sends metrics of a step and waits for the answer; afterwards should_stop() says what it was. A checkpoint
  // is a file or folder from which this trial could go on.
  void Report(int64_t step, const Metrics& metrics, const std::filesystem::path& checkpoint = {});
  // Whether the trainer is asked to end, or its deadline has passed.
  bool should_stop() const noexcept;
  // The last message. The trial counts once the trainer has also ended with status 0. Empty metrics: the last
  // reported.
  void Done(const Metrics& metrics = {}, const std::filesystem::path& model = {},
            const std::filesystem::path& checkpoint = {});

 private:
  LineSocket socket_;
  StartMessage start_;
  bool stop_ = false;
};

}  // namespace strop::tune
