#pragma once

#include <filesystem>

#include <gtest/gtest.h>
#include <unistd.h>

#include "strop/base/error.h"

namespace strop::data {

// What `call` throws, which it must.
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

class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/strop_data_XXXXXX";
    folder_ = mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

}  // namespace strop::data
