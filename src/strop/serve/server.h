#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/serve/http_server.h"
#include "strop/serve/models.h"

namespace strop::serve {

struct STROP_API ServerOptions {
  HttpServerOptions http;
  std::vector<ConfiguredModel> models;  // a remembered model of the same name wins over its path
  int threads = 0;                      // of inference; 0: every usable CPU
  std::string store;                    // URL; empty: nothing is remembered, captured or watched
  std::filesystem::path directory;      // where copies of served models are kept; empty: none
  std::filesystem::path control;        // the control socket; empty: none
  std::string reference;                // URI of the detectors' reference rows; empty: no detectors
  double capture = 1.0;                 // share of requests kept
  int64_t capture_rows = 100'000;
  WatchOptions watch;
  std::chrono::milliseconds drain =
      std::chrono::seconds(10);  // requests in hand may take so long when stopping
};

// The whole server: HTTP, models, observer, control socket. Thread safe but for construction and destruction.
class STROP_API Server {
 public:
  // Binds first (a port in use is told before models load), answers /v2/health from then on, and returns once
  // every model is loaded, warm and ready. Throws what its parts throw.
  explicit Server(const ServerOptions& options);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();  // Stop

  const std::string& http() const noexcept;  // "127.0.0.1:43211"
  std::string StatusJson() const;
  // Whether the control socket asked for the end.
  bool shutdown_asked() const noexcept;
  // Not ready, takes no more connections, finishes the requests in hand and the captures, and ends. A second
  // call does nothing.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strop::serve
