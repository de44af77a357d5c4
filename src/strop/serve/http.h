#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/error.h"

namespace strop::serve {

// One request as the rest of the room sees it, free of any HTTP library.
struct STROP_API HttpRequest {
  std::string method;                          // "GET", "POST", …
  std::vector<std::string> path;               // segments, percent-decoded: {"v2", "models", "m"}
  std::map<std::string, std::string> query;    // percent-decoded
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;

  // "" when absent.
  const std::string& Header(const std::string& lower_case_name) const;
};

struct STROP_API HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

// Called once, from any thread.
using Respond = std::function<void(HttpResponse)>;
// Takes a request and sees to it that `respond` is called, now or later. Must not block: it runs on a network
// thread.
using Handler = std::function<void(HttpRequest, Respond)>;

// Fills path and query from "/v2/models/a%20b?limit=3". Throws kInvalidArgument for a bad percent sequence.
STROP_API void ParseTarget(std::string_view target, HttpRequest* request);

// A client's text inside a message: bounded, and without control characters.
STROP_API std::string Quote(std::string_view text);
// {"error": message} in UTF-8, whatever bytes the message holds.
STROP_API HttpResponse ErrorResponse(int status, std::string_view message);
// The status that a failure of the library means to an HTTP client.
STROP_API int StatusOf(Code code) noexcept;

}  // namespace strop::serve
