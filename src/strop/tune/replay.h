#pragma once

#include <functional>
#include <string>

#include "strop/base/api.h"
#include "strop/store/database.h"
#include "strop/tune/trial_cache.h"

namespace strop::tune {

// Follows the event log of a study, however many processes wrote it: calls `asked` for each trial at the
// place where it was suggested, with what was known there of the others. `present` gives what is known by
// now, at least as much as the log. Throws kFailedPrecondition for a trial of an early Strop, which logged no
// suggestions.
STROP_API void Replay(store::Database& db, const std::string& study, const TrialCache& present,
                      const std::function<void(TrialCache& then, const TrialCache::Trial& suggested)>& asked);

}  // namespace strop::tune
