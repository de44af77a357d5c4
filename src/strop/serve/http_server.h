#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "strop/base/api.h"
#include "strop/serve/http.h"

namespace strop::serve {

struct STROP_API HttpServerOptions {
  std::string address = "127.0.0.1:8000";  // HOST:PORT, [IPV6]:PORT; port 0: any free one
  int threads = 1;                         // that read and write; the handler works elsewhere
  size_t max_connections = 4096;           // one more is answered 503 and closed
  size_t max_body = size_t{64} << 20;      // bytes; a longer one is answered 413
  size_t max_header = 32 << 10;            // bytes; longer ones are answered 431
  std::chrono::milliseconds idle_timeout = std::chrono::seconds(75);  // between requests
  std::chrono::milliseconds header_timeout =
      std::chrono::seconds(10);  // from the first byte to the end of headers
  std::chrono::milliseconds body_timeout = std::chrono::seconds(60);   // for a whole body
  std::chrono::milliseconds write_timeout = std::chrono::seconds(60);  // for a whole answer
  void Validate() const;
};

// HTTP/1.1 with keep-alive and pipelining (answers in the order of the requests). One request of a connection
// is handled at a time. Malformed HTTP is answered 400 and the connection closed.
class STROP_API HttpServer {
 public:
  // Binds and listens. Throws kUnavailable "port 8000 of 127.0.0.1 is in use: …", kInvalidArgument for a bad
  // address.
  HttpServer(const HttpServerOptions& options, Handler handler);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();  // Drain with no grace

  // As bound: "127.0.0.1:43211".
  const std::string& address() const noexcept;
  uint16_t port() const noexcept;
  size_t connections() const noexcept;

  // Accepts no more, closes idle connections, lets requests in hand finish for up to `grace`, then ends the
  // rest. Blocks; a second call does nothing.
  void Drain(std::chrono::milliseconds grace);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace strop::serve
