#include "strop/loop/follower.h"

namespace strop::loop {

Follower::Follower(const std::filesystem::path& file) {
  std::ofstream made(file, std::ios::app);
  made.close();
  file_.open(file);
  file_.seekg(0, std::ios::end);
}

void Follower::ReadLines(const std::function<void(const std::string&)>& hear) {
  file_.clear();
  for (char c; file_.get(c);) {
    if (c != '\n') {
      line_ += c;
      continue;
    }
    hear(line_);
    line_.clear();
  }
}

}  // namespace strop::loop
