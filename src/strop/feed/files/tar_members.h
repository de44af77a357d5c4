#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace strop::feed {

// A file within a tar archive.
struct TarMember {
  std::string name;
  int64_t offset = 0;  // of its bytes in the archive
  int64_t size = 0;
};

// Goes through the headers of an archive: ustar (POSIX.1-1988), with the long names of GNU tar and the path
// and size records of pax (POSIX.1-2001); what is no regular file is passed over. Throws kNotFound, kIo;
// kCorrupt naming archive, member and byte where a checksum is wrong or the archive is cut short;
// kUnsupported for sparse members.
void ReadTar(const std::filesystem::path& path, const std::function<void(const TarMember&)>& member);

}  // namespace strop::feed
