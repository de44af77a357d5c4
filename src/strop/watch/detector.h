#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "strop/base/api.h"
#include "strop/base/tensor.h"

namespace strop::watch {

// What a detector says of one window.
struct STROP_API Verdict {
  double score = 0;
  double threshold = 0;                    // for the stated false alarm rate
  bool drift = false;                      // score > threshold
  std::map<std::string, double> evidence;  // numbers a person can check, by name
  std::string ToJson() const;
};

// Takes a reference sample when made, then windows of rows. Not thread safe.
class STROP_API Detector {
 public:
  virtual ~Detector();
  virtual const std::string& name() const noexcept = 0;
  // rows: [n, …], the dtype and row size of the reference. Throws kInvalidArgument otherwise.
  virtual Verdict Update(const Tensor& rows) = 0;
};

struct STROP_API MmdOptions {
  int64_t window = 200;                    // rows a decision is taken on
  int64_t false_alarm_rows = 100'000;      // mean rows between false alarms
  int64_t features = 512;                  // random Fourier features (Rahimi and Recht, NeurIPS 2007)
  uint64_t seed = 0;
  void Validate() const;
};

// Squared maximum mean discrepancy (Gretton et al., JMLR 13, 2012) between reference and window under a Gaussian
// kernel of median bandwidth, by random Fourier features: O(features) a row to keep. The threshold comes from windows
// drawn out of a held-out part of the reference (see mmd.cc for how a rate beyond the sample is reached).
// Rows gather until a window is full; a call before that answers the last full window's verdict.
STROP_API std::unique_ptr<Detector> MakeMmd(std::string name, const Tensor& reference, const MmdOptions& options = {});

}  // namespace strop::watch
