#include <string>

#include <arrow/status.h>
#include <fmt/format.h>

#include "strop/data/table.h"

namespace strop::data {
namespace {

Code CodeOf(const arrow::Status& status) {
  switch (status.code()) {
    case arrow::StatusCode::Invalid:
    case arrow::StatusCode::TypeError:
    case arrow::StatusCode::IndexError:
      return Code::kInvalidArgument;
    case arrow::StatusCode::KeyError:
      return Code::kNotFound;
    case arrow::StatusCode::IOError:
      return Code::kIo;
    case arrow::StatusCode::SerializationError:
      return Code::kCorrupt;
    case arrow::StatusCode::NotImplemented:
      return Code::kUnsupported;
    case arrow::StatusCode::AlreadyExists:
      return Code::kAlreadyExists;
    case arrow::StatusCode::Cancelled:
      return Code::kCancelled;
    default:
      return Code::kInternal;
  }
}

}  // namespace

void Check(const arrow::Status& status, const std::string& what) {
  if (status.ok()) return;
  std::string message = status.message();
  // Our errors are one line; Arrow adds details on further ones.
  if (const size_t end = message.find('\n'); end != std::string::npos) message.resize(end);
  throw Error(CodeOf(status), fmt::format("{}: {}", what, message));
}

}  // namespace strop::data
