#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::engine {

// Where sessions meet their callers: body's answer; what other libraries throw becomes a strop::Error.
template <class Body>
auto AtBorder(const std::string& what, Body body) {
  try {
    return body();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw Error(Code::kUnsupported, what + " takes more memory than there is");
  } catch (const std::length_error&) {  // a container beyond any memory
    throw Error(Code::kUnsupported, what + " takes more memory than there is");
  } catch (const std::exception& error) {
    throw Error(Code::kInternal, fmt::format("{} failed: {}", what, error.what()));
  }
}

// Bytes that this process may hold at most: the machine's memory, or less by its own limit (RLIMIT_AS).
size_t MemoryLimit();

}  // namespace strop::engine
