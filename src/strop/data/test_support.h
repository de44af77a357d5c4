#pragma once

#include <filesystem>

#include <gtest/gtest.h>
#include <unistd.h>

#include "strop/base/error.h"
#include "strop/base/test_error.h"
#include "strop/base/test_folder.h"

namespace strop::data {

class FolderTest : public testing::Test {
 protected:
  const TestFolder test_folder_;
  const std::filesystem::path folder_ = test_folder_.path();
};

}  // namespace strop::data
