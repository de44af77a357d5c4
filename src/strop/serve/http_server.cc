#include "strop/serve/http_server.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "strop/base/threads.h"

namespace strop::serve {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

struct HostPort {
  std::string host;
  uint16_t port = 0;
};

HostPort ParseAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  HostPort out;
  bool good = colon != std::string::npos && colon > 0;
  if (good) {
    out.host = address.substr(0, colon);
    if (out.host.front() == '[' && out.host.back() == ']') out.host = out.host.substr(1, out.host.size() - 2);
    const char* begin = address.data() + colon + 1;
    const char* end = address.data() + address.size();
    const auto parsed = std::from_chars(begin, end, out.port);
    good = parsed.ec == std::errc() && parsed.ptr == end && begin != end;
  }
  if (!good) {
    throw Error(Code::kInvalidArgument,
                fmt::format("http address \"{}\": expected HOST:PORT with a port from 0 to 65535", address));
  }
  return out;
}

HttpRequest Convert(http::request<http::string_body>&& message) {
  HttpRequest request;
  request.method = message.method_string();
  for (const auto& field : message) {
    std::string name(field.name_string());
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    request.headers.insert_or_assign(std::move(name), std::string(field.value()));
  }
  const auto target = message.target();
  request.body = std::move(message.body());
  ParseTarget({target.data(), target.size()}, &request);
  return request;
}

}  // namespace

struct HttpServer::Impl : std::enable_shared_from_this<HttpServer::Impl> {
  class Session;

  Impl(const HttpServerOptions& o, Handler h) : options(o), handler(std::move(h)), acceptor(context) {}

  void Listen();
  void Accept();
  void Refuse(tcp::socket socket);
  void Forget(Session* session);

  const HttpServerOptions options;
  const Handler handler;
  std::string address;
  uint16_t port = 0;
  asio::io_context context;
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  tcp::acceptor acceptor;
  std::vector<std::thread> threads;

  std::atomic<bool> draining{false};
  std::mutex mutex;
  std::condition_variable all_gone;
  std::unordered_set<Session*> sessions;
  bool drained = false;
};

// One connection. Everything runs on its strand; the object lives as long as an operation is pending on it.
class HttpServer::Impl::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, std::shared_ptr<Impl> server)
      : stream_(std::move(socket)), server_(std::move(server)) {
    std::lock_guard lock(server_->mutex);
    server_->sessions.insert(this);
  }
  ~Session() { server_->Forget(this); }

  void Start() {
    error_code ignored;
    stream_.socket().set_option(tcp::no_delay(true), ignored);
    asio::dispatch(stream_.get_executor(),
                   beast::bind_front_handler(&Session::WaitForRequest, shared_from_this()));
  }

  // Ends the connection if it waits for a request; else after the answer in hand.
  void Drain() {
    asio::post(stream_.get_executor(), [self = shared_from_this()] {
      error_code ignored;
      // A request that already lies in the socket is still answered.
      if (self->idle_ && self->stream_.socket().available(ignored) == 0) self->stream_.cancel();
    });
  }

  void Abort() {
    asio::post(stream_.get_executor(), [self = shared_from_this()] { self->stream_.close(); });
  }

 private:
  void WaitForRequest() {
    if (server_->draining) return Close();
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(server_->options.max_header));
    parser_->body_limit(server_->options.max_body);
    if (buffer_.size() > 0) return ReadHeader();
    idle_ = true;
    stream_.expires_after(server_->options.idle_timeout);
    stream_.async_read_some(buffer_.prepare(16 << 10),
                            beast::bind_front_handler(&Session::OnFirstBytes, shared_from_this()));
  }

  void OnFirstBytes(error_code error, size_t bytes) {
    idle_ = false;
    if (error) return Close();
    buffer_.commit(bytes);
    ReadHeader();
  }

  void ReadHeader() {
    stream_.expires_after(server_->options.header_timeout);
    http::async_read_header(stream_, buffer_, *parser_,
                            beast::bind_front_handler(&Session::OnHeader, shared_from_this()));
  }

  void OnHeader(error_code error, size_t) {
    if (error) return OnReadError(error);
    if (beast::iequals(parser_->get()[http::field::expect], "100-continue") && !parser_->is_done()) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      stream_.expires_after(server_->options.write_timeout);
      return asio::async_write(stream_, asio::buffer(kContinue.data(), kContinue.size()),
                               beast::bind_front_handler(&Session::OnContinued, shared_from_this()));
    }
    ReadBody();
  }

  void OnContinued(error_code error, size_t) {
    if (error) return Close();
    ReadBody();
  }

  void ReadBody() {
    stream_.expires_after(server_->options.body_timeout);
    http::async_read(stream_, buffer_, *parser_,
                     beast::bind_front_handler(&Session::OnRequest, shared_from_this()));
  }

  void OnRequest(error_code error, size_t) {
    if (error) return OnReadError(error);
    stream_.expires_never();
    http::request<http::string_body> message = parser_->release();
    keep_alive_ = message.keep_alive();
    head_ = message.method() == http::verb::head;
    version_ = message.version();
    try {
      server_->handler(Convert(std::move(message)), [self = shared_from_this()](HttpResponse response) {
        asio::dispatch(self->stream_.get_executor(), [self, response = std::move(response)]() mutable {
          self->Write(std::move(response), self->keep_alive_);
        });
      });
    } catch (const Error& failure) {
      Write(ErrorResponse(StatusOf(failure.code()), failure.what()), keep_alive_);
    } catch (const std::exception& failure) {
      Write(ErrorResponse(500, failure.what()), keep_alive_);
    }
  }

  void OnReadError(error_code error) {
    if (error.category() != make_error_code(http::error::end_of_stream).category() ||
        error == http::error::end_of_stream || error == http::error::partial_message) {
      return Close();
    }
    unread_ = true;
    version_ = 11;
    head_ = false;
    if (error == http::error::body_limit) {
      Write(ErrorResponse(
                413, fmt::format("the body is longer than the {} bytes that this server takes: send fewer "
                                 "rows a request, or raise --max-body",
                                 server_->options.max_body)),
            false);
    } else if (error == http::error::header_limit) {
      Write(ErrorResponse(431,
                          fmt::format("the headers are longer than {} bytes", server_->options.max_header)),
            false);
    } else {
      Write(ErrorResponse(400, fmt::format("malformed HTTP request: {}", error.message())), false);
    }
  }

  void Write(HttpResponse response, bool keep_alive) {
    keep_alive_ = keep_alive && !server_->draining;
    answer_ = {};
    answer_.version(version_);
    answer_.result(static_cast<unsigned>(response.status));
    answer_.set(http::field::server, "strop");
    answer_.set(http::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) answer_.set(name, value);
    answer_.keep_alive(keep_alive_);
    answer_.content_length(response.body.size());
    if (!head_) answer_.body() = std::move(response.body);
    stream_.expires_after(server_->options.write_timeout);
    http::async_write(stream_, answer_, beast::bind_front_handler(&Session::OnWritten, shared_from_this()));
  }

  void OnWritten(error_code error, size_t) {
    if (error) return Close();
    if (keep_alive_) return WaitForRequest();
    if (unread_) return Linger();
    Close();
  }

  // Closing with unread bytes would reset the connection and could destroy the answer on its way.
  void Linger() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(std::chrono::seconds(2));
    Discard();
  }

  void Discard() {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(64 << 10), [self = shared_from_this()](error_code error, size_t) {
      if (error) return self->Close();
      self->Discard();
    });
  }

  void Close() { stream_.close(); }

  beast::tcp_stream stream_;
  std::shared_ptr<Impl> server_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> answer_;
  bool idle_ = false;
  bool keep_alive_ = false;
  bool head_ = false;
  bool unread_ = false;  // a refused request's rest is still on its way
  unsigned version_ = 11;
};

void HttpServer::Impl::Listen() {
  const HostPort wanted = ParseAddress(options.address);
  error_code error;
  tcp::resolver resolver(context);
  const auto found = resolver.resolve(wanted.host, std::to_string(wanted.port),
                                      tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error || found.empty()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("http address \"{}\": cannot resolve the host \"{}\" ({})", options.address,
                            wanted.host, error.message()));
  }
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error == asio::error::address_in_use) {
    throw Error(Code::kUnavailable,
                fmt::format("port {} of {} is in use: stop what listens there, or choose another "
                            "with --http HOST:PORT (port 0: any free one)",
                            wanted.port, wanted.host));
  }
  if (error) {
    throw Error(Code::kUnavailable, fmt::format("cannot listen on {}: {}", options.address, error.message()));
  }
  port = acceptor.local_endpoint().port();
  const bool ipv6 = endpoint.protocol() == tcp::v6();
  address = ipv6 ? fmt::format("[{}]:{}", wanted.host, port) : fmt::format("{}:{}", wanted.host, port);
}

void HttpServer::Impl::Accept() {
  acceptor.async_accept(asio::make_strand(context),
                        [self = shared_from_this()](error_code error, tcp::socket socket) {
                          if (self->draining || error == asio::error::operation_aborted) return;
                          if (!error) {
                            size_t open;
                            {
                              std::lock_guard lock(self->mutex);
                              open = self->sessions.size();
                            }
                            if (open >= self->options.max_connections) {
                              self->Refuse(std::move(socket));
                            } else {
                              std::make_shared<Session>(std::move(socket), self)->Start();
                            }
                            return self->Accept();
                          }
                          // Out of file descriptors, most likely: wait for connections to end instead of
                          // spinning.
                          auto timer = std::make_shared<asio::steady_timer>(self->acceptor.get_executor(),
                                                                            std::chrono::milliseconds(50));
                          timer->async_wait([self, timer](error_code) {
                            if (!self->draining) self->Accept();
                          });
                        });
}

void HttpServer::Impl::Refuse(tcp::socket socket) {
  const HttpResponse response =
      ErrorResponse(503, fmt::format("all {} connections are taken: close some, or raise --max-connections",
                                     options.max_connections));
  auto text = std::make_shared<std::string>(
      fmt::format("HTTP/1.1 503 Service Unavailable\r\nServer: strop\r\nContent-Type: application/json\r\n"
                  "Content-Length: {}\r\nConnection: close\r\n\r\n{}",
                  response.body.size(), response.body));
  auto peer = std::make_shared<tcp::socket>(std::move(socket));
  asio::async_write(*peer, asio::buffer(*text), [peer, text](error_code, size_t) {
    error_code ignored;
    peer->shutdown(tcp::socket::shutdown_both, ignored);
  });
}

void HttpServer::Impl::Forget(Session* session) {
  std::lock_guard lock(mutex);
  sessions.erase(session);
  if (sessions.empty()) all_gone.notify_all();
}

void HttpServerOptions::Validate() const {
  if (threads < 1 || threads > 256) {
    throw Error(Code::kInvalidArgument, fmt::format("network threads = {}: expected 1 to 256", threads));
  }
  if (max_connections < 1) throw Error(Code::kInvalidArgument, "max_connections = 0: expected at least 1");
  if (max_body < 1024) {
    throw Error(Code::kInvalidArgument, fmt::format("max_body = {}: expected at least 1024 bytes", max_body));
  }
}

HttpServer::HttpServer(const HttpServerOptions& options, Handler handler) {
  options.Validate();
  impl_ = std::make_shared<Impl>(options, std::move(handler));
  impl_->Listen();
  impl_->Accept();
  for (int i = 0; i < options.threads; ++i) {
    impl_->threads.emplace_back([impl = impl_.get(), i] {
      NameThread(fmt::format("strop-http-{}", i));
      impl->context.run();
    });
  }
}

HttpServer::~HttpServer() { Drain(std::chrono::milliseconds(0)); }

const std::string& HttpServer::address() const noexcept { return impl_->address; }
uint16_t HttpServer::port() const noexcept { return impl_->port; }
size_t HttpServer::connections() const noexcept {
  std::lock_guard lock(impl_->mutex);
  return impl_->sessions.size();
}

void HttpServer::Drain(std::chrono::milliseconds grace) {
  if (impl_->drained) return;
  impl_->drained = true;
  impl_->draining = true;
  asio::post(impl_->acceptor.get_executor(), [impl = impl_] {
    error_code ignored;
    impl->acceptor.close(ignored);
  });
  const auto for_each_session = [this](auto call) {
    std::vector<std::shared_ptr<Impl::Session>> alive;
    {
      std::lock_guard lock(impl_->mutex);
      for (Impl::Session* session : impl_->sessions) {
        if (auto shared = session->weak_from_this().lock()) alive.push_back(std::move(shared));
      }
    }
    for (const auto& session : alive) call(*session);
  };
  const auto wait = [this](std::chrono::milliseconds time) {
    std::unique_lock lock(impl_->mutex);
    return impl_->all_gone.wait_for(lock, time, [this] { return impl_->sessions.empty(); });
  };
  for_each_session([](Impl::Session& session) { session.Drain(); });
  if (!wait(grace)) {
    for_each_session([](Impl::Session& session) { session.Abort(); });
    wait(std::chrono::seconds(2));
  }
  impl_->work.reset();
  impl_->context.stop();
  for (std::thread& thread : impl_->threads) thread.join();
  impl_->threads.clear();
  // What was posted late holds the server alive; running it lets go.
  impl_->context.restart();
  impl_->context.poll();
}

}  // namespace strop::serve
