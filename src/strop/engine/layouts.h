#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/model/graph.h"

namespace strop::engine {

// The size that a dynamic one is laid out for: itself up to 8, then the next of four steps an octave (10, 12,
// 14, 16, 20, …), which is less than a quarter more. Positive sizes.
STROP_API int64_t BucketOf(int64_t size) noexcept;

// Throws kUnsupported naming the value that no memory here can hold.
void CheckSize(const std::string& name, DType dtype, const Shape& shape);

// Where the values of runs lie whose inputs have at most these sizes.
struct Layout {
  std::vector<int64_t> sizes;
  std::vector<std::optional<Shape>> shapes;    // of each value at these sizes; nullopt: unknown
  std::vector<std::optional<size_t>> offsets;  // of each value in the arena
  size_t arena_bytes = 0;
};

// A value that crosses between steps.
struct PlannedValue {
  std::string name;
  DType dtype = DType::kF32;
  bool made = false;           // by a step
  bool fitted = false;         // by a step that needs no shape told, only room
  bool in_arena = false;       // while it lives
  size_t first = 0, last = 0;  // steps that touch it
};

// The layouts of a session by the dynamic sizes of its inputs: one a bucket, where the shape of every value
// follows whatever the sizes are. Shape inference need not run for them where each dynamic size inside the
// model is told by those of the inputs (ValueInfo::sizes) and grows with them. Where something in the model
// depends on the sizes (a Reshape to rows of three, a second input of a fixed size), layouts are of exact
// sizes, which inference checks. Thread safe.
class STROP_API Layouts {
 public:
  static constexpr size_t kMost = 64;  // held; of more the least recently used is dropped

  // Of the graph's floats and bytes the elements of more than 16 are not read.
  Layouts(model::Graph graph, std::vector<PlannedValue> values);

  // The dynamic sizes of such inputs as the graph takes, in its order.
  std::vector<int64_t> SizesOf(const TensorMap& inputs) const;
  // Throws kInvalidArgument naming the node where shapes contradict each other, and what CheckSize throws.
  std::shared_ptr<const Layout> For(const std::vector<int64_t>& sizes);
  // Of each value that a step makes, in a run of these sizes by their layout; nullopt: the step tells.
  std::vector<std::optional<Shape>> ShapesAt(const std::vector<int64_t>& sizes, const Layout& layout) const;

  bool by_bucket() const noexcept { return by_bucket_; }
  size_t held() const;

 private:
  // Sizes as those of the inputs tell: -1 - i is the i-th of SizesOf, or behind them of derived_.
  using Told = Shape;
  struct Held {
    std::shared_ptr<const Layout> layout;  // nullptr: there is none for the bucket as a whole
    uint64_t used = 0;
  };

  void NameSizes(const std::map<std::string, model::ValueInfo>& known);
  std::optional<Told> Tell(const model::ValueInfo& value);
  std::optional<size_t> IndexOf(const model::SymbolicSize& size);
  // The sizes, and behind them those that follow from them.
  std::vector<int64_t> WithDerived(std::vector<int64_t> sizes) const;
  static Shape At(const Told& told, const std::vector<int64_t>& with_derived);
  std::map<std::string, Shape> InputShapes(const std::vector<int64_t>& sizes) const;
  bool HoldsAtAnySize(const std::map<std::string, Told>& told) const;
  bool HoldsAt(const std::vector<int64_t>& sizes, const std::map<std::string, Told>& told) const;
  void Keep(const std::vector<int64_t>& sizes, std::shared_ptr<const Layout>& layout);
  bool Find(const std::vector<int64_t>& sizes, std::shared_ptr<const Layout>& layout);
  std::shared_ptr<const Layout> Make(const std::vector<int64_t>& sizes) const;
  std::vector<std::optional<Shape>> Infer(const std::vector<int64_t>& sizes) const;

  model::Graph graph_;
  const std::vector<PlannedValue> values_;
  std::map<std::string, size_t> named_;  // sizes, by name: the first of SizesOf
  std::vector<size_t> firsts_;           // of each size, the first of its name
  std::vector<model::SymbolicSize> derived_;
  std::vector<std::optional<Told>> told_;  // of each value
  std::vector<model::ValueInfo> dynamic_;  // values of all kinds of dynamic shapes, as told
  bool by_bucket_ = true;
  bool all_told_ = true;  // of the model's inner values too

  mutable std::mutex mutex_;
  std::map<std::vector<int64_t>, Held> held_;
  uint64_t uses_ = 0;
};

}  // namespace strop::engine
