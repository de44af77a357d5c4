#include "strop/base/http_post.h"

#include <algorithm>

#include <fmt/format.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "strop/base/error.h"

namespace strop {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = boost::asio::ip::tcp;

struct Address {
  std::string host, port, path;
};

Address Parse(const std::string& url) {
  const std::string scheme = "http://";
  const size_t slash = url.find('/', std::min(scheme.size(), url.size()));
  std::string host = url.starts_with(scheme) ? url.substr(scheme.size(), slash - scheme.size()) : "";
  if (host.empty()) {
    throw Error(Code::kInvalidArgument, fmt::format("{}: expected http://HOST:PORT/PATH", url));
  }
  std::string port = "80";
  if (const size_t colon = host.rfind(':'); colon != std::string::npos) {
    port = host.substr(colon + 1);
    host.resize(colon);
  }
  return {host, port, slash == std::string::npos ? "/" : url.substr(slash)};
}

}  // namespace

std::string PostJson(const std::string& url, const std::string& json, std::chrono::milliseconds timeout) {
  const Address address = Parse(url);
  http::response<http::string_body> response;
  try {
    boost::asio::io_context context;
    beast::tcp_stream stream(context);
    // Only the asynchronous calls obey the deadline.
    beast::flat_buffer buffer;
    http::request<http::string_body> request(http::verb::post, address.path, 11);
    request.set(http::field::host, address.host);
    request.set(http::field::content_type, "application/json");
    request.body() = json;
    request.prepare_payload();
    const auto check = [](const beast::error_code& code) {
      if (code) throw beast::system_error(code);
    };
    const auto found = tcp::resolver(context).resolve(address.host, address.port);
    stream.expires_after(timeout);
    stream.async_connect(found, [&](beast::error_code connected, const tcp::endpoint&) {
      check(connected);
      http::async_write(stream, request, [&](beast::error_code written, size_t) {
        check(written);
        http::async_read(stream, buffer, response, [&](beast::error_code read, size_t) { check(read); });
      });
    });
    context.run();
  } catch (const beast::system_error& error) {
    throw Error(Code::kUnavailable, fmt::format("{} does not answer: {}", url, error.code().message()));
  }
  if (response.result_int() / 100 != 2) {
    throw Error(Code::kUnavailable, fmt::format("{} answered {}: {}", url, response.result_int(),
                                                response.body().substr(0, 200)));
  }
  return response.body();
}

}  // namespace strop
