#include "strop/engine/kernels/patches/copy.h"
#include "strop/engine/kernels/patches/declarations.h"

namespace strop::engine {
namespace {

struct Plain {
  static void Copy(void* out, const void* in, int64_t bytes) noexcept {
    std::memcpy(out, in, static_cast<size_t>(bytes));
  }
};

}  // namespace

void patches_scalar(const PatchesArgs& args) noexcept { Patches<Plain>(args); }

}  // namespace strop::engine
