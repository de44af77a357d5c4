#include "strop/feed/files/mapped_file.h"

#include <signal.h>

#include <fstream>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/test_error.h"
#include "strop/base/test_folder.h"

namespace strop::feed {
namespace {

constexpr int64_t kPage = 4096;

class MappedFileTest : public testing::Test {
 protected:
  std::filesystem::path Write(int64_t bytes) const {
    std::vector<char> content(static_cast<size_t>(bytes), 'x');
    const auto path = folder_.path() / "file";
    std::ofstream(path, std::ios::binary).write(content.data(), bytes);
    return path;
  }
  static int64_t Sum(const MappedFile& file) {
    return std::accumulate(file.data(), file.data() + file.size(), int64_t{0});
  }
  TestFolder folder_;
};

TEST_F(MappedFileTest, HasTheFilesBytes) {
  const MappedFile file(Write(3 * kPage + 5));
  EXPECT_EQ(file.size(), 3 * kPage + 5);
  EXPECT_EQ(Sum(file), (3 * kPage + 5) * 'x');
  EXPECT_FALSE(file.Damaged());
}

TEST_F(MappedFileTest, AFileThatIsCutShortReadsAsZerosAndSaysSo) {
  const auto path = Write(4 * kPage);
  const MappedFile whole(path), other(Write(4 * kPage));
  std::filesystem::resize_file(path, kPage);
  EXPECT_EQ(Sum(whole), kPage * 'x');
  EXPECT_TRUE(whole.Damaged());
  EXPECT_FALSE(other.Damaged());
}

TEST_F(MappedFileTest, APlaceThatIsGivenBackIsSound) {
  const auto path = Write(2 * kPage);
  {
    const MappedFile file(path);
    std::filesystem::resize_file(path, 1);
    EXPECT_EQ(Sum(file), 'x');
    ASSERT_TRUE(file.Damaged());
  }
  const MappedFile file(Write(2 * kPage));
  EXPECT_FALSE(file.Damaged());
}

TEST_F(MappedFileTest, AFileThatIsNotThereIsNamed) {
  const Error error = Thrown([&] { MappedFile(folder_.path() / "none"); });
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_NE(std::string(error.what()).find("none"), std::string::npos);
}

// What is not of a mapping ends the process as it would have: by the signal, or by what a sanitizer makes of
// it.
TEST_F(MappedFileTest, AnotherBusErrorIsNotSwallowed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const MappedFile file(Write(kPage));
  EXPECT_DEATH(raise(SIGBUS), "");
}

}  // namespace
}  // namespace strop::feed
