#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "strop/base/api.h"

namespace strop::feed {

// A local file in memory, read-only. A file that is cut short, or a disk that fails, while its bytes are used
// would end the process by SIGBUS; here the bytes become zeros and Damaged() tells, so that what used them
// can be refused. Thread safe. The first mapping of a process installs a handler of SIGBUS that hands on what
// is not of a mapping.
class STROP_API MappedFile {
 public:
  // Throws kNotFound or kIo naming the path; kIo when more than 32,768 files are mapped.
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const uint8_t* data() const noexcept { return data_; }
  int64_t size() const noexcept { return size_; }

  // Whether bytes that were used were not there.
  bool Damaged() const noexcept;

 private:
  const uint8_t* data_ = nullptr;
  int64_t size_ = 0;
  size_t place_ = 0;  // among the mappings
};

}  // namespace strop::feed
