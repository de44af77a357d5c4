#include "strop/tune/cma/cma_sampler.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "strop/tune/cma/distribution.h"
#include "strop/tune/ranking.h"

namespace strop::tune::cma {
namespace {

constexpr uint64_t kRestartStream = 0xc3a;
constexpr int kAttempts = 100;  // to draw what is not taken

using nlohmann::json;
using Numbers = std::vector<int64_t>;

// What a suggestion leaves for later ones.
struct State {
  int64_t generation = 0;
  Numbers parents;  // the trials that the step to this generation was made of
};

std::string ToText(const State& state) {
  return json{{"cmaes", {{"generation", state.generation}, {"parents", state.parents}}}}.dump();
}

std::optional<State> FromText(const std::string& text) {
  const json parsed = text.empty() ? json() : json::parse(text, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("cmaes")) return {};
  return State{parsed["cmaes"]["generation"], parsed["cmaes"]["parents"].get<Numbers>()};
}

// The trials of this sampler.
struct History {
  std::map<int64_t, Numbers> parents;                          // by generation
  std::map<int64_t, std::vector<const Observation*>> members;  // that are finished, by generation
  std::map<int64_t, const Observation*> finished;              // by number

  explicit History(const Question& question) {
    Add(question.finished, true);
    Add(question.pending, false);
  }

 private:
  void Add(std::span<const Observation> trials, bool ended) {
    for (const Observation& trial : trials) {
      const std::optional<State> state = FromText(trial.state);
      if (!state) continue;
      parents.emplace(state->generation, state->parents);
      if (!ended) continue;
      members[state->generation].push_back(&trial);
      finished.emplace(trial.number, &trial);
    }
  }
};

// What was sampled for a trial: its draw and, of what is inactive or stands for a share, the numbers behind
// it.
std::vector<double> Sampled(const Space& space, const Distribution& distribution, uint64_t seed,
                            const Observation& trial) {
  Rng rng(seed, static_cast<uint64_t>(trial.number));
  std::vector<double> sampled = distribution.Sample(rng), settled = sampled;
  space.Settle(settled);
  for (size_t p = 0; p < sampled.size(); ++p)
    if (!std::isnan(trial.draw[p]) && trial.draw[p] != settled[p]) sampled[p] = trial.draw[p];
  return sampled;
}

// The draws of trials as they were sampled, best first, failed ones last.
std::vector<std::vector<double>> SampledBestFirst(const Space& space, const Distribution& distribution,
                                                  uint64_t seed, std::vector<Observation> trials) {
  std::vector<size_t> order = BestFirst(trials);
  for (size_t i = 0; i < trials.size(); ++i)
    if (trials[i].losses.empty()) order.push_back(i);
  std::vector<std::vector<double>> draws;
  for (size_t i : order) draws.push_back(Sampled(space, distribution, seed, trials[i]));
  return draws;
}

class Replay {
 public:
  explicit Replay(const Question& question)
      : question_(question), history_(question), distribution_(question.space) {
    for (auto next = history_.parents.find(1); next != history_.parents.end();
         next = history_.parents.find(state_.generation + 1))
      Step(next->second);
    const auto members = history_.members.find(state_.generation);
    if (members == history_.members.end() || members->second.size() < distribution_.population()) return;
    Numbers parents;
    for (size_t i = 0; i < distribution_.population(); ++i) parents.push_back(members->second[i]->number);
    Step(parents);
  }

  const Distribution& distribution() const noexcept { return distribution_; }
  const State& state() const noexcept { return state_; }

 private:
  void Step(const Numbers& parents) {
    std::vector<Observation> trials;
    for (int64_t number : parents)
      if (const auto found = history_.finished.find(number); found != history_.finished.end())
        trials.push_back(*found->second);
    state_ = {state_.generation + 1, parents};
    if (trials.size() == distribution_.population())
      distribution_.Update(
          SampledBestFirst(question_.space, distribution_, question_.seed, std::move(trials)));
    if (distribution_.collapsed()) Restart();
  }

  void Restart() {
    Rng rng(MixSeed(question_.seed, kRestartStream), static_cast<uint64_t>(state_.generation));
    std::vector<double> mean(question_.space.size());
    for (double& one : mean) one = rng.Uniform();
    distribution_ = Distribution(question_.space, factor_ *= 2, mean);
  }

  const Question& question_;
  History history_;
  Distribution distribution_;
  State state_;
  size_t factor_ = 1;
};

}  // namespace

Suggestion CmaSampler::Ask(const Question& question) const {
  const Replay replay(question);
  const Taken taken(question);
  Rng rng(question.seed, static_cast<uint64_t>(question.trial));
  std::vector<double> draw;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    draw = replay.distribution().Sample(rng);
    question.space.Settle(draw);
    if (!taken.Holds(draw)) break;
  }
  return {question.space.FromDraw(taken.Free(std::move(draw), rng)), "cmaes", "", ToText(replay.state())};
}

}  // namespace strop::tune::cma
