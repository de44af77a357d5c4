#include "strop/engine/peer.h"

#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/line_socket.h"
#include "strop/base/process.h"

namespace strop::engine {
namespace {

using nlohmann::json;
using std::filesystem::path;

constexpr std::chrono::seconds kStart(60);
constexpr std::chrono::seconds kAnswer(120);

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "strop-peer-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      throw Error(Code::kIo, fmt::format("cannot make the folder {}: {}", pattern, std::strerror(errno)));
    }
    path_ = pattern;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const path& at() const { return path_; }

 private:
  path path_;
};

std::string Python() {
  if (const char* python = std::getenv("STROP_PYTHON")) return python;
  if (const char* environment = std::getenv("VIRTUAL_ENV")) return path(environment) / "bin" / "python";
  return "python3";
}

class PythonPeer : public Peer {
 public:
  PythonPeer(const std::string& runtime, const path& model, int threads, std::span<const TensorMap> inputs)
      : runtime_(runtime), listener_(folder_.at() / "peer.sock") {
    ProcessOptions options;
    options.command = {Python(), (VerbFolder() / ".." / "engine_peer.py").string(),
                       listener_.path().string()};
    options.output = folder_.at() / "output.txt";
    process_.emplace(options);
    Connect();
    json task = {
        {"runtime", runtime}, {"model", model.string()}, {"threads", threads}, {"inputs", json::array()}};
    for (const TensorMap& each : inputs) task["inputs"].push_back(Write(each, task["inputs"].size()));
    const json ready = Ask(task, kStart);
    version_ = ready.at("version");
    load_seconds_ = ready.at("load_seconds");
  }

  const std::string& version() const noexcept override { return version_; }
  double load_seconds() const noexcept override { return load_seconds_; }
  std::vector<double> Run(int count) override { return Ask({{"run", count}}, kAnswer).at("seconds"); }
  TensorMap Answer() override {
    TensorMap outputs;
    const json answer = Ask({{"answer", folder_.at().string()}}, kAnswer);
    for (const json& item : answer.at("outputs")) {
      const Tensor tensor =
          Tensor::New(ParseDType(item.at("dtype").get<std::string>()), item.at("shape").get<Shape>());
      const std::string bytes = ReadFile(item.at("file").get<std::string>());
      if (bytes.size() != tensor.bytes())
        throw Error(Code::kCorrupt, fmt::format("{} answered {} bytes for {}", runtime_, bytes.size(),
                                                ShapeText(tensor.shape())));
      std::memcpy(tensor.data(), bytes.data(), bytes.size());
      outputs[item.at("name")] = tensor;
    }
    return outputs;
  }

 private:
  json Write(const TensorMap& inputs, size_t number) const {
    json written = json::array();
    for (const auto& [name, tensor] : inputs) {
      const path file = folder_.at() / fmt::format("input{}.{}", number, written.size());
      WriteFileAtomically(file, {static_cast<const char*>(tensor.data()), tensor.bytes()});
      written.push_back({{"name", name},
                         {"dtype", DTypeName(tensor.dtype())},
                         {"shape", tensor.shape()},
                         {"file", file.string()}});
    }
    return written;
  }

  void Connect() {
    const auto deadline = std::chrono::steady_clock::now() + kStart;
    for (;;) {
      if (auto socket = listener_.Accept(std::chrono::milliseconds(100))) {
        socket_ = std::move(*socket);
        return;
      }
      if (process_->Poll() || std::chrono::steady_clock::now() > deadline) {
        throw Error(Code::kFailedPrecondition, fmt::format("{} did not start: {}", Python(), LastOutput()));
      }
    }
  }

  json Ask(const json& message, std::chrono::milliseconds timeout) {
    socket_.WriteLine(message.dump());
    const std::optional<std::string> line = socket_.ReadLine(timeout);
    if (!line) throw Error(Code::kUnavailable, fmt::format("the {} peer ended: {}", runtime_, LastOutput()));
    json answer = json::parse(*line);
    if (answer.contains("error")) {
      const std::string text = answer["error"];
      const bool absent = text.find("is not installed in") != std::string::npos;
      throw Error(absent ? Code::kFailedPrecondition : Code::kUnsupported,
                  fmt::format("{}: {}", runtime_, text));
    }
    return answer;
  }

  std::string LastOutput() const {
    const path file = folder_.at() / "output.txt";
    std::string text = std::filesystem::exists(file) ? ReadFile(file) : "";
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.substr(text.rfind('\n') + 1);
  }

  const std::string runtime_;
  Folder folder_;
  LineListener listener_;
  std::optional<Process> process_;
  LineSocket socket_;
  std::string version_;
  double load_seconds_ = 0;
};

}  // namespace

Peer::~Peer() = default;

std::unique_ptr<Peer> Peer::Start(const std::string& runtime, const path& model, int threads,
                                  std::span<const TensorMap> inputs) {
  if (runtime != "onnxruntime" && runtime != "openvino") {
    throw Error(Code::kInvalidArgument,
                fmt::format("peer \"{}\": expected onnxruntime or openvino", runtime));
  }
  return std::make_unique<PythonPeer>(runtime, std::filesystem::absolute(model), threads, inputs);
}

}  // namespace strop::engine
