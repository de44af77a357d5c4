#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "strop/base/api.h"

namespace strop {

// What kind of failure it was. The command line, HTTP and Python map the code; people read the message.
enum class Code {
  kInvalidArgument,     // the caller's value is wrong; trying again will not help
  kNotFound,            // a file, model, column, trial that is not there
  kAlreadyExists,       // it is there and must not be overwritten
  kCorrupt,             // the bytes are not what they claim to be (truncated Parquet, not an ONNX file)
  kUnsupported,         // valid, but Strop cannot do it (an operator, a dtype)
  kFailedPrecondition,  // right call, wrong moment (server stopping, torch of another version)
  kUnavailable,         // port in use, peer gone; trying again may help
  kTimeout,
  kCancelled,  // asked to stop
  kIo,
  kInternal,  // a bug in Strop
};

// "invalid_argument", "not_found", … stable; used in JSON and in the wire formats.
STROP_API std::string_view CodeName(Code code) noexcept;

// The one exception of the library. The message is one line that names what, where, the value found and what
// is accepted or how to mend it: control characters become spaces, and beyond 4000 bytes it is cut. Thread
// safe as any value.
class STROP_API Error : public std::exception {
 public:
  Error(Code code, std::string message);
  ~Error() override;

  Code code() const noexcept { return code_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  Code code_;
  std::string message_;
};

}  // namespace strop
