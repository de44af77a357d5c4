#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/serve/models.h"
#include "strop/watch/label_queue.h"

namespace strop::serve {

struct STROP_API ObserverOptions {
  std::string store;               // URL
  double capture = 1.0;            // share of requests kept and watched, by request id
  int64_t capture_rows = 100'000;  // kept at most; the oldest unlabelled go first
  int64_t window = 200;            // captured rows among which the most uncertain are chosen
  double uniform_share = 0.1;      // of captured rows offered for labelling whatever the model says
  double uncertain_share = 0.2;    // of captured rows offered because they are the most uncertain
  size_t queue_rows = 8192;        // that may wait for the observer; more are dropped and counted
  size_t queue_bytes = size_t{256} << 20;
  void Validate() const;
};

// One answered request. Tensors are shared, not copied; nobody writes them any more.
struct STROP_API Observation {
  std::shared_ptr<const ServedModel> model;
  std::string request_id;
  int64_t rows = 1;  // more than one: row i is kept as "request_id/i"
  TensorMap inputs;
  TensorMap outputs;
  Tensor activation;  // the tap's value; empty when the model has none
};

struct STROP_API DetectorState {
  std::string name;
  double score = 0;
  double threshold = 0;
  bool drift = false;
  int64_t rows = 0;
};

// Looks at what was answered, off the request path: one thread that writes captures and labels wanted in
// batches, one transaction each, and feeds the detectors. A detector's first drift verdict after none is an
// alarm: an event of the store's log (room "watch", event "alarm"). When it falls behind, observations are
// dropped and counted, and no request waits. Thread safe.
class STROP_API Observer {
 public:
  // Throws what Database::Open throws.
  explicit Observer(const ObserverOptions& options);
  ~Observer();  // Stop

  // Whether the request belongs to the captured share.
  bool Wants(const std::string& request_id) const noexcept;
  // Never blocks longer than another thread's push.
  void Offer(Observation observation) noexcept;
  // Waits until what was offered before is in the store (or lost and counted).
  void Flush();
  // Finishes what was offered and joins. A second call does nothing.
  void Stop();

  uint64_t captures() const noexcept { return captures_; }  // rows written since the start
  uint64_t dropped() const noexcept { return dropped_; }  // rows not written: queue full, or the store failed
  uint64_t alarms() const noexcept { return alarms_; }
  // Of the version; empty until its first window has begun.
  std::vector<DetectorState> Detectors(const std::string& model, int64_t version) const;

 private:
  struct Work;
  void Loop();
  void Process(const std::vector<Observation>& batch, bool last);
  void Keep(const Observation& observation, double now, std::vector<watch::Capture>* captures) const;
  void AskForLabels(const std::vector<watch::Capture>& captures, bool last);
  void Watch(const Observation& observation, std::vector<std::string>* alarms);
  void Publish(const ServedModel& model);
  void Drop(int64_t rows) noexcept;

  const ObserverOptions options_;
  std::atomic<uint64_t> captures_{0}, dropped_{0}, alarms_{0};

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<Observation> queue_;
  size_t queued_rows_ = 0, queued_bytes_ = 0;
  uint64_t offered_ = 0, finished_ = 0;
  int flushing_ = 0;
  bool stopping_ = false;

  mutable std::mutex state_mutex_;
  std::map<std::string, std::pair<int64_t, std::vector<DetectorState>>>
      states_;  // model -> version, detectors

  std::unique_ptr<Work> work_;
  std::thread thread_;
};

}  // namespace strop::serve
