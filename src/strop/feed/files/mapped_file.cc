#include "strop/feed/files/mapped_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::feed {
namespace {

// What the handler looks through: it may neither lock nor allocate.
struct Mapping {
  std::atomic<uintptr_t> begin{0};  // 0: free
  std::atomic<uintptr_t> end{0};
  std::atomic<bool> damaged{false};
};
constexpr size_t kMappings = 32768;  // half of what Linux lets a process map by default
std::array<Mapping, kMappings> mappings;
std::mutex mappings_mutex;  // of those that take a place or give it back
struct sigaction previous_action;

uintptr_t PageSize() {
  static const auto size = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  return size;
}

// Puts zeros where the file has nothing any more, and goes on.
void OnBusError(int signal, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (Mapping& mapping : mappings) {
    if (address < mapping.begin.load() || address >= mapping.end.load()) continue;
    void* const page = reinterpret_cast<void*>(address & ~(PageSize() - 1));
    mapping.damaged.store(true);
    if (mmap(page, PageSize(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
      return;
  }
  if ((previous_action.sa_flags & SA_SIGINFO) != 0)
    return previous_action.sa_sigaction(signal, info, context);
  if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN)
    return previous_action.sa_handler(signal);
  ::signal(signal, SIG_DFL);
  if (info->si_code <= 0) raise(signal);  // sent; else the instruction is run again and ends the process
}

void InstallHandler() {
  PageSize();
  struct sigaction action {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &previous_action);
}

size_t TakePlace(const uint8_t* data, int64_t size, const std::filesystem::path& path) {
  static std::once_flag installed;
  std::call_once(installed, InstallHandler);
  std::lock_guard lock(mappings_mutex);
  for (size_t place = 0; place < kMappings; ++place) {
    Mapping& mapping = mappings[place];
    if (mapping.begin.load() != 0) continue;
    mapping.damaged.store(false);
    mapping.end.store(reinterpret_cast<uintptr_t>(data) + static_cast<uintptr_t>(size));
    mapping.begin.store(reinterpret_cast<uintptr_t>(data));
    return place;
  }
  throw Error(Code::kIo,
              fmt::format("{} cannot be mapped: {} files are already; lay fewer, larger files end to end",
                          path.string(), kMappings));
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  const auto fail = [&](int error) {
    throw Error(error == ENOENT ? Code::kNotFound : Code::kIo,
                fmt::format("{} cannot be opened: {}", path.string(), std::strerror(error)));
  };
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail(errno);
  struct stat info {};
  void* mapped = nullptr;
  if (fstat(file, &info) == 0 && info.st_size > 0)
    mapped = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_SHARED, file, 0);
  const int error = errno;
  close(file);
  if (mapped == nullptr || mapped == MAP_FAILED) fail(mapped == nullptr ? EINVAL : error);
  data_ = static_cast<const uint8_t*>(mapped);
  size_ = info.st_size;
  try {
    place_ = TakePlace(data_, size_, path);
  } catch (...) {
    munmap(mapped, static_cast<size_t>(size_));
    throw;
  }
}

MappedFile::~MappedFile() {
  {
    std::lock_guard lock(mappings_mutex);
    mappings[place_].begin.store(0);
    mappings[place_].end.store(0);
  }
  munmap(const_cast<uint8_t*>(data_), static_cast<size_t>(size_));
}

bool MappedFile::Damaged() const noexcept { return mappings[place_].damaged.load(); }

}  // namespace strop::feed
