#pragma once

#include <string>
#include <vector>

#include "strop/base/api.h"

namespace strop::feed {

// Throughput by the number of readers as the universal scalability law has it (Gunther 2007, Guerrilla
// Capacity Planning, chapter 4): X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1)).
struct STROP_API Scaling {
  double lambda = 0;  // of one reader alone
  double sigma = 0;   // contention: the share that cannot pass side by side
  double kappa = 0;   // coherence: what every pair of readers costs each other
  double error = 0;   // root of the mean squared relative residual

  double At(double readers) const;
  // Where throughput is highest, sqrt((1 - sigma) / kappa), at least 1; infinite when it never falls.
  double Peak() const;
  std::string Text() const;  // "X(N) = 120 N / (1 + 0.05 (N - 1) + 0.001 N (N - 1))", lambda as given
};

struct STROP_API ScalingPoint {
  double readers = 0;
  double throughput = 0;
};

// Least squares on N / X, which is linear in 1/lambda, sigma/lambda and kappa/lambda, each row weighted by X
// / N so that relative errors of X count alike; none of the three is negative. Points without readers or
// throughput are left out. Two distinct numbers of readers tell lambda and one other, a single one tells
// lambda only. Throws kInvalidArgument when nothing is left.
STROP_API Scaling FitScaling(const std::vector<ScalingPoint>& points);

// The fewest readers, 1 to `most`, whose predicted throughput lies within `tolerance` of the best there.
STROP_API int Knee(const Scaling& scaling, int most, double tolerance = 0.05);

// The fewest readers that were measured within `tolerance` of the best measured; throws kInvalidArgument for
// no points.
STROP_API int MeasuredKnee(const std::vector<ScalingPoint>& points, double tolerance = 0.05);

}  // namespace strop::feed
