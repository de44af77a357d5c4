#include "strop/base/file.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/test_folder.h"

namespace strop {
namespace {

using testing::HasSubstr;

TEST(FileTest, WritesAndReadsBytesWithZeros) {
  const TestFolder folder;
  const auto path = folder.path() / "a" / "b.bin";
  std::string bytes(100'000, '\0');
  bytes[7] = 'x';
  WriteFileAtomically(path, bytes);
  EXPECT_EQ(ReadFile(path), bytes);
  WriteFileAtomically(path, "");
  EXPECT_EQ(ReadFile(path), "");
}

TEST(FileTest, ReadsFilesThatTellNoSize) { EXPECT_THAT(ReadFile("/proc/self/status"), HasSubstr("Pid:")); }

TEST(FileTest, ErrorsNameThePath) {
  const TestFolder folder;
  try {
    ReadFile(folder.path() / "absent");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr((folder.path() / "absent").string()));
  }
  try {
    ReadFile(folder.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kIo);
  }
  WriteFileAtomically(folder.path() / "file", "x");
  try {
    WriteFileAtomically(folder.path() / "file" / "below", "x");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kIo);
  }
}

TEST(FileTest, AFailedReplacementLeavesTheOldBytesAndNoRest) {
  const TestFolder folder;
  const auto path = folder.path() / "model.onnx";
  WriteFileAtomically(path, "old");
  EXPECT_THROW(ReplaceFileAtomically(path,
                                     [](const std::filesystem::path& temporary) {
                                       WriteFileAtomically(temporary, "half");
                                       throw Error(Code::kIo, "disk full");
                                     }),
               Error);
  EXPECT_EQ(ReadFile(path), "old");
  const auto entries = std::filesystem::directory_iterator(folder.path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
  ReplaceFileAtomically(path, [](const std::filesystem::path& temporary) {
    EXPECT_EQ(temporary.extension(), ".onnx");
    WriteFileAtomically(temporary, "new");
  });
  EXPECT_EQ(ReadFile(path), "new");
}

// XXH3_128bits of no bytes and seed 0: 99aa06d3014798d86001c324468d497f, in the xxHash project's own test
// vectors.
TEST(FileTest, HashIsXxh3) {
  EXPECT_EQ(HashHex(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_NE(HashHex("a"), HashHex("b"));
  EXPECT_EQ(HashHex("abc").size(), 32u);
}

}  // namespace
}  // namespace strop
