#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <Eigen/Core>

#include "strop/base/api.h"
#include "strop/base/rng.h"
#include "strop/tune/space.h"

namespace strop::tune::tpe {

// Parameters that are active together.
struct Group {
  std::vector<size_t> numbers, choices;
};

using Draws = std::span<const std::span<const double>>;  // settled draws

// The parameters that have the same conditions and are active in the same of `draws`.
STROP_API std::vector<Group> GroupParameters(const Space& space, Draws draws);

// A density over the draws of a space: a mixture of a component a draw, which is the product of a kernel for
// each parameter that is active in it, and a uniform component. The kernel of a number is the normal density
// around it, truncated to [0, 1]; of a whole number or step, its share of that, taken at the middle of the
// share; of a choice, most on the value and the rest on the others. A group of parameters that are inactive
// in a component is, there, distributed as in the components where it is active. After Bergstra, Bardenet,
// Bengio and Kégl, "Algorithms for Hyper-Parameter Optimization", 2011; one joint mixture as in Falkner,
// Klein and Hutter, "BOHB", 2018; widths as in Watanabe, "Tree-Structured Parzen Estimator", 2023.
class STROP_API Parzen {
 public:
  // A weight a draw, and that of the uniform component.
  Parzen(const Space& space, const std::vector<Group>& groups, Draws draws,
         const std::vector<double>& weights, double uniform_weight);

  // Settled draws from the density, a column each.
  Eigen::MatrixXd Sample(Eigen::Index count, Rng& rng) const;

  // The logarithm of the density at each column, settled, up to a summand that is the same for every density
  // over the space. In single precision.
  Eigen::VectorXd LogDensity(const Eigen::MatrixXd& draws) const;

 private:
  using Rows = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  // The kernels of one group: a column a member, which is a component in which the group is active.
  struct Kernels {
    Group group;
    std::vector<Eigen::Index> members, place;  // components, and the column of each component or -1
    std::vector<double> cumulative;            // of the members' weights and, last, the uniform one
    Eigen::ArrayXf scales;                     // 1 / (sqrt(2) width), one a number
    Rows centers;                              // numbers, times their scale
    Rows codes;                                // indices of choices
    Eigen::ArrayXf keep;                       // one a choice: the probability of the member's value
    Eigen::ArrayXf favour;  // one a choice: log of keep over the probability of another value
    Eigen::ArrayXf base;    // of a member: what of the log kernel does not depend on where it is taken
    float uniform = 0;      // the log density of the uniform component

    size_t first() const { return group.numbers.empty() ? group.choices[0] : group.numbers[0]; }
  };

  void Fit(Kernels& kernels, Draws draws) const;
  void FitNumbers(Kernels& kernels, Draws draws) const;
  void FitChoices(Kernels& kernels, Draws draws) const;
  Eigen::ArrayXXf LogKernels(const Kernels& kernels, const Eigen::MatrixXd& draws) const;
  void AddGroup(const Kernels& kernels, const Eigen::Ref<const Eigen::ArrayXf>& log_kernels,
                Eigen::ArrayXf& total, double& shared) const;
  static std::vector<Eigen::Index> PickMembers(const Kernels& kernels, const std::vector<size_t>& components,
                                               Rng& rng);
  static void SampleNumbers(const Kernels& kernels, const std::vector<Eigen::Index>& members, Rng& rng,
                            Eigen::MatrixXd& draws);
  void SampleChoices(const Kernels& kernels, const std::vector<Eigen::Index>& members, Rng& rng,
                     Eigen::MatrixXd& draws) const;

  const Space& space_;
  std::vector<Kernels> groups_;
  std::vector<double> cumulative_;  // of the weights and, last, the uniform one
  Eigen::ArrayXf log_weights_;
  float log_uniform_ = 0;
};

}  // namespace strop::tune::tpe
