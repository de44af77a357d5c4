#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"

namespace strop::engine {

// The same model on another runtime ("onnxruntime" or "openvino" of a Python), in a process of its own, to
// take turns with. The Python is STROP_PYTHON, else that of VIRTUAL_ENV, else python3 of PATH. Not thread
// safe; the process ends with the object.
class STROP_API Peer {
 public:
  // Throws kInvalidArgument for another runtime, kFailedPrecondition when Python or the package is not there,
  // kUnsupported with the runtime's own message when it refuses the model.
  static std::unique_ptr<Peer> Start(const std::string& runtime, const std::filesystem::path& model,
                                     int threads, std::span<const TensorMap> inputs);
  virtual ~Peer();

  virtual const std::string& version() const noexcept = 0;
  virtual double load_seconds() const noexcept = 0;
  // Seconds of each of so many runs on the inputs, one after the other and from the first again.
  virtual std::vector<double> Run(int count) = 0;
  // What it answers to the first.
  virtual TensorMap Answer() = 0;
};

}  // namespace strop::engine
