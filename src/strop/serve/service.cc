#include "strop/serve/service.h"

#include <initializer_list>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/log.h"
#include "strop/base/metrics.h"
#include "strop/serve/protocol.h"
#include "strop/serve/request_id.h"

namespace strop::serve {
namespace {

using Clock = std::chrono::steady_clock;

uint64_t Nanoseconds(Clock::duration time) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
}

HttpResponse JsonResponse(std::string body, int status = 200) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

// Thrown for what has a status of its own, which no code of the library maps to.
struct Answered {
  HttpResponse response;
};

void Allow(const HttpRequest& request, std::initializer_list<const char*> methods) {
  std::string allowed;
  for (const char* method : methods) {
    if (request.method == method || (request.method == "HEAD" && std::string_view(method) == "GET")) return;
    allowed += (allowed.empty() ? "" : ", ") + std::string(method);
  }
  HttpResponse response =
      ErrorResponse(405, fmt::format("method {} is not taken here: use {}", request.method, allowed));
  response.headers.emplace_back("Allow", allowed);
  throw Answered{std::move(response)};
}

[[noreturn]] void NoSuchAddress(const HttpRequest& request) {
  std::string path;
  for (const std::string& segment : request.path) path += "/" + segment;
  throw Error(Code::kNotFound, fmt::format("nothing answers at \"{}\": see GET /v2 and docs/serve.md",
                                           path.empty() ? "/" : path.substr(0, 200)));
}

nlohmann::json Duration(uint64_t count, uint64_t ns) { return {{"count", count}, {"ns", ns}}; }

nlohmann::json Statistics(const ServedModel& model) {
  const ModelStats& stats = model.stats;
  const uint64_t good = stats.succeeded;
  return {{"name", model.signature.name},
          {"version", std::to_string(model.signature.version)},
          {"last_inference", stats.last_ms.load()},
          {"inference_count", stats.rows.load()},
          {"execution_count", good},
          {"inference_stats",
           {{"success", Duration(good, stats.total_ns)},
            {"fail", Duration(stats.failed, stats.failed_ns)},
            {"queue", Duration(good, stats.queue_ns)},
            {"compute_input", Duration(good, stats.parse_ns)},
            {"compute_infer", Duration(good, stats.run_ns)},
            {"compute_output", Duration(good, stats.answer_ns)}}},
          {"batch_stats", nlohmann::json::array()}};
}

// The model's part of Triton's configuration extension that clients read.
std::string ConfigJson(const Signature& signature) {
  const auto describe = [](const std::vector<model::ValueInfo>& values) {
    auto out = nlohmann::json::array();
    for (const auto& value : values) {
      out.push_back({{"name", value.name},
                     {"data_type", fmt::format("TYPE_{}", WireName(value.dtype))},
                     {"dims", value.shape}});
    }
    return out;
  };
  return nlohmann::json{{"name", signature.name},
                        {"platform", "onnx"},
                        {"backend", "strop"},
                        {"max_batch_size", 0},
                        {"input", describe(signature.inputs)},
                        {"output", describe(signature.outputs)}}
      .dump();
}

}  // namespace

Service::Service(const ServiceOptions& options, ModelRepository* models, Observer* observer,
                 StropApi* strop_api, std::function<std::string()> status)
    : options_(options),
      models_(models),
      observer_(observer),
      strop_api_(strop_api),
      status_(std::move(status)),
      workers_("strop-infer", options.workers, options.queue_limit),
      slow_("strop-admin", 1, 256) {}

Service::~Service() { Stop(); }

void Service::Stop() {
  workers_.Stop();
  slow_.Stop();
}

void Service::Handle(HttpRequest request, Respond respond) {
  const std::string verb = request.path.empty() ? "" : request.path.back();
  HttpResponse response;
  try {
    Route(request, respond);
    return;
  } catch (Answered& answered) {
    response = std::move(answered.response);
  } catch (const Error& failure) {
    response = ErrorResponse(StatusOf(failure.code()), failure.what());
  } catch (const std::exception& failure) {
    response = ErrorResponse(500, failure.what());
  }
  if (verb == "infer") {
    static Counter& refused = Metrics::Global().GetCounter(
        "strop_serve_refused_total",
        "Inference requests refused before a model saw them (address, method, overload).");
    refused.Add();
  }
  respond(std::move(response));
}

void Service::Route(HttpRequest& request, Respond& respond) {
  const auto& path = request.path;
  if (path.empty()) NoSuchAddress(request);
  if (path[0] == "metrics" && path.size() == 1) {
    Allow(request, {"GET"});
    HttpResponse response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = Metrics::Global().Text();
    return respond(std::move(response));
  }
  if (path[0] == "strop" && path.size() >= 3 && path[1] == "v1") {
    if (path[2] == "status" && path.size() == 3) {
      Allow(request, {"GET"});
      return respond(JsonResponse(status_()));
    }
    if (path[2] != "labels" && path[2] != "candidates") NoSuchAddress(request);
    if (strop_api_ == nullptr) {
      throw Error(
          Code::kFailedPrecondition,
          fmt::format("/strop/v1/{} needs a store: start strop serve with strop.toml or --store", path[2]));
    }
    return PostSlow(std::move(request), std::move(respond),
                    [this](const HttpRequest& asked) { return strop_api_->Handle(asked); });
  }
  if (path[0] != "v2") NoSuchAddress(request);
  if (path.size() == 1) {
    Allow(request, {"GET"});
    return respond(JsonResponse(ServerMetadataJson()));
  }
  if (path[1] == "health" && path.size() == 3 && (path[2] == "live" || path[2] == "ready")) {
    Allow(request, {"GET"});
    // The specification's ready body says "live"; KServe's client reads the key of the address.
    const bool good = path[2] == "live" || ready_;
    return respond(
        JsonResponse(nlohmann::json{{"live", true}, {"ready", ready_.load()}}.dump(), good ? 200 : 503));
  }
  if (path[1] == "models" && path.size() >= 3) return RouteModel(request, respond);
  if (path[1] == "repository") return RouteRepository(request, respond);
  NoSuchAddress(request);
}

void Service::RouteModel(HttpRequest& request, Respond& respond) {
  const auto& path = request.path;
  if (path[2] == "stats" && path.size() == 3) {
    Allow(request, {"GET"});
    auto all = nlohmann::json::array();
    for (const ModelState& state : models_->List()) {
      if (state.model) all.push_back(Statistics(*state.model));
    }
    return respond(JsonResponse(nlohmann::json{{"model_stats", std::move(all)}}.dump()));
  }
  const bool versioned = path.size() >= 5 && path[3] == "versions";
  const std::string version = versioned ? path[4] : "";
  const size_t rest = versioned ? 5 : 3;
  const std::string action = path.size() == rest ? "" : path[rest];
  if (path.size() > rest + 1) NoSuchAddress(request);
  if (action == "infer") {
    Allow(request, {"POST"});
    return PostInfer(request, respond, version);
  }
  if (!action.empty() && action != "ready" && action != "stats" && action != "config") NoSuchAddress(request);
  Allow(request, {"GET"});
  RequireStarted();
  const auto model = models_->Find(path[2], version);
  if (action == "ready") {
    return respond(JsonResponse(nlohmann::json{{"name", path[2]}, {"live", true}, {"ready", true}}.dump()));
  }
  if (action == "stats") {
    return respond(JsonResponse(nlohmann::json{{"model_stats", {Statistics(*model)}}}.dump()));
  }
  respond(
      JsonResponse(action == "config" ? ConfigJson(model->signature) : ModelMetadataJson(model->signature)));
}

void Service::RouteRepository(HttpRequest& request, Respond& respond) {
  const auto& path = request.path;
  if (path.size() == 3 && path[2] == "index") {
    Allow(request, {"POST", "GET"});
    auto all = nlohmann::json::array();
    for (const ModelState& state : models_->List()) {
      all.push_back({{"name", state.name},
                     {"version", state.model ? std::to_string(state.model->signature.version) : ""},
                     {"state", state.model ? "READY" : "UNAVAILABLE"},
                     {"reason", state.reason}});
    }
    return respond(JsonResponse(all.dump()));
  }
  if (path.size() != 5 || path[2] != "models" || (path[4] != "load" && path[4] != "unload"))
    NoSuchAddress(request);
  Allow(request, {"POST"});
  RequireStarted();
  PostSlow(std::move(request), std::move(respond), [this](const HttpRequest& asked) {
    const std::string& name = asked.path[3];
    if (asked.path[4] == "unload") {
      models_->Unload(name);
      return JsonResponse("{}");
    }
    if (!asked.body.empty()) {
      const auto body = nlohmann::json::parse(asked.body, nullptr, false);
      if (!body.is_object()) throw Error(Code::kInvalidArgument, "the body is not a JSON object");
      if (const auto found = body.find("parameters"); found != body.end() && !found->empty()) {
        throw Error(Code::kUnsupported,
                    "load takes no parameters here: it reads the model's file again; another file "
                    "goes through the control socket");
      }
    }
    models_->Reload(name);
    return JsonResponse("{}");
  });
}

void Service::RequireStarted() const {
  if (!started_)
    throw Error(Code::kUnavailable, "the server is not ready: its models are loading; try again soon");
}

void Service::PostSlow(HttpRequest request, Respond respond,
                       std::function<HttpResponse(const HttpRequest&)> work) {
  const Respond on_full = respond;
  const bool taken =
      slow_.Post([request = std::move(request), respond = std::move(respond), work = std::move(work)] {
        HttpResponse response;
        try {
          response = work(request);
        } catch (const Error& failure) {
          response = ErrorResponse(StatusOf(failure.code()), failure.what());
        } catch (const std::exception& failure) {
          response = ErrorResponse(500, failure.what());
        }
        respond(std::move(response));
      });
  if (!taken) on_full(ErrorResponse(503, "too many requests wait for the store: try again later"));
}

void Service::PostInfer(HttpRequest& request, Respond& respond, const std::string& version) {
  RequireStarted();
  const auto received = Clock::now();
  auto model = models_->Find(request.path[2], version);
  const Respond on_full = respond;
  const bool taken = workers_.Post(
      [this, received, request = std::move(request), respond = std::move(respond), model = std::move(model)] {
        HttpResponse response;
        try {
          response = Infer(request, model, received);
        } catch (const Error& failure) {
          response = ErrorResponse(StatusOf(failure.code()), failure.what());
        } catch (const std::exception& failure) {
          response = ErrorResponse(500, failure.what());
        }
        if (response.status != 200) {
          model->stats.failed += 1;
          model->stats.failed_ns += Nanoseconds(Clock::now() - received);
          model->failure_total->Add();
          model->nv_failure->Add();
        }
        respond(std::move(response));
      });
  if (!taken) {
    on_full(
        ErrorResponse(503, fmt::format("{} requests wait already: try again later", options_.queue_limit)));
  }
}

HttpResponse Service::Infer(const HttpRequest& request, const std::shared_ptr<const ServedModel>& shared,
                            Clock::time_point received) const {
  const ServedModel& model = *shared;
  const auto started = Clock::now();
  const std::string& encoding = request.Header("content-encoding");
  if (!encoding.empty() && encoding != "identity") {
    return ErrorResponse(
        415, fmt::format("Content-Encoding {} is not taken: send the body as it is", encoding.substr(0, 40)));
  }
  const auto header_length =
      ParseHeaderLength(request.Header("inference-header-content-length"), request.body.size());
  InferRequest asked = ParseInferRequest(request.body, header_length, model.signature);
  if (asked.id.empty()) asked.id = NewRequestId();
  const bool captured = observer_ != nullptr && observer_->Wants(asked.id);
  std::vector<std::string> wanted;
  if (captured) {
    for (const auto& output : model.signature.outputs) wanted.push_back(output.name);
    if (model.watch && !model.tap.empty()) wanted.push_back(model.tap);
  } else {
    for (const RequestedOutput& output : asked.outputs) wanted.push_back(output.name);
  }
  const auto parsed = Clock::now();
  TensorMap outputs = model.session->Run(asked.inputs, wanted);
  const auto ran = Clock::now();
  HttpResponse response = MakeInferResponse(asked, asked.id, model.signature, outputs);
  const int64_t rows = model.batched ? asked.inputs.begin()->second.shape()[0] : 1;
  if (captured) {
    Observation observation;
    observation.model = shared;
    observation.request_id = asked.id;
    observation.rows = rows;
    observation.inputs = std::move(asked.inputs);
    if (model.watch && !model.tap.empty()) {
      auto tapped = outputs.extract(model.tap);
      observation.activation = std::move(tapped.mapped());
    }
    observation.outputs = std::move(outputs);
    observer_->Offer(std::move(observation));
  }
  const auto done = Clock::now();
  ModelStats& stats = model.stats;
  stats.succeeded += 1;
  stats.rows += static_cast<uint64_t>(rows);
  stats.total_ns += Nanoseconds(done - received);
  stats.queue_ns += Nanoseconds(started - received);
  stats.parse_ns += Nanoseconds(parsed - started);
  stats.run_ns += Nanoseconds(ran - parsed);
  stats.answer_ns += Nanoseconds(done - ran);
  stats.last_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                      std::chrono::system_clock::now().time_since_epoch())
                      .count();
  model.success_total->Add();
  model.nv_success->Add();
  model.seconds->Observe(std::chrono::duration<double>(done - received).count());
  return response;
}

}  // namespace strop::serve
