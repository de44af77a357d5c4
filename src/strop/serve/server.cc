#include "strop/serve/server.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

#include <unistd.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/metrics.h"
#include "strop/base/threads.h"
#include "strop/serve/control.h"
#include "strop/serve/observer.h"
#include "strop/serve/service.h"
#include "strop/serve/strop_api.h"

namespace strop::serve {
namespace {

ModelRepositoryOptions RepositoryOptions(const ServerOptions& options) {
  ModelRepositoryOptions out;
  out.threads = options.threads;
  out.store = options.store;
  out.directory = options.directory;
  out.watched = !options.store.empty();
  out.watch = options.watch;
  return out;
}

ObserverOptions MakeObserverOptions(const ServerOptions& options) {
  ObserverOptions out;
  out.store = options.store;
  out.capture = options.capture;
  out.capture_rows = options.capture_rows;
  out.window = options.watch.window;
  out.uniform_share = options.watch.uniform_share;
  out.uncertain_share = options.watch.uncertain_share;
  return out;
}

ServiceOptions MakeServiceOptions(const ServerOptions& options) {
  ServiceOptions out;
  out.workers = options.threads > 0 ? options.threads : UsableCpus();
  return out;
}

}  // namespace

struct Server::Impl {
  explicit Impl(const ServerOptions& o) : options(o), models(RepositoryOptions(o)) {
    if (!options.store.empty()) {
      observer.emplace(MakeObserverOptions(options));
      api.emplace(options.store, &models, &*observer);
    }
    service.emplace(MakeServiceOptions(options), &models, observer ? &*observer : nullptr,
                    api ? &*api : nullptr, [this] { return StatusJson(); });
    http.emplace(options.http, [this](HttpRequest request, Respond respond) {
      service->Handle(std::move(request), std::move(respond));
    });
    listening = &*http;
    models.Restore(options.models, options.reference);
    service->SetReady(true);
    if (!options.control.empty()) control.emplace(options.control, Actions());
  }

  ~Impl() { Stop(); }

  ControlActions Actions() {
    return {
        .load = [this](const std::string& name, const std::string& path,
                       const std::string& reference) { return models.Load(name, path, reference); },
        .unload = [this](const std::string& name) { models.Unload(name); },
        .status = [this] { return StatusJson(); },
        .shutdown = [this] { shutdown_asked = true; },
    };
  }

  std::string StatusJson() const {
    const HttpServer* at = listening;
    nlohmann::json out = {
        {"pid", ::getpid()},
        {"http", at != nullptr ? at->address() : ""},
        {"ready", service->ready()},
        {"uptime", std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count()},
        {"connections", at != nullptr ? at->connections() : 0},
        {"captures", observer ? observer->captures() : 0},
        {"captures_dropped", observer ? observer->dropped() : 0},
        {"alarms", observer ? observer->alarms() : 0},
    };
    auto all = nlohmann::json::array();
    for (const ModelState& state : models.List()) {
      if (!state.model) {
        all.push_back({{"name", state.name}, {"state", "unloaded"}});
        continue;
      }
      const ServedModel& model = *state.model;
      auto detectors = nlohmann::json::array();
      if (observer) {
        for (const DetectorState& detector :
             observer->Detectors(model.signature.name, model.signature.version)) {
          detectors.push_back({{"name", detector.name},
                               {"score", detector.score},
                               {"threshold", detector.threshold},
                               {"drift", detector.drift},
                               {"rows", detector.rows}});
        }
      }
      all.push_back({{"name", model.signature.name},
                     {"state", "ready"},
                     {"version", model.signature.version},
                     {"path", model.path.string()},
                     {"hash", model.hash},
                     {"reference", model.reference},
                     {"watched", model.watch != nullptr},
                     {"loaded_at", model.loaded_at},
                     {"inferences", model.stats.succeeded.load()},
                     {"failures", model.stats.failed.load()},
                     {"detectors", std::move(detectors)}});
    }
    // Most servers have one model; its facts are at hand without a search.
    for (const auto& model : all) {
      if (model.at("state") != "ready") continue;
      out["model"] = model.at("name");
      out["version"] = model.at("version");
      out["path"] = model.at("path");
      break;
    }
    out["models"] = std::move(all);
    return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  void Stop() {
    if (stopped) return;
    stopped = true;
    if (service) service->SetReady(false);
    control.reset();
    if (http) http->Drain(options.drain);
    if (service) service->Stop();
    if (observer) observer->Stop();
  }

  const ServerOptions options;
  const std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::atomic<bool> shutdown_asked{false};
  std::atomic<const HttpServer*> listening{nullptr};
  bool stopped = false;
  ModelRepository models;
  std::optional<Observer> observer;
  std::optional<StropApi> api;
  std::optional<Service> service;
  std::optional<HttpServer> http;
  std::optional<ControlServer> control;
};

Server::Server(const ServerOptions& options) : impl_(std::make_unique<Impl>(options)) {}

Server::~Server() = default;

const std::string& Server::http() const noexcept { return impl_->http->address(); }
std::string Server::StatusJson() const { return impl_->StatusJson(); }
bool Server::shutdown_asked() const noexcept { return impl_->shutdown_asked; }
void Server::Stop() { impl_->Stop(); }

}  // namespace strop::serve
