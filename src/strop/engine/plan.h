#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/cpu.h"
#include "strop/base/tensor.h"
#include "strop/engine/session.h"

namespace strop::engine {

// What a timing holds for: bytes of the model, processor, instruction set (STROP_ISA counts) and threads.
struct STROP_API PlanKey {
  std::string model;  // HashHex of the file's bytes (not of external data)
  std::string cpu;
  std::string isa;
  int threads = 0;

  static PlanKey Here(const std::string& model_hash, int threads);
  bool operator==(const PlanKey&) const = default;
};

// A timed choice, saved beside the model as MODEL.plan.json. Serving reads it and never times.
struct STROP_API SavedPlan {
  PlanKey key;
  int64_t batch = 1;                             // rows of the timing
  std::string candidate;                         // "openvino" or "strop"
  std::vector<LayerPlan::Candidate> candidates;  // the whole model under each, median seconds of a run
  std::vector<LayerPlan> layers;                 // the layers with every kernel's time

  // The instruction set of the kernel chosen for a layer; nothing when it was not timed.
  std::optional<Isa> IsaOf(const std::string& layer) const;
  // The one of the families that its kernel is of; empty when it was not timed or is of none.
  std::string_view FamilyOf(const std::string& layer, const std::vector<std::string>& families) const;
  std::string ToJson() const;
  // Throws kCorrupt naming `where` and what is wrong.
  static SavedPlan FromJson(const std::string& json, const std::string& where);
};

// model.onnx -> model.onnx.plan.json
STROP_API std::filesystem::path PlanPath(const std::filesystem::path& model);
STROP_API void SavePlan(const SavedPlan& plan, const std::filesystem::path& path);
// The plan at `path` if it is there and holds for `key`; otherwise nothing, and the log says why.
STROP_API std::optional<SavedPlan> LoadPlan(const std::filesystem::path& path, const PlanKey& key);

struct STROP_API TuneOptions {
  int threads = 0;                      // 0: every usable CPU
  int64_t batch = 1;                    // of inputs whose first size is dynamic
  std::map<std::string, Shape> shapes;  // of inputs that have other dynamic sizes
  double seconds = 2;                   // about how long to measure in all
  void Validate() const;
};

// Times every candidate on this machine, interleaved, on seeded random inputs. The only one of a model of
// which OpenVINO gets nothing is called "strop". Another than the default is chosen only when it leads by 3
// %.
STROP_API SavedPlan MakePlan(const std::filesystem::path& model, const TuneOptions& options = {});
// The same, saved beside the model.
STROP_API SavedPlan TunePlan(const std::filesystem::path& model, const TuneOptions& options = {});

// Inputs for a measurement: uniform in [0, 1) for floats, small whole numbers otherwise; seeded. Throws
// kInvalidArgument naming an input with a dynamic size that is neither the batch nor in `shapes`.
STROP_API TensorMap RandomInputs(const std::vector<model::ValueInfo>& inputs, int64_t batch,
                                 const std::map<std::string, Shape>& shapes = {}, uint64_t seed = 0);

}  // namespace strop::engine
