#include "strop/base/error.h"

#include <algorithm>
#include <utility>

namespace strop {
namespace {

constexpr size_t kLongest = 4000;

// Names and texts of damaged files end up in messages; they are made to keep the promise of one line.
std::string OneLine(std::string message) {
  if (message.size() > kLongest) {
    size_t end = kLongest;
    while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xc0) == 0x80) --end;  // within a letter
    message.resize(end);
    message += " …";
  }
  std::replace_if(
      message.begin(), message.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return message;
}

}  // namespace

std::string_view CodeName(Code code) noexcept {
  switch (code) {
    case Code::kInvalidArgument:
      return "invalid_argument";
    case Code::kNotFound:
      return "not_found";
    case Code::kAlreadyExists:
      return "already_exists";
    case Code::kCorrupt:
      return "corrupt";
    case Code::kUnsupported:
      return "unsupported";
    case Code::kFailedPrecondition:
      return "failed_precondition";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kTimeout:
      return "timeout";
    case Code::kCancelled:
      return "cancelled";
    case Code::kIo:
      return "io";
    case Code::kInternal:
      return "internal";
  }
  return "internal";
}

Error::Error(Code code, std::string message) : code_(code), message_(OneLine(std::move(message))) {}

Error::~Error() = default;

}  // namespace strop
