#include "strop/store/postgres_plugin.h"

#include <dlfcn.h>

#include <filesystem>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::store {
namespace {

BackendOpener& Opener() {
  static BackendOpener opener;
  return opener;
}

void Load() {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  if (Opener()) return;
  Dl_info here{};
  dladdr(reinterpret_cast<void*>(&Load), &here);
  const auto path = std::filesystem::path(here.dli_fname).parent_path() / "libstrop_store_postgres.so";
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr || !Opener()) {
    const char* reason = dlerror();
    throw Error(Code::kFailedPrecondition,
                fmt::format("PostgreSQL needs libpq (Debian's libpq5), which cannot be loaded: {}",
                            reason ? reason : path.string()));
  }
}

}  // namespace

void RegisterPostgres(BackendOpener open) { Opener() = std::move(open); }

std::unique_ptr<Backend> OpenPostgres(const std::string& url) {
  Load();
  return Opener()(url);
}

}  // namespace strop::store
