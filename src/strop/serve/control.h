#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "strop/base/api.h"
#include "strop/base/line_socket.h"

namespace strop::serve {

// What the control socket asks of the server. Called from the control threads, possibly side by side; a
// strop::Error becomes the answer {"error": code, "message": text}.
struct STROP_API ControlActions {
  // Answers the version now live, or throws with the old model serving on.
  std::function<int64_t(const std::string& name, const std::string& path, const std::string& reference)> load;
  std::function<void(const std::string& name)> unload;
  std::function<std::string()> status;  // a JSON object
  std::function<void()> shutdown;       // asks only; returns at once
};

// JSON lines on a Unix socket, for processes of the same user (the file is mode 0600):
//   {"load": {"name", "path", "reference"?}}  ->  {"ok": true, "version": n}
//   {"unload": {"name"}}                      ->  {"ok": true}
//   {"status": {}}                            ->  {"ok": true, "pid", "http", …} as /strop/v1/status
//   {"shutdown": {}}                          ->  {"ok": true}
// A connection may ask many times, one after the other.
class STROP_API ControlServer {
 public:
  // Throws what LineListener throws (kUnavailable when another server owns the socket).
  ControlServer(const std::filesystem::path& path, ControlActions actions);
  ~ControlServer();  // ends connections and joins; a load in hand is finished first

  const std::filesystem::path& path() const noexcept { return listener_.path(); }

 private:
  struct Peer {
    LineSocket socket;
    std::thread thread;
    std::atomic<bool> done{false};
  };

  void AcceptLoop();
  void Serve(Peer* peer);
  std::string Answer(const std::string& line) const;

  LineListener listener_;
  const ControlActions actions_;
  std::atomic<bool> stopping_{false};
  std::list<std::unique_ptr<Peer>> peers_;
  std::thread thread_;
};

}  // namespace strop::serve
