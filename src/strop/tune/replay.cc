#include "strop/tune/replay.h"

#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/tune/json.h"

namespace strop::tune {
namespace {

using nlohmann::json;

constexpr int64_t kPage = 1000;

// What was known at a place of the event log.
class Past {
 public:
  explicit Past(const TrialCache& present) : present_(present), then_(present.AtItsStart()) {}

  TrialCache& then() noexcept { return then_; }

  bool Knows(int64_t trial) const { return then_.trials().contains(trial); }

  void Start(int64_t number) {
    const TrialCache::Trial& now = present_.trials().at(number);
    TrialCache::Trial trial = now;
    trial.record.state = TrialState::kRunning;
    trial.record.params = then_.by_run() ? Params() : now.proposal;
    trial.record.values.clear();
    trial.record.violations.clear();
    then_.Take(std::move(trial));
  }

  void SetParameter(int64_t number, const std::string& name, ParamValue value) {
    if (!then_.space().Find(name)) {
      const Parameter* const known = present_.space().Find(name);
      if (!known) return;  // newer than `present`
      Space wider = then_.space();
      wider.Add(*known);
      then_.SetSpace(wider.ToText());
    }
    TrialCache::Trial trial = then_.trials().at(number);
    trial.record.params[name] = std::move(value);
    then_.Take(std::move(trial));
  }

  void SetConstraint(int64_t number, const std::string& name) {
    TrialCache::Trial trial = then_.trials().at(number);
    trial.record.violations[name] = 0;
    then_.Take(std::move(trial));
  }

  void End(int64_t number) { then_.Take(present_.trials().at(number)); }

 private:
  const TrialCache& present_;
  TrialCache then_;
};

}  // namespace

void Replay(store::Database& db, const std::string& study, const TrialCache& present,
            const std::function<void(TrialCache& then, const TrialCache::Trial& suggested)>& asked) {
  Past past(present);
  const auto follow = [&](const store::Event& event, const json& detail) {
    if (!detail.contains("trial")) return;
    const int64_t number = detail["trial"];
    if (!present.trials().contains(number)) return;  // began after `present` was read
    if (event.event == "ask") {
      if (!past.Knows(number)) asked(past.then(), present.trials().at(number));
      past.Start(number);
      return;
    }
    if (!past.Knows(number))
      throw Error(
          Code::kFailedPrecondition,
          fmt::format("study \"{}\" cannot be replayed: an early Strop suggested its trial {} and did "
                      "not log that",
                      study, number));
    if (event.event == "parameter")
      past.SetParameter(number, detail["name"], ValueFromJson(detail["value"], detail["name"]));
    else if (event.event == "constraint")
      past.SetConstraint(number, detail["name"]);
    else if (event.event == "trial")
      past.End(number);
  };
  int64_t last = 0;
  for (;;) {
    const std::vector<store::Event> events = db.Events(last, kPage, "tune");
    for (const store::Event& event : events) {
      last = event.id;
      const json detail = json::parse(event.detail);
      if (detail.value("study", "") == study) follow(event, detail);
    }
    if (static_cast<int64_t>(events.size()) < kPage) return;
  }
}

}  // namespace strop::tune
