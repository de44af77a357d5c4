#pragma once

#include <vector>

#include <Eigen/Core>

#include "strop/base/api.h"
#include "strop/tune/gp/acquisition.h"
#include "strop/tune/pareto.h"

namespace strop::tune::gp {

// A part of the space of objectives, from `low` (which may be infinite) to `high`.
struct Box {
  std::vector<double> low, high;
};

// Boxes without overlap whose union is what lies below `reference` and is not dominated by a row of `front`.
STROP_API std::vector<Box> NonDominatedBoxes(Losses front, const std::vector<double>& reference);

// The logarithm of the expected gain in dominated hypervolume over `front`, of objectives that are
// independent processes: exact, box by box (Yang, Emmerich, Deutz and Bäck, "Efficient computation of
// expected hypervolume improvement using box decomposition algorithms", 2019), and in logarithms so that it
// does not vanish where nothing is to be gained nearby (Ament et al., 2023).
class STROP_API HypervolumeGain : public Acquisition {
 public:
  HypervolumeGain(std::vector<Gp> objectives, Losses front, const std::vector<double>& reference);
  Eigen::VectorXd At(const Eigen::MatrixXd& queries) const override;
  double At(const Eigen::VectorXd& x, Eigen::VectorXd& gradient) const override;

 private:
  // A box's edges of one objective, as places in `edges_`; none: it has no lower edge.
  struct Side {
    int low, high;
  };
  // Of an objective's process at a point: the log improvement below each edge.
  using Improvements = std::vector<LogImprovement>;
  static constexpr int kNone = -1;

  Improvements Below(size_t objective, double mean, double deviation) const;
  // Of each box; the log gain, and the terms by objective for the gradient.
  double Gain(const std::vector<Improvements>& below, std::vector<LogImprovement>* by_objective) const;

  std::vector<Gp> objectives_;
  std::vector<std::vector<double>> edges_;  // of the boxes, an objective each, ascending
  std::vector<std::vector<Side>> boxes_;
};

}  // namespace strop::tune::gp
