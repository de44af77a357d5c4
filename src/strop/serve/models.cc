#include "strop/serve/models.h"

#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/log.h"
#include "strop/model/graph.h"

namespace strop::serve {
namespace {

double Now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void CheckName(const std::string& name) {
  bool good = !name.empty() && name.size() <= 128;
  for (const char c : name) {
    good = good && (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.');
  }
  if (!good) {
    throw Error(Code::kInvalidArgument,
                fmt::format("model name \"{}\": expected 1 to 128 of letters, digits, '_', '-', '.'", name));
  }
}

bool IsBatched(const Signature& signature) {
  const auto first_dynamic = [](const std::vector<model::ValueInfo>& values) {
    for (const auto& value : values) {
      if (value.shape.empty() || value.shape[0] >= 0) return false;
    }
    return true;
  };
  return first_dynamic(signature.inputs) && first_dynamic(signature.outputs);
}

// The penultimate activation, unless it is watched or answered anyway.
std::string FindTap(const model::Graph& graph) {
  std::string tap = model::Penultimate(graph);
  for (const auto& output : graph.outputs) {
    if (output.name == tap) return "";
  }
  return graph.FindInput(tap) != nullptr ? "" : tap;
}

// The first run pays for what the session puts off; it must not be a client's.
void WarmUp(ServedModel* model, const std::vector<std::string>& wanted) {
  TensorMap inputs;
  for (const auto& input : model->signature.inputs) {
    Shape shape = input.shape;
    for (int64_t& size : shape) {
      if (size < 0) size = 1;
    }
    Tensor tensor = Tensor::New(input.dtype, shape);
    std::memset(tensor.data(), 0, tensor.bytes());
    inputs.emplace(input.name, std::move(tensor));
  }
  for (int i = 0; i < 2; ++i) model->session->Run(inputs, wanted);
}

void RegisterMetrics(ServedModel* model) {
  Metrics& metrics = Metrics::Global();
  const std::string version = std::to_string(model->signature.version);
  const Labels labels = {{"model", model->signature.name}};
  const Labels triton = {{"model", model->signature.name}, {"version", version}};
  model->success_total =
      &metrics.GetCounter("strop_serve_inferences_total", "Inference requests answered.", labels);
  model->failure_total = &metrics.GetCounter("strop_serve_inference_failures_total",
                                             "Inference requests refused or failed.", labels);
  model->nv_success = &metrics.GetCounter("nv_inference_request_success",
                                          "As strop_serve_inferences_total, by Triton's name.", triton);
  model->nv_failure = &metrics.GetCounter(
      "nv_inference_request_failure", "As strop_serve_inference_failures_total, by Triton's name.", triton);
  model->seconds = &metrics.GetHistogram(
      "strop_serve_inference_seconds", "From a request's last byte to its answer's first.",
      {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10}, labels);
}

}  // namespace

const store::Migrations& ServeMigrations() {
  static const store::Migrations kMigrations = {
      "serve",
      {"CREATE TABLE served (id INTEGER PRIMARY KEY, name TEXT NOT NULL, path TEXT NOT NULL, hash TEXT NOT "
       "NULL,"
       " version INTEGER NOT NULL, reference TEXT NOT NULL, state TEXT NOT NULL, time REAL NOT NULL)",
       "CREATE INDEX served_by_name ON served (name, id)",
       "CREATE TABLE candidates (id INTEGER PRIMARY KEY, model TEXT NOT NULL, path TEXT NOT NULL,"
       " state TEXT NOT NULL, evidence_json TEXT NOT NULL DEFAULT '{}', time REAL NOT NULL)"}};
  return kMigrations;
}

ModelRepository::ModelRepository(ModelRepositoryOptions options) : options_(std::move(options)) {
  options_.watch.Validate();
  if (!options_.store.empty()) {
    database_ = std::make_unique<store::Database>(store::Database::Open(options_.store));
    database_->Migrate(ServeMigrations());
  }
}

ModelRepository::~ModelRepository() = default;

std::filesystem::path ModelRepository::KeptCopy(const std::string& hash) const {
  return options_.directory / "served" / (hash + ".onnx");
}

std::shared_ptr<ServedModel> ModelRepository::Make(const std::string& name, const std::filesystem::path& path,
                                                   const std::string& reference, int64_t version) const {
  auto made = std::make_shared<ServedModel>();
  const std::string bytes = ReadFile(path);
  made->path = std::filesystem::absolute(path);
  made->hash = HashHex(bytes);
  made->reference = reference;
  made->loaded_at = Now();
  made->signature.name = name;
  made->signature.version = version;

  engine::SessionOptions session;
  session.threads = options_.threads;
  if (options_.watched) {
    made->tap = FindTap(model::Graph::Parse(bytes, path.string()));
    if (!made->tap.empty()) session.taps = {made->tap};
  }
  made->session = engine::Session::Load(path, session);
  if (made->session->model_hash() != made->hash) {
    throw Error(Code::kUnavailable, fmt::format("{} changed while it was read: try again", path.string()));
  }
  made->signature.inputs = made->session->inputs();
  made->signature.outputs = made->session->outputs();
  if (!made->tap.empty()) made->signature.outputs.pop_back();
  made->batched = IsBatched(made->signature);

  std::vector<std::string> wanted;
  for (const auto& output : made->signature.outputs) wanted.push_back(output.name);
  WarmUp(made.get(), wanted);
  if (!made->tap.empty()) WarmUp(made.get(), {});
  if (options_.watched && !reference.empty()) {
    made->watch =
        MakeModelWatch(*made->session, made->tap,
                       ReadReference(reference, made->signature.inputs, options_.watch), options_.watch);
  }
  RegisterMetrics(made.get());
  if (!options_.directory.empty() && !std::filesystem::exists(KeptCopy(made->hash))) {
    WriteFileAtomically(KeptCopy(made->hash), bytes);
  }
  return made;
}

void ModelRepository::Record(const std::string& name, const std::filesystem::path& path,
                             const std::string& hash, int64_t version, const std::string& reference,
                             const std::string& state) {
  if (!database_) return;
  database_->Transaction([&] {
    database_->Run(
        "INSERT INTO served (name, path, hash, version, reference, state, time) VALUES (?, ?, ?, ?, ?, ?, ?)",
        {name, path.string(), hash, version, reference, state, Now()});
    database_->Log(
        "serve", state == "ready" ? "load" : "unload",
        nlohmann::json{{"model", name}, {"version", version}, {"path", path.string()}, {"hash", hash}}
            .dump());
  });
}

int64_t ModelRepository::LoadLocked(const std::string& name, const std::filesystem::path& path,
                                    const std::string& reference) {
  CheckName(name);
  Entry entry;
  {
    std::shared_lock lock(mutex_);
    if (const auto found = entries_.find(name); found != entries_.end()) entry = found->second;
  }
  if (!reference.empty()) entry.reference = reference;
  std::shared_ptr<const ServedModel> old = std::move(entry.model);
  entry.model = Make(name, path, entry.reference, entry.version + 1);
  entry.version = entry.model->signature.version;
  entry.path = entry.model->path;
  Record(name, entry.path, entry.model->hash, entry.version, entry.reference, "ready");
  const int64_t version = entry.version;
  {
    std::unique_lock lock(mutex_);
    entries_[name] = std::move(entry);
  }
  Metrics::Global()
      .GetCounter("strop_serve_loads_total", "Model versions brought into service.", {{"model", name}})
      .Add();
  Log("serve").info("model {} version {} serves from {}", name, version, path.string());
  return version;  // the old version goes with its last request
}

int64_t ModelRepository::Load(const std::string& name, const std::filesystem::path& path,
                              const std::string& reference) {
  std::lock_guard loading(loading_);
  return LoadLocked(name, path, reference);
}

int64_t ModelRepository::Reload(const std::string& name) {
  std::lock_guard loading(loading_);
  std::filesystem::path path;
  {
    std::shared_lock lock(mutex_);
    const auto found = entries_.find(name);
    if (found == entries_.end()) {
      throw Error(Code::kNotFound,
                  fmt::format("model \"{}\" was never loaded: load it through the control socket, or "
                              "start the server with {}=PATH",
                              name, name));
    }
    path = found->second.path;
  }
  return LoadLocked(name, path, "");
}

void ModelRepository::Unload(const std::string& name) {
  std::lock_guard loading(loading_);
  const std::shared_ptr<const ServedModel> model = Find(name);
  Record(name, model->path, model->hash, model->signature.version, model->reference, "unloaded");
  std::unique_lock lock(mutex_);
  entries_[name].model.reset();
}

void ModelRepository::Restore(const std::vector<ConfiguredModel>& configured, const std::string& reference) {
  std::lock_guard loading(loading_);
  struct Remembered {
    std::string path, hash, reference, state;
    int64_t version = 0;
  };
  std::map<std::string, Remembered> remembered;
  if (database_) {
    database_->Query(
        "SELECT name, path, hash, version, reference, state FROM served WHERE id IN"
        " (SELECT max(id) FROM served GROUP BY name)",
        {}, [&](const store::Row& row) {
          remembered[row.Text(0)] = {row.Text(1), row.Text(2), row.Text(4), row.Text(5), row.Int(3)};
        });
  }
  std::map<std::string, std::filesystem::path> wanted;
  for (const ConfiguredModel& model : configured) {
    CheckName(model.name);
    if (!wanted.emplace(model.name, model.path).second) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("two models are named \"{}\": name them with NAME=PATH", model.name));
    }
  }
  for (const auto& [name, row] : remembered) wanted.emplace(name, std::filesystem::path());

  for (const auto& [name, configured_path] : wanted) {
    const auto found = remembered.find(name);
    Entry entry;
    entry.reference = reference;
    if (found != remembered.end()) {
      const Remembered& row = found->second;
      entry.version = row.version;
      entry.path = row.path;
      if (!row.reference.empty()) entry.reference = row.reference;
      if (row.state == "ready") {
        for (const std::filesystem::path& path : {std::filesystem::path(row.path), KeptCopy(row.hash)}) {
          if (!std::filesystem::exists(path) || HashHex(ReadFile(path)) != row.hash) continue;
          entry.model = Make(name, path, entry.reference, row.version);
          break;
        }
        if (entry.model) {
          Log("serve").info("model {} version {} is back, as it was acknowledged", name, row.version);
        } else {
          Log("serve").warn("model {} version {}: {} no longer holds what was served", name, row.version,
                            row.path);
        }
      }
    }
    const bool unloaded = found != remembered.end() && found->second.state != "ready";
    const bool missing = !entry.model && !unloaded;
    if (missing && configured_path.empty()) {
      throw Error(Code::kNotFound,
                  fmt::format("model \"{}\" version {} was served from {}, which no longer holds it: "
                              "start with --model {}=PATH",
                              name, entry.version, entry.path.string(), name));
    }
    {
      std::unique_lock lock(mutex_);
      entries_[name] = std::move(entry);
    }
    if (missing) LoadLocked(name, configured_path, "");
  }
}

std::shared_ptr<const ServedModel> ModelRepository::Find(const std::string& name,
                                                         const std::string& version) const {
  std::shared_lock lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    std::string names;
    for (const auto& [known, entry] : entries_) names += (names.empty() ? "" : ", ") + known;
    throw Error(Code::kNotFound, fmt::format("no model \"{}\": {}", name.substr(0, 80),
                                             names.empty() ? "none is loaded" : "there is " + names));
  }
  if (!found->second.model) {
    throw Error(Code::kUnavailable,
                fmt::format("model \"{}\" is unloaded: POST /v2/repository/models/{}/load brings it back",
                            name, name));
  }
  const std::string served = std::to_string(found->second.model->signature.version);
  if (!version.empty() && version != served) {
    throw Error(Code::kNotFound, fmt::format("model \"{}\" has no version \"{}\": it serves version {}", name,
                                             version.substr(0, 80), served));
  }
  return found->second.model;
}

std::vector<ModelState> ModelRepository::List() const {
  std::shared_lock lock(mutex_);
  std::vector<ModelState> out;
  for (const auto& [name, entry] : entries_)
    out.push_back({name, entry.model, entry.model ? "" : "unloaded"});
  return out;
}

}  // namespace strop::serve
