#pragma once

#include <memory>
#include <vector>

#include "strop/base/api.h"
#include "strop/feed/source.h"
#include "strop/feed/transforms/transform.h"

namespace strop::feed {

// The same chunks with the columns transformed row by row, each row written straight to its place. Throws as
// TransformChain, and kInvalidArgument naming a column that is transformed and not there.
STROP_API std::shared_ptr<Source> TransformSource(std::shared_ptr<Source> source,
                                                  const std::vector<TransformSpec>& specs);

}  // namespace strop::feed
