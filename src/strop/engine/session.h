#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/model/graph.h"

namespace strop::engine {

struct STROP_API SessionOptions {
  int threads = 0;                // 0: every usable CPU
  std::vector<std::string> taps;  // intermediate values to answer besides the outputs
  std::filesystem::path plan;     // a saved plan; empty: beside the model, if there is one
  std::string
      prefer;  // force one candidate for every region ("openvino", "strop", "reference"); empty: the plan's
  bool profile_layers = false;  // profile() looks inside OpenVINO's regions; costs some speed
  void Validate() const;
};

// One layer (or region) of a plan, for `strop bench`, profile() and plan().
struct STROP_API LayerPlan {
  std::string layer;  // node name, or "first … last" of a region
  std::string op;
  std::string kernel;  // chosen: "gemm_f32_6x16_avx2", "openvino", "reference"
  std::string isa;
  int bits = 32;
  double sparsity = 0;  // share of zero weights
  struct Candidate {
    std::string kernel;
    double seconds = -1;  // median of the timing; -1: not timed
  };
  std::vector<Candidate> candidates;
};

struct STROP_API LayerProfile {
  std::string layer;
  std::string op;
  std::string kernel;
  int64_t calls = 0;
  double seconds = 0;  // summed
};

// A model ready to run. Run is thread safe; calls run side by side as far as memory slots allow. Costly to
// make.
class STROP_API Session {
 public:
  // Throws what Graph::Load throws, and kUnsupported naming the operator that nothing here can run.
  static std::unique_ptr<Session> Load(const std::filesystem::path& model,
                                       const SessionOptions& options = {});
  static std::unique_ptr<Session> Make(model::Graph graph, const SessionOptions& options = {});
  virtual ~Session();

  virtual const std::vector<model::ValueInfo>& inputs() const noexcept = 0;
  virtual const std::vector<model::ValueInfo>& outputs() const noexcept = 0;  // taps after the model's own
  // Throws kInvalidArgument naming the input, its dtype and shape found and wanted. `wanted` empty: all
  // outputs and taps.
  virtual TensorMap Run(const TensorMap& inputs, const std::vector<std::string>& wanted = {}) = 0;

  virtual std::vector<LayerPlan> plan() const = 0;
  virtual std::vector<LayerProfile> profile() const = 0;
  virtual const std::string& model_hash() const noexcept = 0;
};

}  // namespace strop::engine
