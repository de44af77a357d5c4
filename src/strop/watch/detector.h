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
  int64_t window = 200;                // rows a decision is taken on
  int64_t false_alarm_rows = 100'000;  // mean rows between false alarms
  int64_t features = 512;  // random Fourier features (Rahimi and Recht, NeurIPS 2007), an even number
  uint64_t seed = 0;
  void Validate() const;
};

// Squared maximum mean discrepancy (Gretton et al., JMLR 13, 2012) between reference and window under a
// Gaussian kernel of median bandwidth, by random Fourier features: O(row size * features) a row, nothing of
// the window is kept. The threshold is the quantile of the score's distribution without drift, through the
// spectrum of the features' covariance (see mmd.cc); it holds for windows of independent rows. reference: [n,
// …], n >= 100 and >= the window, of any numeric dtype; uint8 is scaled to [0, 1], other columns count as
// they are, so bring them to comparable scales. Rows gather until a window is full; a call before that
// answers the last full window's verdict (score 0 before the first), one that fills several answers the
// highest score among them. Evidence: window, windows (judged so far), tail_probability (of a window, without
// drift), p_value, expected_score (without drift), bandwidth, mean_shift (of all columns) and the three
// columns whose means moved most: shift_1_index, shift_1 (in the reference's standard deviations), … Throws
// kInvalidArgument for a reference too small, constant or not finite, and Update for rows not finite.
STROP_API std::unique_ptr<Detector> MakeMmd(std::string name, const Tensor& reference,
                                            const MmdOptions& options = {});

}  // namespace strop::watch
