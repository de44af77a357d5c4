#pragma once

#include <memory>
#include <string>
#include <vector>

#include "strop/feed/loader.h"
#include "strop/feed/order.h"
#include "strop/feed/source.h"

namespace strop::feed {

// Several sources as one: their chunks end to end, a group each.
struct Mixture {
  std::shared_ptr<Source> source;
  std::vector<Group> groups;  // empty for a single source
};

// Opens and transforms each source. `columns` empty: every column of the first with a dense form. Throws as
// OpenSource, TransformSource, and kInvalidArgument naming a source whose columns differ from the first
// one's, a weight below 0, or weights of some sources only.
Mixture OpenMixture(const std::vector<SourceOptions>& sources, const std::vector<std::string>& columns,
                    const FileSystem& file_system);

}  // namespace strop::feed
