#include "strop/tune/owner.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace strop::tune {
namespace {

TEST(OwnerTest, ThisProcessLivesAndAnEndedOneIsDead) {
  EXPECT_FALSE(OwnerIsDead(ProcessOwner()));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::string owner = ProcessOwner();
    if (write(ends[1], owner.data(), owner.size()) < 0) _exit(1);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  char buffer[512];
  const ssize_t size = read(ends[0], buffer, sizeof buffer);
  ASSERT_GT(size, 0);
  EXPECT_TRUE(OwnerIsDead(std::string(buffer, static_cast<size_t>(size))));
  close(ends[0]);
  close(ends[1]);
}

// This process with the parts named by place (owner.cc) exchanged.
std::string Like(const std::map<size_t, std::string>& exchanged) {
  std::istringstream text(ProcessOwner());
  std::string owner, part;
  for (size_t i = 0; std::getline(text, part, '/'); ++i) {
    const auto other = exchanged.find(i);
    owner += (i ? "/" : "") + (other == exchanged.end() ? part : other->second);
  }
  return owner;
}

TEST(OwnerTest, AProcessIsDeadOnlyWhereThatIsCertain) {
  ASSERT_EQ(Like({}), ProcessOwner());
  EXPECT_TRUE(OwnerIsDead(Like({{5, "1"}}))) << "its id belongs to another process now";
  EXPECT_FALSE(OwnerIsDead(Like({{5, "1"}, {3, "pid:[1]"}}))) << "a container's";
  EXPECT_FALSE(OwnerIsDead(Like({{5, "1"}, {0, "elsewhere"}})));
  EXPECT_FALSE(OwnerIsDead(Like({{2, "boot"}, {1, "twin"}}))) << "another machine of the same name";
  EXPECT_FALSE(OwnerIsDead("elsewhere/boot/1/1"));
  const bool known =
      std::filesystem::exists("/etc/machine-id") && std::filesystem::file_size("/etc/machine-id") > 1;
  EXPECT_EQ(OwnerIsDead(Like({{2, "boot"}})), known) << "before a reboot";
}

}  // namespace
}  // namespace strop::tune
