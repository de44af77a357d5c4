#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/engine/kernels/trees/trees.h"
#include "strop/engine/step.h"
#include "strop/model/trees.h"

namespace strop::engine {
namespace {

using model::TreeEnsemble;

constexpr int64_t kBlockRows = 64;
constexpr int64_t kChunkTrees = 64;     // whose votes are summed apart, so that threads change no sum
constexpr int64_t kWorthWaking = 4096;  // pairs of a tree and a row, from which a second thread pays
constexpr int64_t kMostWidth = int64_t{1} << 24;

// Whether every row gets a vote for every target, whatever leaves it ends in.
bool AllTargetsVoted(const TreeEnsemble& trees) {
  std::set<int32_t> targets;
  for (size_t t = 0; t < trees.roots.size(); ++t) {
    const auto begin = static_cast<size_t>(trees.roots[t]);
    const auto end =
        t + 1 < trees.roots.size() ? static_cast<size_t>(trees.roots[t + 1]) : trees.splits.size();
    std::optional<std::set<int32_t>> common;
    for (size_t i = begin; i < end; ++i) {
      const TreeEnsemble::Split& leaf = trees.splits[i];
      if (leaf.mode != TreeEnsemble::Mode::kLeaf) continue;
      std::set<int32_t> voted;
      for (int32_t v = leaf.yes; v < leaf.no; ++v) voted.insert(trees.votes[static_cast<size_t>(v)].target);
      if (common) std::erase_if(*common, [&](int32_t target) { return !voted.contains(target); });
      if (!common) common = std::move(voted);
    }
    if (common) targets.merge(*common);
  }
  return static_cast<int64_t>(targets.size()) == trees.targets;
}

// The votes of some trees for some rows: [rows, targets].
struct Scores {
  std::vector<double> sums;
  std::vector<uint8_t> voted;

  void Clear(size_t size, bool all_voted) {
    sums.assign(size, 0);
    voted.assign(size, all_voted ? 1 : 0);
  }
};

class TreeStep : public Step {
 public:
  TreeStep(const model::Graph& part, TreeEnsemble trees, PackedTrees packed, const TreeKernel& kernel,
           ThreadPool& pool)
      : trees_(std::move(trees)), packed_(std::move(packed)), kernel_(kernel), pool_(pool) {
    const bool sums = trees_.aggregate == TreeEnsemble::Aggregate::kSum ||
                      trees_.aggregate == TreeEnsemble::Aggregate::kAverage;
    // What was voted for is told apart where it matters: for the least, the greatest and the class on top.
    all_voted_ = sums && (!trees_.classifier() || trees_.one_class || AllTargetsVoted(trees_));
    const model::Node& node = part.nodes[0];
    inputs = {part.inputs[0].name};
    for (const model::ValueInfo& output : part.outputs) {
      const bool labels = trees_.classifier() && output.name == node.outputs[0];
      (labels ? labels_at_ : scores_at_) = outputs.size();
      outputs.push_back(output.name);
    }
    plan.layer = node.name;
    plan.op = node.op;
    plan.kernel = kernel.name;
    plan.isa = IsaName(kernel.isa);
  }

  std::unique_ptr<State> NewState() override { return std::make_unique<Tasks>(); }

  void Run(State& state, std::span<const Tensor> in, std::span<Tensor> out) override {
    const Job job = JobOf(in[0], out);
    const int64_t blocks = (job.rows + kBlockRows - 1) / kBlockRows, pairs = job.rows * tree_count();
    const bool by_trees = blocks < pool_.threads() && chunks() > 1 && pairs >= kWorthWaking;
    const int64_t parts = by_trees ? chunks() : 1;
    auto& tasks = static_cast<Tasks&>(state).tasks;
    if (static_cast<int64_t>(tasks.size()) < blocks * parts)
      tasks.resize(static_cast<size_t>(blocks * parts));
    const auto body = [&](int64_t at) {
      Task& task = tasks[static_cast<size_t>(at)];
      const int64_t block = at / parts, first = by_trees ? at % parts : 0,
                    end = by_trees ? first + 1 : chunks();
      task.scores.Clear(static_cast<size_t>(job.RowsOf(block) * trees_.targets), all_voted_);
      for (int64_t chunk = first; chunk < end; ++chunk) {
        Vote(job, block, chunk, task);
        Merge(task.chunk, task.scores);
      }
    };
    if (pairs < kWorthWaking)
      for (int64_t at = 0; at < blocks * parts; ++at) body(at);
    else
      pool_.Run(blocks * parts, body);
    for (int64_t block = 0; block < blocks; ++block) {
      Scores& whole = tasks[static_cast<size_t>(block * parts)].scores;
      for (int64_t part = 1; part < parts; ++part)
        Merge(tasks[static_cast<size_t>(block * parts + part)].scores, whole);
      Answer(job, block, whole);
    }
  }

 private:
  // One at a time, kept for the next run.
  struct Task {
    std::vector<float> x;
    std::vector<int32_t> leaves;
    Scores chunk, scores;
  };
  struct Tasks : State {
    std::vector<Task> tasks;
  };
  struct Job {
    const float* x;
    int64_t rows, width;
    int64_t* labels;  // nullptr: not wanted
    float* scores;

    int64_t RowsOf(int64_t block) const { return std::min(kBlockRows, rows - block * kBlockRows); }
  };

  int64_t tree_count() const { return static_cast<int64_t>(packed_.roots.size()); }
  int64_t chunks() const { return (tree_count() + kChunkTrees - 1) / kChunkTrees; }

  Job JobOf(const Tensor& x, std::span<Tensor> out) const {
    const Shape& shape = x.shape();
    const int64_t rows = shape.size() == 1 ? 1 : shape[0], width = shape.back();
    if (shape.size() > 2 || width < trees_.features || width > kMostWidth)
      throw Error(Code::kInvalidArgument,
                  fmt::format("node {} ({}): the input is {}, expected rows of {} features or more",
                              plan.layer, plan.op, ShapeText(shape), trees_.features));
    Job job{x.As<float>().data(), rows, width, nullptr, nullptr};
    if (labels_at_) {
      Tensor& labels = out[*labels_at_];
      Fit(labels, DType::kI64, {rows});
      job.labels = labels.As<int64_t>().data();
    }
    if (scores_at_) {
      Tensor& scores = out[*scores_at_];
      Fit(scores, DType::kF32, {rows, trees_.targets});
      job.scores = scores.As<float>().data();
    }
    return job;
  }

  // Fills task.chunk with the votes of a chunk of trees for a block of rows.
  void Vote(const Job& job, int64_t block, int64_t chunk, Task& task) const {
    const int64_t rows = job.RowsOf(block), first = chunk * kChunkTrees;
    const int64_t trees = std::min(kChunkTrees, tree_count() - first);
    TreeArgs args{job.x + block * kBlockRows * job.width, rows,  job.width, packed_.nodes.data(),
                  packed_.roots.data() + first,           trees, nullptr};
    if (!packed_.columns.empty()) Compact(args, task.x);
    task.leaves.resize(static_cast<size_t>(trees * rows));
    args.leaves = task.leaves.data();
    kernel_.run(args);
    task.chunk.Clear(static_cast<size_t>(rows * trees_.targets), all_voted_);
    if (all_voted_ && packed_.one_vote) {
      Count(args, task.chunk.sums.data(),
            [&](double* row, size_t vote) { row[packed_.targets[vote]] += packed_.weights[vote]; });
    } else if (all_voted_ && packed_.all_vote) {
      Count(args, task.chunk.sums.data(), [&](double* row, size_t vote) {
        for (int64_t k = 0; k < trees_.targets; ++k) row[k] += packed_.weights[vote + static_cast<size_t>(k)];
      });
    } else {
      CountAny(args, task.chunk);
    }
  }

  // The columns that the trees split by, side by side.
  void Compact(TreeArgs& args, std::vector<float>& x) const {
    const size_t columns = packed_.columns.size();
    x.resize(static_cast<size_t>(args.rows) * columns);
    for (int64_t r = 0; r < args.rows; ++r)
      for (size_t c = 0; c < columns; ++c)
        x[static_cast<size_t>(r) * columns + c] = args.x[r * args.stride + packed_.columns[c]];
    args.x = x.data();
    args.stride = static_cast<int64_t>(columns);
  }

  // Calls add(sums of a row, first vote of its leaf) tree by tree.
  template <class Add>
  void Count(const TreeArgs& args, double* sums, Add add) const {
    const int32_t* leaf = args.leaves;
    for (int64_t t = 0; t < args.trees; ++t) {
      double* row = sums;
      for (int64_t r = 0; r < args.rows; ++r, row += trees_.targets)
        add(row, static_cast<size_t>(packed_.first_vote[static_cast<size_t>(*leaf++)]));
    }
  }

  void CountAny(const TreeArgs& args, Scores& scores) const {
    const int32_t* leaf = args.leaves;
    for (int64_t t = 0; t < args.trees; ++t) {
      for (int64_t r = 0; r < args.rows; ++r, ++leaf) {
        const auto first = static_cast<size_t>(packed_.first_vote[static_cast<size_t>(*leaf)]),
                   end = static_cast<size_t>(packed_.first_vote[static_cast<size_t>(*leaf) + 1]);
        for (size_t vote = first; vote < end; ++vote)
          Add(static_cast<size_t>(r * trees_.targets + packed_.targets[vote]), packed_.weights[vote], scores);
      }
    }
  }

  void Add(size_t at, double weight, Scores& to) const {
    double& sum = to.sums[at];
    if (trees_.aggregate == TreeEnsemble::Aggregate::kMin)
      sum = to.voted[at] ? std::min(sum, weight) : weight;
    else if (trees_.aggregate == TreeEnsemble::Aggregate::kMax)
      sum = to.voted[at] ? std::max(sum, weight) : weight;
    else
      sum += weight;
    to.voted[at] = 1;
  }

  void Merge(const Scores& from, Scores& to) const {
    for (size_t at = 0; at < to.sums.size(); ++at)
      if (from.voted[at]) Add(at, from.sums[at], to);
  }

  void Answer(const Job& job, int64_t block, Scores& whole) const {
    const auto targets = static_cast<size_t>(trees_.targets);
    for (int64_t r = 0; r < job.RowsOf(block); ++r) {
      const auto at = static_cast<size_t>(r) * targets;
      const auto scores = std::span(whole.sums).subspan(at, targets);
      const int64_t label = FinishScores(trees_, scores, std::span(whole.voted).subspan(at, targets));
      const int64_t row = block * kBlockRows + r;
      if (job.labels) job.labels[row] = label;
      if (job.scores)
        std::transform(scores.begin(), scores.end(), job.scores + row * trees_.targets,
                       [](double score) { return static_cast<float>(score); });
    }
  }

  const TreeEnsemble trees_;
  const PackedTrees packed_;
  const TreeKernel& kernel_;
  ThreadPool& pool_;
  bool all_voted_ = false;
  std::optional<size_t> labels_at_, scores_at_;  // of the outputs
};

}  // namespace

std::unique_ptr<Step> MakeTreeStep(const model::Graph& part, Isa isa, ThreadPool& pool) {
  TreeEnsemble trees = model::ReadTrees(part.nodes[0]);
  if (part.inputs.size() != 1 || part.inputs[0].dtype != DType::kF32) return nullptr;
  std::optional<PackedTrees> packed = PackTrees(trees);
  if (!packed) return nullptr;
  return std::make_unique<TreeStep>(part, std::move(trees), std::move(*packed), PickTrees(Limit(Cpu(), isa)),
                                    pool);
}

}  // namespace strop::engine
