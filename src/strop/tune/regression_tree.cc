#include "strop/tune/regression_tree.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace strop::tune {
namespace {

// A chain of splits that each take away one row would be as deep as there are rows.
constexpr int kDeepest = 64;

double Square(double x) { return x * x; }

// With sums of the targets L and R, a split into l and r rows gains L^2/l + R^2/r - (L + R)^2/(l + r): so
// much less is the squared error.
struct Split {
  size_t coordinate = 0;
  double threshold = 0;
  std::vector<int64_t> left;  // values of a choice
  double gain = 0;
};

}  // namespace

// Every node is a range of rows, the same in the list of each coordinate; those of numbers stay sorted.
class TreeGrower {
 public:
  TreeGrower(const TreeData& data, std::span<const uint32_t> rows, RegressionTree& tree)
      : data_(data), tree_(tree), lists_(data.coordinates()), left_(rows.size()), scratch_(rows.size()) {
    for (uint32_t row : rows) targets_.push_back(data.targets[row]);
    for (size_t c = 0; c < lists_.size(); ++c) {
      std::vector<double>& column = columns_.emplace_back();
      for (uint32_t row : rows) column.push_back(data.columns[c][row]);
      lists_[c].resize(rows.size());
      std::iota(lists_[c].begin(), lists_[c].end(), 0);
      std::stable_sort(lists_[c].begin(), lists_[c].end(),
                       [&](uint32_t a, uint32_t b) { return column[a] < column[b]; });
    }
    const double sum = std::accumulate(targets_.begin(), targets_.end(), 0.0);
    double error = 0;
    for (double target : targets_) error += Square(target - sum / static_cast<double>(targets_.size()));
    least_gain_ = 1e-12 * error;
    Grow(0, rows.size(), 0);
  }

 private:
  size_t Grow(size_t begin, size_t end, int depth) {
    double sum = 0;
    for (size_t i = begin; i < end; ++i) sum += targets_[lists_[0][i]];
    const size_t node = tree_.nodes_.size();
    tree_.nodes_.emplace_back().value = sum / static_cast<double>(end - begin);
    if (depth == kDeepest) return node;
    Split best;
    best.gain = least_gain_;
    for (size_t c = 0; c < lists_.size(); ++c)
      data_.choices[c] == 0 ? TryNumber(c, begin, end, sum, best) : TryChoice(c, begin, end, sum, best);
    if (best.gain <= least_gain_) return node;
    Keep(node, best);
    const size_t middle = Partition(node, begin, end);
    const size_t left = Grow(begin, middle, depth + 1);
    const size_t right = Grow(middle, end, depth + 1);
    tree_.nodes_[node].left = left;
    tree_.nodes_[node].right = right;
    return node;
  }

  void TryNumber(size_t coordinate, size_t begin, size_t end, double sum, Split& best) const {
    const std::vector<uint32_t>& list = lists_[coordinate];
    const std::vector<double>& column = columns_[coordinate];
    const auto rows = static_cast<double>(end - begin);
    double left = 0;
    for (size_t i = begin; i + 1 < end; ++i) {
      left += targets_[list[i]];
      const double here = column[list[i]], next = column[list[i + 1]];
      if (here == next) continue;
      const auto count = static_cast<double>(i + 1 - begin);
      const double gain = Square(left) / count + Square(sum - left) / (rows - count) - Square(sum) / rows;
      const double middle = here + (next - here) / 2;  // which neighbours round down to the lower one
      if (gain > best.gain) best = {coordinate, middle > here ? middle : next, {}, gain};
    }
  }

  // The best two sets are found among those that a threshold of the values' means makes (Fisher, "On Grouping
  // for Maximum Homogeneity", 1958).
  void TryChoice(size_t coordinate, size_t begin, size_t end, double sum, Split& best) const {
    const std::vector<double>& column = columns_[coordinate];
    const auto values = static_cast<size_t>(data_.choices[coordinate]);
    std::vector<double> sums(values), counts(values);
    for (size_t i = begin; i < end; ++i) {
      const uint32_t row = lists_[coordinate][i];
      const auto value = static_cast<size_t>(column[row]);
      sums[value] += targets_[row];
      counts[value] += 1;
    }
    std::vector<int64_t> order;
    for (size_t value = 0; value < values; ++value)
      if (counts[value] > 0) order.push_back(static_cast<int64_t>(value));
    const auto mean = [&](int64_t v) {
      return sums[static_cast<size_t>(v)] / counts[static_cast<size_t>(v)];
    };
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return mean(a) < mean(b); });
    const auto rows = static_cast<double>(end - begin);
    double left = 0, count = 0;
    for (size_t i = 0; i + 1 < order.size(); ++i) {
      left += sums[static_cast<size_t>(order[i])];
      count += counts[static_cast<size_t>(order[i])];
      const double gain = Square(left) / count + Square(sum - left) / (rows - count) - Square(sum) / rows;
      if (gain > best.gain)
        best = {coordinate, 0, {order.begin(), order.begin() + static_cast<std::ptrdiff_t>(i) + 1}, gain};
    }
  }

  void Keep(size_t node, const Split& split) {
    RegressionTree::Node& kept = tree_.nodes_[node];
    kept.coordinate = split.coordinate;
    kept.threshold = split.threshold;
    kept.set = tree_.in_left_.size();
    tree_.in_left_.resize(kept.set + static_cast<size_t>(data_.choices[split.coordinate]));
    for (int64_t value : split.left) tree_.in_left_[kept.set + static_cast<size_t>(value)] = true;
  }

  // Puts the left rows first in every list, in their order; where the right ones begin.
  size_t Partition(size_t node, size_t begin, size_t end) {
    const RegressionTree::Node& split = tree_.nodes_[node];
    for (size_t i = begin; i < end; ++i) {
      const uint32_t row = lists_[split.coordinate][i];
      left_[row] = tree_.GoesLeft(split, columns_[split.coordinate][row]);
    }
    size_t middle = begin;
    for (std::vector<uint32_t>& list : lists_) {
      middle = begin;
      size_t right = 0;
      for (size_t i = begin; i < end; ++i) {
        if (left_[list[i]])
          list[middle++] = list[i];
        else
          scratch_[right++] = list[i];
      }
      std::copy_n(scratch_.begin(), right, list.begin() + static_cast<std::ptrdiff_t>(middle));
    }
    return middle;
  }

  const TreeData& data_;
  RegressionTree& tree_;
  std::vector<std::vector<double>> columns_;  // of the rows that were named
  std::vector<double> targets_;
  std::vector<std::vector<uint32_t>> lists_;
  std::vector<uint8_t> left_;
  std::vector<uint32_t> scratch_;
  double least_gain_ = 0;
};

// Walks the leaves with their boxes and gathers, for every coordinate, the mean over all others.
class BoxWalk {
 public:
  explicit BoxWalk(const RegressionTree& tree)
      : tree_(tree),
        low_(tree.choices_.size(), 0.0),
        high_(tree.choices_.size(), 1.0),
        inside_(tree.choices_.size()),
        steps_(tree.choices_.size()),
        by_value_(tree.choices_.size()) {
    for (size_t c = 0; c < inside_.size(); ++c) {
      inside_[c].assign(static_cast<size_t>(tree.choices_[c]), true);
      by_value_[c].assign(inside_[c].size(), 0.0);
    }
    Visit(0, 1);
  }

  Variance Result() {
    Variance variance;
    variance.total = std::max(0.0, square_ - Square(mean_));
    for (size_t c = 0; c < low_.size(); ++c)
      variance.main.push_back(tree_.choices_[c] == 0 ? OfNumber(steps_[c]) : OfChoice(by_value_[c]));
    return variance;
  }

 private:
  void Visit(size_t at, double volume) {
    const RegressionTree::Node& node = tree_.nodes_[at];
    if (node.left == 0)
      Leaf(node.value, volume);
    else if (tree_.choices_[node.coordinate] == 0)
      VisitNumber(node, volume);
    else
      VisitChoice(node, volume);
  }

  void VisitNumber(const RegressionTree::Node& node, double volume) {
    const size_t c = node.coordinate;
    const double low = low_[c], high = high_[c];
    high_[c] = node.threshold;
    Visit(node.left, volume * (node.threshold - low) / (high - low));
    high_[c] = high;
    low_[c] = node.threshold;
    Visit(node.right, volume * (high - node.threshold) / (high - low));
    low_[c] = low;
  }

  void VisitChoice(const RegressionTree::Node& node, double volume) {
    const size_t c = node.coordinate;
    const std::vector<bool> whole = inside_[c];
    const auto count = static_cast<double>(std::count(whole.begin(), whole.end(), true));
    for (const bool left : {true, false}) {
      for (size_t v = 0; v < whole.size(); ++v)
        inside_[c][v] = whole[v] && tree_.in_left_[node.set + v] == left;
      const auto part = static_cast<double>(std::count(inside_[c].begin(), inside_[c].end(), true));
      Visit(left ? node.left : node.right, volume * part / count);
    }
    inside_[c] = whole;
  }

  void Leaf(double value, double volume) {
    if (volume == 0) return;
    mean_ += volume * value;
    square_ += volume * value * value;
    for (size_t c = 0; c < low_.size(); ++c)
      tree_.choices_[c] == 0 ? AddNumber(c, value * volume) : AddChoice(c, value * volume);
  }

  // A leaf that spans the whole coordinate adds a constant to the mean, which has no variance.
  void AddNumber(size_t c, double mass) {
    const double size = high_[c] - low_[c];
    if (size == 1) return;
    steps_[c].emplace_back(low_[c], mass / size);
    steps_[c].emplace_back(high_[c], -mass / size);
  }

  void AddChoice(size_t c, double mass) {
    const auto count = std::count(inside_[c].begin(), inside_[c].end(), true);
    const double height = mass * static_cast<double>(inside_[c].size()) / static_cast<double>(count);
    for (size_t v = 0; v < inside_[c].size(); ++v)
      if (inside_[c][v]) by_value_[c][v] += height;
  }

  static double OfNumber(std::vector<std::pair<double, double>>& steps) {
    std::sort(steps.begin(), steps.end());
    double level = 0, mean = 0, square = 0, from = 0;
    for (const auto& [at, part] : steps) {
      mean += level * (at - from);
      square += level * level * (at - from);
      level += part;
      from = at;
    }
    return std::max(0.0, square - Square(mean));  // past the last step the level is 0
  }

  static double OfChoice(const std::vector<double>& values) {
    double mean = 0, square = 0;
    for (double value : values) {
      mean += value / static_cast<double>(values.size());
      square += value * value / static_cast<double>(values.size());
    }
    return std::max(0.0, square - Square(mean));
  }

  const RegressionTree& tree_;
  std::vector<double> low_, high_;         // of the box, by number
  std::vector<std::vector<bool>> inside_;  // which values of a choice lie in the box
  double mean_ = 0, square_ = 0;
  std::vector<std::vector<std::pair<double, double>>>
      steps_;                                  // of a number: where the mean changes, by how much
  std::vector<std::vector<double>> by_value_;  // of a choice
};

RegressionTree::RegressionTree(const TreeData& data, std::span<const uint32_t> rows)
    : choices_(data.choices) {
  TreeGrower(data, rows, *this);
}

bool RegressionTree::GoesLeft(const Node& node, double entry) const noexcept {
  return choices_[node.coordinate] == 0 ? entry < node.threshold
                                        : in_left_[node.set + static_cast<size_t>(entry)];
}

double RegressionTree::Predict(std::span<const double> point) const noexcept {
  const Node* node = &nodes_[0];
  while (node->left != 0) node = &nodes_[GoesLeft(*node, point[node->coordinate]) ? node->left : node->right];
  return node->value;
}

Variance RegressionTree::Decompose() const { return BoxWalk(*this).Result(); }

}  // namespace strop::tune
