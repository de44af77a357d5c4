#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/feed/workers/scaling.h"

namespace strop::feed {

// How many readers to use now, by what the last ones delivered. A state machine without threads or clocks:
// the same observations give the same answers. Not thread safe.
//
// It doubles the readers while throughput rises by more than the noise of its intervals, then searches
// between the last two for the fewest within `tolerance` of the best, beginning where the scaling law puts
// it; and settles. Settled, it tries more and fewer again after `recheck_seconds`, and searches anew when
// throughput shifts by more than `shift` or a consumer that was never kept waiting begins to wait.
class STROP_API Governor {
 public:
  struct Options {
    int cpus = 1;             // usable: the limit where decoding bounds, a quarter of it where reading does
    int start = 1;            // or the knee of a probe
    int most = 0;             // never more than this; 0: no limit but the CPUs'
    double tolerance = 0.05;  // of the best throughput
    double shift = 0.2;       // of throughput
    double recheck_seconds = 30;  // between two trials of more and fewer
    double search_seconds = 8;    // a search that lasts longer ends with what it knows
    double no_wait = 0.01;        // a share of waiting that counts as never
  };
  // Intervals of about 0.1 s keep a search under 10 s.
  struct Observation {
    double time = 0;     // seconds, rising
    int readers = 1;     // that were active since the observation before
    double amount = 0;   // bytes or rows delivered since then
    double waiting = 1;  // share of that time the consumer waited for data
    double decode = 0;   // share of the readers' own time spent decoding, not reading
  };
  struct Advice {
    int readers = 1;
    bool settled = false;
    std::string reason;  // changes when the advice does
  };

  // Throws kInvalidArgument for options that are not positive.
  explicit Governor(const Options& options);

  // Observations whose readers are not those advised are passed over; so is the first after a change, which
  // saw both.
  const Advice& Observe(const Observation& seen);
  const Advice& advice() const noexcept { return advice_; }
  std::optional<Scaling> law() const { return law_; }  // of the last search
  int limit() const noexcept;

 private:
  enum class State { kRise, kRefine, kSettled, kMore, kFewer };
  struct Level {
    double mean = 0;
    double error = 0;  // standard error of the mean
    double waiting = 1;
  };

  bool Complete() const;
  Level Measured() const;
  void Use(int readers, State state, std::string reason);
  void EndLevel();
  void Rise(const Level& level);
  void Refine();
  bool Enough(int readers, const Level& level) const;
  double Noise() const;
  int Bisect(int below, int enough) const;
  void Settle(int readers, const std::string& reason);
  void Watch(double rate, const Observation& seen);
  void Restart(const std::string& reason);
  void EndRecheck();
  void Fit();
  double Best() const;

  const Options options_;
  State state_ = State::kRise;
  Advice advice_;
  std::map<int, Level> levels_;  // of this search, or this recheck
  std::optional<Scaling> law_;
  std::vector<double> rates_;  // of the present level
  double waiting_ = 0;         // summed over them
  double decode_ = 0;          // smoothed
  bool fresh_ = true;          // the next interval saw the change
  std::optional<double> last_time_;
  double search_began_ = 0;
  double settled_at_ = 0;
  bool consumer_bounds_ = false;
  int settled_readers_ = 1;
  double reference_ = 0;  // throughput at settling
  double best_over_ = 1;  // the best throughput of the search over that of the readers settled on
  std::deque<Observation> recent_;
  std::deque<double> recent_rates_;
};

}  // namespace strop::feed
