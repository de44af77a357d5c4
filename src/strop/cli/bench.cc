#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/cpu.h"
#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/threads.h"
#include "strop/base/topology.h"
#include "strop/cli/verb.h"
#include "strop/engine/kernels/roofline/roofline.h"
#include "strop/engine/peer.h"
#include "strop/engine/plan.h"
#include "strop/engine/session.h"
#include "strop/engine/work.h"

namespace strop::cli {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

struct BenchOptions {
  std::filesystem::path model;
  int64_t batch = 1;
  int threads = 0;
  std::vector<std::string> against;
  std::vector<std::string> shapes;
  double seconds = 4;
  bool keep_plan = false;
};

// NAME=1,3,224,224
std::map<std::string, Shape> ParseShapes(const std::vector<std::string>& texts) {
  std::map<std::string, Shape> shapes;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    Shape shape;
    try {
      size_t at = equals == std::string::npos ? throw std::invalid_argument(text) : equals + 1;
      for (; at <= text.size(); at = std::min(text.find(',', at), text.size()) + 1) {
        shape.push_back(std::stoll(text.substr(at)));
        if (shape.back() < 1) throw std::invalid_argument(text);
      }
    } catch (const std::logic_error&) {
      throw CLI::ValidationError("--shape",
                                 fmt::format("{}: expected NAME=SIZE,SIZE,… as image=1,3,224,224", text));
    }
    shapes[text.substr(0, equals)] = shape;
  }
  return shapes;
}

// The plan that is measured, in a file for as long as sessions are made of it.
class PlanFile {
 public:
  explicit PlanFile(const engine::SavedPlan& plan)
      : path_(TemporaryBeside(std::filesystem::temp_directory_path() / "strop-bench.plan.json")) {
    engine::SavePlan(plan, path_);
  }
  PlanFile(const PlanFile&) = delete;
  PlanFile& operator=(const PlanFile&) = delete;
  ~PlanFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// One runtime under measurement.
struct Contender {
  std::string name;
  double load_seconds = 0;
  double difference = 0;  // largest, between its answers and ours
  std::vector<double> seconds;
};

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(q * static_cast<double>(values.size())))];
}

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

json ToJson(const Contender& contender, int64_t batch) {
  return {{"runtime", contender.name},
          {"p50_seconds", Quantile(contender.seconds, 0.5)},
          {"p99_seconds", Quantile(contender.seconds, 0.99)},
          {"rows_per_second", static_cast<double>(batch) / Mean(contender.seconds)},
          {"runs", contender.seconds.size()},
          {"load_seconds", contender.load_seconds},
          {"max_abs_difference", contender.difference}};
}

double LargestDifference(const TensorMap& ours, const TensorMap& theirs, const std::string& peer) {
  double largest = 0;
  for (const auto& [name, tensor] : ours) {
    const auto found = theirs.find(name);
    if (found == theirs.end() || found->second.shape() != tensor.shape()) {
      throw Error(Code::kFailedPrecondition,
                  fmt::format("{} answers no {} of shape {}", peer, name, ShapeText(tensor.shape())));
    }
    const Tensor a = tensor.Cast(DType::kF64), b = found->second.Cast(DType::kF64);
    for (size_t i = 0; i < a.As<double>().size(); ++i) {
      largest = std::max(largest, std::abs(a.As<double>()[i] - b.As<double>()[i]));
    }
  }
  return largest;
}

// So many different inputs are run in turn: of one alone, a processor learns a model's branches by heart.
constexpr uint64_t kInputs = 8;

std::vector<TensorMap> MakeInputs(const std::vector<model::ValueInfo>& values, int64_t batch,
                                  const std::map<std::string, Shape>& shapes) {
  std::vector<TensorMap> inputs;
  for (uint64_t seed = 0; seed < kInputs; ++seed)
    inputs.push_back(engine::RandomInputs(values, batch, shapes, seed));
  return inputs;
}

// Runs a session as Peer does.
class Ours {
 public:
  Ours(engine::Session& session, const std::vector<TensorMap>& inputs) : session_(session), inputs_(inputs) {}

  std::vector<double> Run(int count) {
    std::vector<double> seconds;
    for (int i = 0; i < count; ++i) {
      const TensorMap& each = inputs_[next_++ % inputs_.size()];
      const Clock::time_point begin = Clock::now();
      session_.Run(each);
      seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    }
    return seconds;
  }

 private:
  engine::Session& session_;
  const std::vector<TensorMap>& inputs_;
  size_t next_ = 0;
};

// What this machine reaches now, in operations and bytes a second.
struct Peaks {
  double f32 = 0, int8 = 0, bandwidth = 0;

  explicit Peaks(int threads)
      : f32(engine::MeasurePeakFlops(HighestIsa(Cpu()), threads)),
        int8(engine::MeasurePeakInt8(HighestIsa(Cpu()), threads)),
        bandwidth(engine::MeasureReadBandwidth(threads)) {}

  double ComputeSeconds(const engine::Work& work, int bits) const {
    return work.flops / (bits <= 8 ? int8 : f32);
  }
  double MemorySeconds(const engine::Work& work) const { return work.bytes / bandwidth; }
};

// How a layer's work and time stand to the roof over it: min(peak of its bits, FLOP/byte x bandwidth).
void AddRoof(json& row, const engine::Work& work, const Peaks& peaks, double seconds) {
  const double compute = peaks.ComputeSeconds(work, row["bits"].get<int>());
  const double memory = peaks.MemorySeconds(work);
  row["gflops"] = work.flops / seconds * 1e-9;
  row["gbs"] = work.bytes / seconds * 1e-9;
  row["bound"] = compute > memory ? "compute" : "memory";
  row["bound_seconds"] = std::max(compute, memory);
  row["share_of_bound"] = std::max(compute, memory) / seconds;
}

// What one run of the model asks of the machine, beside what the machine gives. `layers` have their roofs.
json Roofline(const engine::Work& total, const json& layers, const Peaks& peaks, double seconds, int bits) {
  double compute = 0, memory = 0;
  for (const json& layer : layers) {
    if (!layer.contains("bound")) continue;
    (layer["bound"] == "compute" ? compute : memory) += layer["bound_seconds"].get<double>();
  }
  json roof = {{"peak_gflops", peaks.f32 * 1e-9},
               {"peak_int8_gops", peaks.int8 * 1e-9},
               {"bandwidth_gbs", peaks.bandwidth * 1e-9},
               {"gflop", total.flops * 1e-9},
               {"gbyte", total.bytes * 1e-9},
               {"gflops", total.flops / seconds * 1e-9},
               {"bits", bits}};
  if (total.bytes > 0) roof["flop_per_byte"] = total.flops / total.bytes;
  if (compute + memory > 0) {
    roof["bound"] = compute > memory ? "compute" : "memory";
    roof["bound_seconds"] = compute + memory;
    roof["share_of_bound"] = (compute + memory) / seconds;
  }
  return roof;
}

std::string Table(const json& result) {
  std::string text =
      fmt::format("{} · batch {} · {} threads · {} · {}\n\n", result["model"].get<std::string>(),
                  result["batch"].get<int64_t>(), result["threads"].get<int>(),
                  result["isa"].get<std::string>(), result["cpu"].get<std::string>());
  text += fmt::format("{:<24}{:>12}{:>12}{:>14}{:>10}{:>14}\n", "runtime", "p50 µs", "p99 µs", "rows/s",
                      "load ms", "max |diff|");
  for (const json& each : result["runtimes"]) {
    text += fmt::format("{:<24}{:>12.1f}{:>12.1f}{:>14.0f}{:>10.1f}{:>14.2g}\n",
                        each["runtime"].get<std::string>(), each["p50_seconds"].get<double>() * 1e6,
                        each["p99_seconds"].get<double>() * 1e6, each["rows_per_second"].get<double>(),
                        each["load_seconds"].get<double>() * 1e3, each["max_abs_difference"].get<double>());
  }
  text += "\ncandidates of the whole model: ";
  for (const json& each : result["candidates"]) {
    text +=
        fmt::format("{} {:.1f} µs  ", each["kernel"].get<std::string>(), each["seconds"].get<double>() * 1e6);
  }
  text += fmt::format("-> {}\n\n{:<40}{:<20}{:<32}{:>10}{:>8}{:>10}{:>8}{:>14}\n",
                      result["candidate"].get<std::string>(), "layer", "op", "kernel", "µs", "share",
                      "GFLOP/s", "GB/s", "of its bound");
  for (const json& layer : result["layers"]) {
    text += fmt::format("{:<40.39}{:<20.19}{:<32.31}{:>10.1f}{:>7.1f}%", layer["layer"].get<std::string>(),
                        layer["op"].get<std::string>(), layer["kernel"].get<std::string>(),
                        layer["seconds"].get<double>() * 1e6, layer["share"].get<double>() * 100);
    if (layer.contains("bound")) {
      text += fmt::format("{:>10.1f}{:>8.1f}{:>9}{:>4.0f}%", layer["gflops"].get<double>(),
                          layer["gbs"].get<double>(), layer["bound"].get<std::string>(),
                          layer["share_of_bound"].get<double>() * 100);
    }
    text += "\n";
  }
  if (!result["timed"].empty()) {
    text += "\nown layers, µs a kernel:\n";
    for (const json& layer : result["timed"]) {
      text += fmt::format("  {} ({})", layer["layer"].get<std::string>(), layer["op"].get<std::string>());
      for (const json& each : layer["candidates"]) {
        text += fmt::format("  {} {:.1f}", each["kernel"].get<std::string>(),
                            each["seconds"].get<double>() * 1e6);
      }
      text += fmt::format(" -> {}\n", layer["kernel"].get<std::string>());
    }
  }
  const json& roof = result["roofline"];
  text += fmt::format("\nroofline: {:.1f} GFLOP/s of float32, {:.1f} GOP/s of int8 and {:.1f} GB/s measured",
                      roof["peak_gflops"].get<double>(), roof["peak_int8_gops"].get<double>(),
                      roof["bandwidth_gbs"].get<double>());
  if (roof.contains("flop_per_byte") && roof.contains("bound")) {
    text += fmt::format(
        "; the model does {:.4f} GFLOP at {:.1f} FLOP/byte and reaches {:.1f} GFLOP/s; the bounds of its "
        "layers, most of it {}, are {:.0f}% of its time (more than 100%: from caches)",
        roof["gflop"].get<double>(), roof["flop_per_byte"].get<double>(), roof["gflops"].get<double>(),
        roof["bound"].get<std::string>(), roof["share_of_bound"].get<double>() * 100);
  }
  return text;
}

// OpenVINO ends the name of a layer's kernel in the type that it computes in.
int BitsOfOpenVino(const std::string& kernel) {
  const auto ends = [&](const char* type) { return kernel.ends_with(type); };
  return ends("_I8") || ends("_i8") || ends("_U8") || ends("_u8") ? 8 : 32;
}

json Layers(const BenchOptions& options, const std::vector<TensorMap>& inputs,
            engine::SessionOptions session_options, const engine::ModelWork& work, const Peaks& peaks) {
  session_options.profile_layers = true;
  const auto session = engine::Session::Load(options.model, session_options);
  Ours(*session, inputs).Run(20);
  std::map<std::string, int> own;  // bits of the steps that are not OpenVINO's
  for (const engine::LayerPlan& layer : session->plan())
    if (layer.kernel != "openvino") own[layer.layer] = layer.bits;
  double total = 0;
  for (const engine::LayerProfile& layer : session->profile()) total += layer.seconds;
  json layers = json::array();
  for (const engine::LayerProfile& layer : session->profile()) {
    const double each = layer.seconds / static_cast<double>(std::max<int64_t>(layer.calls, 1));
    const auto step = own.find(layer.layer);
    json row = {
        {"layer", layer.layer},   {"op", layer.op},
        {"kernel", layer.kernel}, {"bits", step != own.end() ? step->second : BitsOfOpenVino(layer.kernel)},
        {"seconds", each},        {"share", total > 0 ? layer.seconds / total : 0}};
    const bool fused = step != own.end() && work.layers.contains(layer.layer);
    // OpenVINO names a convolution by its node, and says when it took the bias out.
    const std::string name = layer.layer.substr(0, layer.layer.rfind("/WithoutBiases"));
    if (fused && each > 0) {
      AddRoof(row, work.layers.at(layer.layer), peaks, each);
    } else if (work.nodes.contains(name) && each > 0) {
      AddRoof(row, work.nodes.at(name), peaks, each);
    }
    layers.push_back(row);
  }
  return layers;
}

// Every contender runs where this thread does: beside a virtual machine's neighbours one CPU is slower than
// another for seconds, and a peer on the other one is no peer.
void ShareCpus(int threads) {
  const std::vector<int> allowed = AffinityCpus();
  if (static_cast<size_t>(threads) < allowed.size()) BindThread(CpusApart(ThisMachine(), allowed, threads));
}

int Bench(Console& console, const BenchOptions& options) {
  engine::TuneOptions tune;
  tune.threads = options.threads > 0 ? options.threads : UsableCpus();
  ShareCpus(tune.threads);
  tune.batch = options.batch;
  tune.shapes = ParseShapes(options.shapes);
  tune.seconds = options.seconds / 2;
  console.Progress("bench", 0, 3, "timing candidates");
  const engine::SavedPlan plan = engine::MakePlan(options.model, tune);
  if (!options.keep_plan) engine::SavePlan(plan, engine::PlanPath(options.model));
  const PlanFile measured(plan);

  ThrowIfInterrupted();
  console.Progress("bench", 1, 3, "measuring");
  engine::SessionOptions session_options;
  session_options.threads = tune.threads;
  session_options.plan = measured.path();
  const Clock::time_point begin = Clock::now();
  const auto session = engine::Session::Load(options.model, session_options);
  std::vector<Contender> contenders(1);
  contenders[0].name = "strop";
  contenders[0].load_seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const std::vector<TensorMap> inputs = MakeInputs(session->inputs(), options.batch, tune.shapes);
  Ours ours(*session, inputs);
  const TensorMap answer = session->Run(inputs[0]);
  std::vector<std::unique_ptr<engine::Peer>> peers;
  for (const std::string& name : options.against) {
    peers.push_back(engine::Peer::Start(name, options.model, tune.threads, inputs));
    Contender contender;
    contender.name = name + " " + peers.back()->version();
    contender.load_seconds = peers.back()->load_seconds();
    contender.difference = LargestDifference(answer, peers.back()->Answer(), name);
    peers.back()->Run(3);
    contenders.push_back(std::move(contender));
  }
  // Turns of some 50 ms, so that every contender meets the same spells of the machine; a breath between them
  // lets the last one's threads stop spinning.
  const double once = Quantile(ours.Run(10), 0.5);
  const int turn = std::clamp(static_cast<int>(0.05 / std::max(once, 1e-7)), 3, 2000);
  const Clock::time_point start = Clock::now();
  for (int round = 0;
       round < 5 || std::chrono::duration<double>(Clock::now() - start).count() < options.seconds; ++round) {
    ThrowIfInterrupted();
    for (size_t i = 0; i < contenders.size(); ++i) {
      const std::vector<double> seconds = i == 0 ? ours.Run(turn) : peers[i - 1]->Run(turn);
      contenders[i].seconds.insert(contenders[i].seconds.end(), seconds.begin(), seconds.end());
      if (contenders.size() > 1) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  peers.clear();

  console.Progress("bench", 2, 3, "layers and roofline");
  std::map<std::string, Shape> shapes;
  for (const auto& [name, tensor] : inputs[0]) shapes[name] = tensor.shape();
  const auto work = engine::CountWork(model::Graph::Load(options.model), shapes);
  int bits = 32;
  for (const engine::LayerPlan& layer : session->plan()) bits = std::min(bits, layer.bits);
  json result = {{"model", options.model.string()},
                 {"batch", options.batch},
                 {"threads", tune.threads},
                 {"isa", plan.key.isa},
                 {"cpu", plan.key.cpu},
                 {"cpus", AffinityCpus()},
                 {"candidate", plan.candidate}};
  for (const Contender& contender : contenders)
    result["runtimes"].push_back(ToJson(contender, options.batch));
  const json saved = json::parse(plan.ToJson());
  result["candidates"] = saved["candidates"];
  result["timed"] = saved["layers"];
  const Peaks peaks(tune.threads);
  result["layers"] = Layers(options, inputs, session_options, work, peaks);
  result["roofline"] =
      Roofline(work.total, result["layers"], peaks, Quantile(contenders[0].seconds, 0.5), bits);
  console.EndProgress();
  console.Result(result, Table(result));
  return 0;
}

}  // namespace
}  // namespace strop::cli

int main(int argc, char** argv) {
  using namespace strop::cli;
  BenchOptions options;
  return RunVerb(
      argc, argv,
      {"bench",
       "latency, throughput, time by layer and roofline of a model on this machine; saves the fastest plan",
       "  strop bench model.onnx --batch 32\n"
       "  strop bench model.onnx --threads 2 --against onnxruntime,openvino --json"},
      [&](CLI::App& app) {
        app.add_option("model", options.model, "ONNX model")->required();
        app.add_option("--batch", options.batch, "rows a run")
            ->capture_default_str()
            ->check(CLI::PositiveNumber);
        app.add_option("--threads", options.threads, "0: every usable CPU")->capture_default_str();
        app.add_option("--against", options.against,
                       "onnxruntime, openvino: of the Python in STROP_PYTHON or PATH")
            ->delimiter(',')
            ->check(CLI::IsMember({"onnxruntime", "openvino"}));
        app.add_option("--shape", options.shapes,
                       "NAME=1,3,224,224: an input with other dynamic sizes than the batch");
        app.add_option("--seconds", options.seconds, "about how long to measure")
            ->capture_default_str()
            ->check(CLI::PositiveNumber);
        app.add_flag("--keep-plan", options.keep_plan, "leave MODEL.plan.json as it is");
      },
      [&](Console& console) { return Bench(console, options); });
}
