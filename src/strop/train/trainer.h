#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/model/graph.h"

namespace strop::train {

// Where training takes its rows from. Used by one thread.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  // The model's inputs and the label of the next rows; nullopt at the end of an epoch, after which the next
  // call begins the next epoch.
  virtual std::optional<TensorMap> Next() = 0;
  virtual int64_t batches() const = 0;  // of an epoch
};

enum class Optimizer { kAdam, kAdamW };

struct STROP_API FitOptions {
  std::string label = "label";  // the tensor of a batch that holds the label
  int epochs = 1;
  double learning_rate = 1e-3;
  double weight_decay =
      0;  // AdamW: decoupled (Loshchilov and Hutter, ICLR 2019); Adam: added to the gradient
  Optimizer optimizer = Optimizer::kAdamW;
  bool cosine = true;  // the learning rate falls to zero over the run (Loshchilov and Hutter, ICLR 2017)
  uint64_t seed = 0;   // of Dropout; the order of rows is the source's
  int threads = 0;     // 0: every usable CPU
  std::string metric;  // on validation; empty: accuracy for classes, rmse for values

  // Throws kInvalidArgument naming the option, its value and what is accepted.
  void Validate() const;
};

struct Validation {
  std::string metric;
  double before = 0;
  double after = 0;  // of the model that was kept
};

struct FitProgress {
  int epoch = 0;                     // from 1
  int64_t step = 0, steps = 0;       // of the whole run
  double loss = 0;                   // mean of this epoch so far
  bool epoch_over = false;           // the call after an epoch's last step and its validation
  std::optional<double> validation;  // of this epoch, once it is over
};

struct FitResult {
  model::Graph model;     // the structure, names and metadata of the one given; its initializers trained
  double train_loss = 0;  // mean of the last epoch
  int64_t rows = 0;       // of an epoch
  int epochs = 0;         // that were finished
  int kept_epoch = 0;     // 0: no epoch was better on validation than the model given
  bool stopped = false;   // by the progress callback; the model is then that of the finished epochs
  std::optional<Validation> validation;
};

// Called after every step and at the end of every epoch, on the calling thread. Its answer is whether to go
// on; an exception it throws ends training and reaches the caller.
using ProgressCallback = std::function<bool(const FitProgress&)>;

// What libstrop_train offers to a program that opens it at run time (it needs torch's libraries, which may be
// missing or of another version): symbol `strop_train_entry`, of type `const Entry& (*)()`.
//
// fit trains the float initializers that are weights: those that reach a Conv, Gemm, MatMul,
// BatchNormalization, or the Add behind one of them. The loss follows the labels: integers give cross entropy
// of the first output (taken before a closing Softmax; binary cross entropy before a closing Sigmoid of one
// column), floats give the mean squared error. With `validation` the best parameters on it are kept, those
// given among them. The same inputs, seed and number of threads give the same bytes on the same machine.
// Throws kUnsupported naming operator and node; kInvalidArgument for labels that do not fit the output, or
// when the model has nothing to train; kFailedPrecondition when torch is of another minor version than Strop
// was built with, or when the loss is no longer finite.
//
// evaluate answers the metric's value over an epoch of the source.
struct Entry {
  FitResult (*fit)(const model::Graph& graph, BatchSource& training, BatchSource* validation,
                   const FitOptions& options, const ProgressCallback& progress);
  double (*evaluate)(const model::Graph& graph, BatchSource& rows, const FitOptions& options);
};

// The same, for what links the library.
STROP_API FitResult Fit(const model::Graph& graph, BatchSource& training, BatchSource* validation,
                        const FitOptions& options, const ProgressCallback& progress = {});
STROP_API double Evaluate(const model::Graph& graph, BatchSource& rows, const FitOptions& options);

}  // namespace strop::train
