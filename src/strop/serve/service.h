#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "strop/base/api.h"
#include "strop/serve/executor.h"
#include "strop/serve/http.h"
#include "strop/serve/models.h"
#include "strop/serve/observer.h"
#include "strop/serve/strop_api.h"

namespace strop::serve {

struct STROP_API ServiceOptions {
  int workers = 2;            // requests computed side by side
  size_t queue_limit = 1024;  // requests that wait for a worker; one more is answered 503
};

// Answers the protocol's addresses. Handle never blocks: inference goes to the workers, what touches the
// store or loads a model to one thread of its own, the rest is answered at once. Thread safe.
class STROP_API Service {
 public:
  // `observer` and `strop_api` may be null: nothing is captured, and labels and candidates are refused. All
  // outlive the service. `status` makes the JSON of /strop/v1/status.
  Service(const ServiceOptions& options, ModelRepository* models, Observer* observer, StropApi* strop_api,
          std::function<std::string()> status);
  ~Service();  // Stop

  void Handle(HttpRequest request, Respond respond);
  // What /v2/health/ready says. Inference is refused with 503 until it was ready once; a server that stops
  // still answers the requests that reach it.
  void SetReady(bool ready) noexcept {
    ready_ = ready;
    if (ready) started_ = true;
  }
  bool ready() const noexcept { return ready_; }
  // Finishes what was accepted and joins the threads.
  void Stop();

 private:
  // These take request and respond only when they throw no more; what they throw becomes the answer.
  void Route(HttpRequest& request, Respond& respond);
  void RouteModel(HttpRequest& request, Respond& respond);
  void RouteRepository(HttpRequest& request, Respond& respond);
  void RequireStarted() const;
  void PostInfer(HttpRequest& request, Respond& respond, const std::string& version);
  HttpResponse Infer(const HttpRequest& request, const std::shared_ptr<const ServedModel>& shared,
                     std::chrono::steady_clock::time_point received) const;
  void PostSlow(HttpRequest request, Respond respond, std::function<HttpResponse(const HttpRequest&)> work);

  const ServiceOptions options_;
  ModelRepository* const models_;
  Observer* const observer_;
  StropApi* const strop_api_;
  const std::function<std::string()> status_;
  std::atomic<bool> ready_{false}, started_{false};
  Executor workers_;
  Executor slow_;
};

}  // namespace strop::serve
