#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "strop/base/test_folder.h"
#include "strop/store/database.h"

namespace strop::store {

// What tests of stores are parametrised by: "sqlite", and "postgresql" where STROP_TEST_POSTGRES holds the
// URL of a database, without parameters (tests/test_store.py starts a server for it).
inline std::vector<std::string> StoreKinds() {
  if (std::getenv("STROP_TEST_POSTGRES")) return {"sqlite", "postgresql"};
  return {"sqlite"};
}
inline std::string StoreKindName(const testing::TestParamInfo<std::string>& info) { return info.param; }

// A new, empty store of a kind, gone with all that is in it at the end: a file, or a schema of the database.
class TestStore {
 public:
  explicit TestStore(const std::string& kind) : url_("sqlite:///" + (folder_.path() / "a.db").string()) {
    if (kind == "sqlite") return;
    static int made = 0;
    server_ = std::getenv("STROP_TEST_POSTGRES");
    schema_ = fmt::format("test_{}_{}", getpid(), ++made);
    Database::Open(server_).Run("CREATE SCHEMA " + schema_);
    url_ = server_ + "?options=-csearch_path%3D" + schema_;
  }
  TestStore(const TestStore&) = delete;
  ~TestStore() {
    if (!schema_.empty()) Database::Open(server_).Run("DROP SCHEMA " + schema_ + " CASCADE");
  }

  const std::string& url() const noexcept { return url_; }
  Database Open() const { return Database::Open(url_); }

 private:
  const TestFolder folder_;
  std::string server_, schema_, url_;
};

}  // namespace strop::store
