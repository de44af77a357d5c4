#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/metrics.h"
#include "strop/engine/session.h"
#include "strop/serve/protocol.h"
#include "strop/serve/reference.h"
#include "strop/store/database.h"

namespace strop::serve {

// What a version of a model has done since it was loaded. Thread safe.
struct STROP_API ModelStats {
  std::atomic<uint64_t> succeeded{0}, failed{0}, rows{0};
  std::atomic<uint64_t> total_ns{0}, queue_ns{0}, parse_ns{0}, run_ns{0}, answer_ns{0}, failed_ns{0};
  std::atomic<int64_t> last_ms{0};  // Unix milliseconds
};

// One version of a model, whole and warm. Shared by the requests in flight on it; immutable but for what says
// it is thread safe, and `watch`, which only the observer's thread touches.
struct STROP_API ServedModel {
  Signature signature;
  std::filesystem::path path;
  std::string hash;
  std::string reference;  // URI of the detectors' reference rows; empty: not watched
  double loaded_at = 0;   // Unix seconds
  bool batched = false;   // the first dimension of every input and output is the rows
  std::string tap;        // the penultimate activation's name; empty: not tapped
  std::unique_ptr<engine::Session> session;
  std::unique_ptr<ModelWatch> watch;
  mutable ModelStats stats;

  // Of the process's registry; they live as long as it.
  Counter* success_total = nullptr;
  Counter* failure_total = nullptr;
  Counter* nv_success = nullptr;
  Counter* nv_failure = nullptr;
  Histogram* seconds = nullptr;
};

struct STROP_API ModelRepositoryOptions {
  int threads = 0;                  // of a session; 0: every usable CPU
  std::string store;                // URL; empty: nothing is remembered
  std::filesystem::path directory;  // copies of served models are kept in directory/served; empty: none are
  bool watched = false;             // an observer runs: taps and detectors are worth making
  WatchOptions watch;
};

// A model as the caller names it at start-up.
struct STROP_API ConfiguredModel {
  std::string name;
  std::filesystem::path path;
};

struct STROP_API ModelState {
  std::string name;
  std::shared_ptr<const ServedModel> model;  // null: known, but not loaded
  std::string reason;                        // why not
};

// Which model answers to which name. Find is cheap and never waits for a load; loads run one at a time.
// Thread safe. With a store, the table served(id, name, path, hash, version, reference, state, time) gets a
// row for every load (state "ready") and unload ("unloaded"), committed before the call returns; the newest
// row of a name is what a restart brings back.
class STROP_API ModelRepository {
 public:
  explicit ModelRepository(ModelRepositoryOptions options);
  ~ModelRepository();

  // Start-up: for every configured or remembered name the remembered version, if its file still holds the
  // remembered bytes (or the kept copy does), else the configured path. Throws what Load throws.
  void Restore(const std::vector<ConfiguredModel>& configured, const std::string& reference);

  // Makes a session of the file, runs it once, calibrates its detectors, records it, and only then lets it
  // answer to the name; requests in flight end on the old version. An empty reference keeps the one in use.
  // Answers the version, 1 for a new name, one more each time. Throws with the old version untouched:
  // kNotFound, kCorrupt, kUnsupported as Graph::Load; kInvalidArgument for a bad name or one whose inputs the
  // reference does not fit.
  int64_t Load(const std::string& name, const std::filesystem::path& path, const std::string& reference = "");
  // Loads the newest path of the name once more. Throws kNotFound for a name never loaded.
  int64_t Reload(const std::string& name);
  void Unload(const std::string& name);

  // `version` empty: the one served. Throws kNotFound naming the models or the version there is, kUnavailable
  // when the model is known and not loaded.
  std::shared_ptr<const ServedModel> Find(const std::string& name, const std::string& version = "") const;
  std::vector<ModelState> List() const;

 private:
  struct Entry {
    std::shared_ptr<const ServedModel> model;
    std::filesystem::path path;
    std::string reference;
    int64_t version = 0;  // the last given out
  };

  std::shared_ptr<ServedModel> Make(const std::string& name, const std::filesystem::path& path,
                                    const std::string& reference, int64_t version) const;
  int64_t LoadLocked(const std::string& name, const std::filesystem::path& path,
                     const std::string& reference);
  void Record(const std::string& name, const std::filesystem::path& path, const std::string& hash,
              int64_t version, const std::string& reference, const std::string& state);
  std::filesystem::path KeptCopy(const std::string& hash) const;

  const ModelRepositoryOptions options_;
  std::mutex loading_;  // held through a load; guards database_
  std::unique_ptr<store::Database> database_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, Entry> entries_;
};

// The tables of this room.
STROP_API const store::Migrations& ServeMigrations();

}  // namespace strop::serve
