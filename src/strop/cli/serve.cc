// strop serve: models over HTTP, by the Open Inference Protocol.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/project.h"
#include "strop/cli/verb.h"
#include "strop/serve/server.h"

namespace {

namespace fs = std::filesystem;
using strop::Code;
using strop::Error;
using strop::serve::ConfiguredModel;

struct Arguments {
  std::vector<std::string> sources;
  std::vector<std::string> models;
  std::string http;
  std::string grpc;
  std::string reference;
  std::string store;
  std::string directory;
  std::string control;
  int threads = -1;
  double capture = -1;
  size_t max_body = 0;
  size_t max_connections = 0;
};

bool IsNamed(const std::string& text) {
  const size_t equals = text.find('=');
  return equals != std::string::npos && text.find('/') > equals;
}

ConfiguredModel ParseNamed(const std::string& text) {
  const size_t equals = text.find('=');
  if (!IsNamed(text) || equals == 0 || equals + 1 == text.size()) {
    throw Error(Code::kInvalidArgument, fmt::format("--model {}: expected NAME=PATH", text));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

// FOLDER/NAME.onnx, and FOLDER/NAME/VERSION/model.onnx, of which the highest version is taken.
void AddFolder(const fs::path& folder, std::vector<ConfiguredModel>* out) {
  std::vector<ConfiguredModel> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path& path = entry.path();
    if (entry.is_regular_file() && path.extension() == ".onnx") found.push_back({path.stem().string(), path});
    if (!entry.is_directory()) continue;
    long best = -1;
    for (const auto& version : fs::directory_iterator(path)) {
      const std::string number = version.path().filename().string();
      const bool digits =
          !number.empty() && number.size() < 10 && std::all_of(number.begin(), number.end(), ::isdigit);
      if (digits && fs::exists(version.path() / "model.onnx")) best = std::max(best, std::stol(number));
    }
    if (best >= 0) found.push_back({path.filename().string(), path / std::to_string(best) / "model.onnx"});
  }
  if (found.empty()) {
    throw Error(
        Code::kNotFound,
        fmt::format("{} holds no model: expected NAME.onnx or NAME/VERSION/model.onnx", folder.string()));
  }
  out->insert(out->end(), found.begin(), found.end());
}

strop::serve::ServerOptions MakeOptions(const Arguments& arguments) {
  strop::serve::ServerOptions options;
  std::optional<strop::Project> project;
  for (const std::string& source : arguments.sources) {
    const fs::path path = source;
    if (path.extension() == ".toml") {
      if (project)
        throw Error(Code::kInvalidArgument, fmt::format("{}: one project file is served at a time", source));
      project = strop::Project::Load(path);
    } else if (IsNamed(source) && !fs::exists(path)) {
      options.models.push_back(ParseNamed(source));
    } else if (fs::is_directory(path)) {
      AddFolder(path, &options.models);
    } else {
      options.models.push_back({path.stem().string(), path});
    }
  }
  for (const std::string& model : arguments.models) options.models.push_back(ParseNamed(model));
  if (project) {
    const strop::Project& p = *project;
    options.http.address = p.serve.http;
    options.threads = static_cast<int>(p.serve.threads);
    options.capture = p.serve.capture;
    options.capture_rows = p.serve.capture_rows;
    const fs::path directory = p.folder() / p.loop.directory;  // an absolute directory stays as it is
    fs::create_directories(directory);
    options.store = (directory / "strop.db").string();
    options.directory = directory;
    options.control = directory / "serve.sock";
    options.watch.detectors = p.watch.detectors;
    options.watch.window = p.watch.window;
    options.watch.reference_rows = p.watch.reference_rows;
    options.watch.false_alarm_rows = p.watch.false_alarm_rows;
    options.watch.features = p.watch.features;
    options.watch.uniform_share = p.watch.uniform_share;
    options.watch.uncertain_share = p.watch.uncertain_share;
    options.watch.columns = p.data.inputs;
    options.watch.seed = p.data.seed;
  }
  if (!arguments.http.empty()) options.http.address = arguments.http;
  if (!arguments.store.empty()) options.store = arguments.store;
  if (!arguments.directory.empty()) options.directory = arguments.directory;
  if (!arguments.control.empty()) options.control = arguments.control;
  if (arguments.threads >= 0) options.threads = arguments.threads;
  if (arguments.capture >= 0) options.capture = arguments.capture;
  if (arguments.max_body > 0) options.http.max_body = arguments.max_body;
  if (arguments.max_connections > 0) options.http.max_connections = arguments.max_connections;
  options.reference = arguments.reference;
  // It is remembered, and a restart may have another working folder.
  if (fs::exists(options.reference)) options.reference = fs::absolute(options.reference).string();
  if (!options.reference.empty() && options.store.empty()) {
    throw Error(Code::kInvalidArgument,
                "--reference needs a store for what the detectors find: give strop.toml or --store");
  }
  if (options.models.empty() && options.store.empty()) {
    throw Error(Code::kInvalidArgument,
                "no model to serve: give MODEL.onnx, a folder, NAME=PATH or strop.toml");
  }
  return options;
}

int Serve(const Arguments& arguments, strop::cli::Console& console) {
  if (!arguments.grpc.empty()) {
    throw Error(Code::kUnsupported,
                fmt::format("--grpc {}: gRPC is not served yet: use --http, which speaks the same "
                            "Open Inference Protocol",
                            arguments.grpc));
  }
  const strop::serve::ServerOptions options = MakeOptions(arguments);
  strop::serve::Server server(options);
  const auto status = nlohmann::json::parse(server.StatusJson());
  std::string names;
  for (const auto& model : status.at("models")) {
    names += (names.empty() ? "" : ", ") + model.at("name").get<std::string>();
  }
  console.Result({{"http", server.http()}, {"pid", status.at("pid")}},
                 fmt::format("serving {} at http://{} (Ctrl-C ends it)", names.empty() ? "no model" : names,
                             server.http()));
  while (!strop::cli::Interrupted() && !server.shutdown_asked()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  server.Stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  return strop::cli::RunVerb(
      argc, argv,
      {"serve", "Serve models over HTTP by the Open Inference Protocol v2",
       "strop serve model.onnx --http 127.0.0.1:8000\nstrop serve strop.toml --model model=model.onnx "
       "--reference valid.parquet"},
      [&](CLI::App& app) {
        app.add_option("source", arguments.sources,
                       "MODEL.onnx, a folder of models, NAME=PATH, or strop.toml")
            ->type_name("SOURCE");
        app.add_option("--model", arguments.models, "A model and the name that clients use")
            ->type_name("NAME=PATH");
        app.add_option("--http", arguments.http,
                       "Where to listen; port 0: any free one (default 127.0.0.1:8000)")
            ->type_name("HOST:PORT");
        app.add_option("--grpc", arguments.grpc, "Not served yet")->type_name("HOST:PORT");
        app.add_option("--reference", arguments.reference,
                       "Rows that look as requests should: switches detectors on")
            ->type_name("URI");
        app.add_option("--threads", arguments.threads, "Of inference; 0: every usable CPU")
            ->check(CLI::Range(0, 1024));
        app.add_option("--capture", arguments.capture, "Share of requests kept for labels and detectors")
            ->check(CLI::Range(0.0, 1.0))
            ->type_name("SHARE");
        app.add_option("--store", arguments.store,
                       "Database that remembers models, captures and labels (as strop.toml's)")
            ->type_name("URL");
        app.add_option("--directory", arguments.directory, "Keeps copies of served models")->type_name("DIR");
        app.add_option("--control", arguments.control,
                       "Unix socket that takes load, unload, status, shutdown")
            ->type_name("PATH");
        app.add_option("--max-body", arguments.max_body, "Longest request body in bytes (default 67108864)")
            ->check(CLI::Range(size_t{1024}, size_t{1} << 31));
        app.add_option("--max-connections", arguments.max_connections,
                       "Open connections at a time (default 4096)")
            ->check(CLI::Range(size_t{1}, size_t{1000000}));
      },
      [&](strop::cli::Console& console) { return Serve(arguments, console); });
}
