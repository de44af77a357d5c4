#include "strop/tune/owner.h"

#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>
#include <vector>

#include <fmt/format.h>

namespace strop::tune {
namespace {

std::string Host() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot;
  file >> boot;
  return fmt::format("{}/{}", name.data(), boot);
}

// Ticks since boot at which a process began, "" when there is none or it is a zombie.
std::string StartTime(const std::string& pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(file, line)) return "";
  // The name in parentheses may hold anything; fields are counted from behind it.
  const size_t end = line.rfind(')');
  if (end == std::string::npos) return "";
  std::istringstream fields(line.substr(end + 1));
  std::vector<std::string> words;
  for (std::string word; fields >> word;) words.push_back(word);
  if (words.size() < 20 || words[0] == "Z" || words[0] == "X") return "";
  return words[19];
}

}  // namespace

std::string ProcessOwner() {
  const std::string pid = std::to_string(getpid());
  return fmt::format("{}/{}/{}", Host(), pid, StartTime(pid));
}

bool OwnerIsDead(const std::string& owner) {
  const size_t start = owner.rfind('/');
  const size_t pid = start == std::string::npos ? start : owner.rfind('/', start - 1);
  if (pid == std::string::npos) return true;
  const std::string host = Host();
  const std::string there = owner.substr(0, pid);
  if (there != host) {
    // The same host after a reboot: nothing of before runs any more.
    return there.substr(0, there.rfind('/')) == host.substr(0, host.rfind('/'));
  }
  return StartTime(owner.substr(pid + 1, start - pid - 1)) != owner.substr(start + 1);
}

}  // namespace strop::tune
