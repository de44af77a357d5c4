#include "strop/feed/files/tar_members.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/data/table.h"
#include "strop/feed/files/input_file.h"
#include "strop/feed/interrupt.h"

namespace strop::feed {
namespace {

constexpr int64_t kBlock = 512;
constexpr int64_t kMetaLimit = 1 << 20;  // a longer name or pax header is damage

class TarReader {
 public:
  explicit TarReader(const std::filesystem::path& path) : path_(path), file_(path), size_(*file_.GetSize()) {}

  void Run(const std::function<void(const TarMember&)>& member) {
    while (ReadHeader()) {
      CheckInterrupt();
      const char type = header_[156];
      int64_t bytes = Number(124, 12, "size");
      if (type == 'L') {
        name_ = Meta(bytes);
        name_->resize(std::min(name_->find('\0'), name_->size()));
      } else if (type == 'x') {
        ReadPax(Meta(bytes));
      } else {
        if (type != 'K' && type != 'g') {
          TarMember found{name_ ? *name_ : HeaderName(), at_ + kBlock, pax_size_.value_or(bytes)};
          bytes = found.size;
          Accept(type, found, member);
        }
        if (type >= '1' && type <= '6')
          bytes = 0;  // links, devices and folders have no bytes, whatever the size
      }
      Skip(bytes);
    }
  }

 private:
  // False at the end of the archive.
  bool ReadHeader() {
    if (at_ + kBlock > size_) {
      throw Damaged(at_, at_ == size_
                             ? fmt::format("it ends after {} bytes without the mark of its end", size_)
                             : "it ends within a header");
    }
    Load(at_, kBlock, header_.data());
    if (std::all_of(header_.begin(), header_.end(), [](char c) { return c == 0; })) return false;
    // Old writers summed signed bytes.
    int64_t as_unsigned = 0, as_signed = 0;
    for (size_t i = 0; i < header_.size(); ++i) {
      const char c = i >= 148 && i < 156 ? ' ' : header_[i];
      as_unsigned += static_cast<unsigned char>(c);
      as_signed += static_cast<signed char>(c);
    }
    const int64_t stated = Number(148, 8, "checksum");
    if (stated != as_unsigned && stated != as_signed) {
      throw Damaged(
          at_, fmt::format("a header whose checksum is {}, not the {} that it states", as_unsigned, stated));
    }
    return true;
  }

  void Accept(char type, const TarMember& found, const std::function<void(const TarMember&)>& member) {
    const bool regular = type == '0' || type == '\0' || type == '7';
    last_ = found.name;
    name_.reset();
    pax_size_.reset();
    if (type == 'S') {
      throw Error(Code::kUnsupported,
                  fmt::format("{}, member {} (byte {}) is a sparse file: write the archive without "
                              "--sparse",
                              path_.string(), found.name, at_));
    }
    if (!regular || found.name.ends_with('/')) return;
    if (found.size > size_ - found.offset) {
      throw Damaged(
          at_, fmt::format("the member states {} bytes and {} are left", found.size, size_ - found.offset));
    }
    member(found);
  }

  void Skip(int64_t bytes) {
    const int64_t left = size_ - at_ - kBlock;
    if (bytes > left)
      throw Damaged(at_, fmt::format("a header states {} bytes and {} are left", bytes, left));
    at_ += kBlock + (bytes + kBlock - 1) / kBlock * kBlock;
  }

  std::string Meta(int64_t bytes) {
    if (bytes > std::min(kMetaLimit, size_ - at_ - kBlock)) {
      throw Damaged(at_, fmt::format("a name or pax header of {} bytes", bytes));
    }
    std::string text(static_cast<size_t>(bytes), '\0');
    Load(at_ + kBlock, bytes, text.data());
    return text;
  }

  // Records "LENGTH KEY=VALUE\n", the length that of the whole record.
  void ReadPax(const std::string& text) {
    std::string_view rest = text;
    while (!rest.empty() && rest[0] != '\0') {
      size_t length = 0;
      const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
      const auto digits = static_cast<size_t>(end - rest.data());
      if (error != std::errc() || length < digits + 3 || length > rest.size() || rest[digits] != ' ' ||
          rest[length - 1] != '\n') {
        throw Damaged(at_, "a pax header that is not made of records");
      }
      const std::string_view record = rest.substr(digits + 1, length - digits - 2);
      const size_t equals = record.find('=');
      const std::string_view key = record.substr(0, equals);
      const std::string_view value = equals == std::string_view::npos ? "" : record.substr(equals + 1);
      if (key == "path") name_ = value;
      if (key == "size") pax_size_ = Decimal(value);
      if (key.starts_with("GNU.sparse.")) {
        throw Error(Code::kUnsupported,
                    fmt::format("{} (byte {}) holds a sparse file: write the archive without "
                                "--sparse",
                                path_.string(), at_));
      }
      rest.remove_prefix(length);
    }
  }

  int64_t Decimal(std::string_view text) const {
    int64_t value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) {
      throw Damaged(at_, fmt::format("a pax size of \"{}\"", text));
    }
    return value;
  }

  // Octal digits, or GNU's big-endian binary after a byte 0x80.
  int64_t Number(size_t begin, size_t size, std::string_view what) const {
    const std::string_view field(header_.data() + begin, size);
    int64_t value = 0;
    if (static_cast<unsigned char>(field[0]) == 0x80) {
      for (const char c : field.substr(1)) {
        if (value >> 54 != 0) throw Damaged(at_, fmt::format("a {} beyond 2^62", what));
        value = value << 8 | static_cast<unsigned char>(c);
      }
      return value;
    }
    for (const char c : field) {
      if (c == '\0' || (c == ' ' && value != 0)) break;
      if (c == ' ') continue;
      if (c < '0' || c > '7') throw Damaged(at_, fmt::format("a {} that is not octal", what));
      value = value << 3 | (c - '0');
    }
    return value;
  }

  std::string HeaderName() const {
    const auto text = [&](size_t begin, size_t size) {
      const std::string_view field(header_.data() + begin, size);
      return std::string(field.substr(0, field.find('\0')));
    };
    // GNU's own format has other things where ustar has the prefix.
    const bool posix = std::string_view(header_.data() + 257, 6) == std::string_view("ustar\0", 6);
    const std::string prefix = posix ? text(345, 155) : "";
    return prefix.empty() ? text(0, 100) : prefix + "/" + text(0, 100);
  }

  void Load(int64_t offset, int64_t bytes, char* out) {
    auto got = file_.ReadAt(offset, bytes, out);
    data::Check(got.status(), "reading " + path_.string());
    if (*got < bytes) throw Damaged(offset, "it became shorter while it was read");
  }

  Error Damaged(int64_t byte, const std::string& what) const {
    const std::string where = name_           ? fmt::format("member {}", *name_)
                              : last_.empty() ? "the first member"
                                              : fmt::format("after member {}", last_);
    return Error(Code::kCorrupt,
                 fmt::format("{} is no whole tar archive: byte {}, {}: {}; write or copy it again",
                             path_.string(), byte, where, what));
  }

  std::filesystem::path path_;
  InputFile file_;
  int64_t size_;
  int64_t at_ = 0;  // of the header
  std::array<char, kBlock> header_{};
  std::optional<std::string> name_;  // of the member to come, from a header of its own
  std::optional<int64_t> pax_size_;
  std::string last_;
};

}  // namespace

void ReadTar(const std::filesystem::path& path, const std::function<void(const TarMember&)>& member) {
  TarReader(path).Run(member);
}

}  // namespace strop::feed
