#pragma once

#include <gtest/gtest.h>

#include "strop/base/error.h"

namespace strop {

// What `call` throws, for a test to look at; a failure of the test when it throws nothing.
template <class Call>
Error Thrown(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(Code::kInternal, "");
}

}  // namespace strop
