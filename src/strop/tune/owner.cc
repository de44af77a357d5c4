#include "strop/tune/owner.h"

#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include <fmt/ranges.h>

namespace strop::tune {
namespace {

// The parts of an owner, in order.
enum Part { kHost, kMachine, kBoot, kNamespace, kPid, kStart, kParts };
using Parts = std::vector<std::string>;

std::string FirstWord(const char* path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

std::string HostName() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

// "pid:[4026531836]"
std::string PidNamespace() {
  std::error_code none;
  return std::filesystem::read_symlink("/proc/self/ns/pid", none).string();
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

// Looked up once a process, which a fork may begin.
const Parts& Own() {
  thread_local Parts own;
  const std::string pid = std::to_string(getpid());
  if (own.empty() || own[kPid] != pid)
    own = {HostName(),
           FirstWord("/etc/machine-id"),
           FirstWord("/proc/sys/kernel/random/boot_id"),
           PidNamespace(),
           pid,
           StartTime(pid)};
  return own;
}

}  // namespace

std::string ProcessOwner() { return fmt::format("{}", fmt::join(Own(), "/")); }

bool OwnerIsDead(const std::string& owner) {
  Parts parts;
  std::istringstream text(owner);
  for (std::string part; std::getline(text, part, '/');) parts.push_back(part);
  if (parts.size() != kParts) return false;
  const Parts& own = Own();
  if (parts[kHost] != own[kHost] || parts[kMachine] != own[kMachine]) return false;
  // After a reboot nothing of before runs any more; a machine is known again by its id alone.
  if (parts[kBoot] != own[kBoot]) return !own[kMachine].empty();
  return parts[kNamespace] == own[kNamespace] && StartTime(parts[kPid]) != parts[kStart];
}

}  // namespace strop::tune
