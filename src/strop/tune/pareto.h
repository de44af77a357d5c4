#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "strop/base/api.h"

namespace strop::tune {

// Losses of trials: a row a trial, in it a finite number an objective, lower is better. All rows are of one
// length.
using Losses = std::span<const std::vector<double>>;

// Whether `a` is nowhere worse than `b` and somewhere better.
STROP_API bool Dominates(std::span<const double> a, std::span<const double> b) noexcept;

// The front of each row: 0 where no other row dominates it, 1 where only rows of front 0 do, and so on. Equal
// rows are of one front. Zhang, Tian, Cheng and Jin, "An Efficient Approach to Nondominated Sorting for
// Evolutionary Multiobjective Optimization", 2015 (ENS-BS): n log n comparisons for up to two objectives, n^2
// at worst for more.
STROP_API std::vector<size_t> NonDominatedRanks(Losses losses);

// How far apart the neighbours of each row are in every objective, as shares of its range, added up; infinite
// at the ends (Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm:
// NSGA-II", 2002). Of the rows of one front.
STROP_API std::vector<double> CrowdingDistances(Losses losses);

}  // namespace strop::tune
