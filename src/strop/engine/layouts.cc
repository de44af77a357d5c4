#include "strop/engine/layouts.h"

#include <algorithm>
#include <array>
#include <bit>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/engine/arena.h"
#include "strop/engine/border.h"

namespace strop::engine {
namespace {

using model::ValueInfo;
using Sizes = std::vector<int64_t>;

// Sizes that nothing in a model is made for: its constants are none of them, nor do they divide one.
constexpr std::array<int64_t, 8> kOddSizes = {1009, 1013, 1019, 1021, 1031, 1033, 1039, 1049};

}  // namespace

int64_t BucketOf(int64_t size) noexcept {
  if (size <= 8 || size > int64_t{1} << 60) return size;
  const int64_t step = int64_t{1} << (std::bit_width(static_cast<uint64_t>(size)) - 3);
  return (size + step - 1) & -step;
}

void CheckSize(const std::string& name, DType dtype, const Shape& shape) {
  const auto limit = static_cast<double>(MemoryLimit());
  double bytes = static_cast<double>(SizeOf(dtype));
  for (const int64_t size : shape) bytes *= static_cast<double>(std::max<int64_t>(size, 0));
  if (bytes <= limit) return;
  throw Error(Code::kUnsupported,
              fmt::format("the value {} of shape {} takes {:.3g} GB, of {:.3g} GB that there are", name,
                          ShapeText(shape), bytes / 1e9, limit / 1e9));
}

Layouts::Layouts(model::Graph graph, std::vector<PlannedValue> values)
    : graph_(std::move(graph)), values_(std::move(values)), told_(values_.size()) {
  const std::map<std::string, ValueInfo> known = model::InferShapes(graph_);
  NameSizes(known);
  std::map<std::string, Told> told;
  std::set<std::pair<DType, Told>> kinds;
  for (const auto& [name, value] : known) {
    std::optional<Told> shape = Tell(value);
    if (!shape) continue;
    const bool dynamic = std::any_of(shape->begin(), shape->end(), [](int64_t size) { return size < 0; });
    if (dynamic && kinds.insert({value.dtype, *shape}).second)
      dynamic_.push_back({name, value.dtype, *shape, {}});
    told.emplace(name, std::move(*shape));
  }
  for (size_t i = 0; i < values_.size(); ++i) {
    if (const auto found = told.find(values_[i].name); found != told.end()) told_[i] = found->second;
    if (values_[i].made && !values_[i].fitted && !told_[i]) by_bucket_ = false;
  }
  for (const model::Node& node : graph_.nodes)
    for (const std::string& output : node.outputs)
      if (!output.empty() && !told.contains(output)) all_told_ = false;
  by_bucket_ = by_bucket_ && HoldsAtAnySize(told);
  all_told_ = all_told_ && by_bucket_;
  if (!all_told_) return;
  graph_.nodes.clear();
  graph_.initializers.clear();
}

// Every dynamic size of an input has a name, of its own where the model gives it none.
void Layouts::NameSizes(const std::map<std::string, ValueInfo>& known) {
  for (const ValueInfo& input : graph_.inputs) {
    if (!input.has_shape) by_bucket_ = false;
    const ValueInfo& value = known.at(input.name);
    for (size_t axis = 0; axis < input.shape.size(); ++axis) {
      if (input.shape[axis] < 0)
        firsts_.push_back(named_.emplace(*value.sizes[axis].name(), firsts_.size()).first->second);
    }
  }
}

std::optional<Layouts::Told> Layouts::Tell(const ValueInfo& value) {
  if (!value.has_shape) return std::nullopt;
  Told told = value.shape;
  for (size_t axis = 0; axis < told.size(); ++axis) {
    if (told[axis] >= 0) continue;
    const auto index = axis < value.sizes.size() ? IndexOf(value.sizes[axis]) : std::nullopt;
    if (!index) return std::nullopt;
    told[axis] = -1 - static_cast<int64_t>(*index);
  }
  return told;
}

// One that follows from the inputs' is put into derived_. A layout has room for all of its bucket's runs only
// where sizes grow with the inputs'.
std::optional<size_t> Layouts::IndexOf(const model::SymbolicSize& size) {
  if (!size.known()) return std::nullopt;
  if (const std::string* const name = size.name()) {
    const auto found = named_.find(*name);
    return found == named_.end() ? std::nullopt : std::optional(found->second);
  }
  const auto same = std::find(derived_.begin(), derived_.end(), size);
  const auto index = firsts_.size() + static_cast<size_t>(same - derived_.begin());
  if (same != derived_.end()) return index;
  bool from_inputs = true;
  size.At([&](const std::string& name) {
    from_inputs = from_inputs && named_.contains(name);
    return 1;
  });
  if (!from_inputs || !size.rising()) return std::nullopt;
  derived_.push_back(size);
  return index;
}

Sizes Layouts::WithDerived(Sizes sizes) const {
  sizes.reserve(firsts_.size() + derived_.size());
  const auto size_of = [&](const std::string& name) { return sizes[named_.at(name)]; };
  for (const model::SymbolicSize& size : derived_) sizes.push_back(size.At(size_of));
  return sizes;
}

Shape Layouts::At(const Told& told, const Sizes& with_derived) {
  Shape shape = told;
  for (int64_t& size : shape)
    if (size < 0) size = with_derived[static_cast<size_t>(-1 - size)];
  return shape;
}

// Inference at sizes of one, and at large ones that have nothing in common and rise and fall, finds what
// names tell and no contradiction: then no size meets one that it must equal, divide or exceed.
bool Layouts::HoldsAtAnySize(const std::map<std::string, Told>& told) const {
  if (firsts_.empty()) return true;
  if (named_.size() > kOddSizes.size()) return false;
  Sizes rising(firsts_.size()), falling(firsts_.size());
  size_t next = 0;
  for (const auto& [name, first] : named_) {
    rising[first] = kOddSizes[next++];
    falling[first] = kOddSizes[kOddSizes.size() - next];
  }
  for (size_t i = 0; i < firsts_.size(); ++i) {
    rising[i] = rising[firsts_[i]];
    falling[i] = falling[firsts_[i]];
  }
  return HoldsAt(Sizes(firsts_.size(), 1), told) && HoldsAt(rising, told) && HoldsAt(falling, told);
}

bool Layouts::HoldsAt(const Sizes& sizes, const std::map<std::string, Told>& told) const {
  try {
    const std::map<std::string, ValueInfo> found = model::InferShapes(graph_, InputShapes(sizes));
    const Sizes all = WithDerived(sizes);
    return std::all_of(told.begin(), told.end(), [&](const auto& value) {
      const auto same = found.find(value.first);
      return same != found.end() && same->second.has_shape && same->second.shape == At(value.second, all);
    });
  } catch (const Error&) {
    return false;
  }
}

Sizes Layouts::SizesOf(const TensorMap& inputs) const {
  Sizes sizes;
  sizes.reserve(firsts_.size());
  for (const ValueInfo& input : graph_.inputs) {
    const Shape& shape = inputs.at(input.name).shape();
    if (!input.has_shape) sizes.push_back(static_cast<int64_t>(shape.size()));
    for (size_t axis = 0; axis < shape.size(); ++axis)
      if (!input.has_shape || input.shape[axis] < 0) sizes.push_back(shape[axis]);
  }
  return sizes;
}

std::map<std::string, Shape> Layouts::InputShapes(const Sizes& sizes) const {
  std::map<std::string, Shape> shapes;
  auto size = sizes.begin();
  for (const ValueInfo& input : graph_.inputs) {
    Shape shape = input.has_shape ? input.shape : Shape(static_cast<size_t>(*size++), -1);
    for (int64_t& each : shape)
      if (each < 0) each = *size++;
    shapes[input.name] = std::move(shape);
  }
  return shapes;
}

std::shared_ptr<const Layout> Layouts::For(const Sizes& sizes) {
  Sizes bucket = sizes;
  if (by_bucket_) std::transform(sizes.begin(), sizes.end(), bucket.begin(), BucketOf);
  std::shared_ptr<const Layout> layout;
  if (Find(bucket, layout)) {
    if (layout) return layout;
  } else {
    try {
      layout = Make(bucket);
    } catch (const Error&) {
      if (bucket == sizes) throw;
    }
    Keep(bucket, layout);
    if (layout) return layout;
  }
  if (Find(sizes, layout)) return layout;
  layout = Make(sizes);
  Keep(sizes, layout);
  return layout;
}

// Whether something is held for the sizes, which is put into `layout`.
bool Layouts::Find(const Sizes& sizes, std::shared_ptr<const Layout>& layout) {
  std::lock_guard lock(mutex_);
  const auto found = held_.find(sizes);
  if (found == held_.end()) return false;
  found->second.used = ++uses_;
  layout = found->second.layout;
  return true;
}

// What another thread has kept in between takes the place of `layout`.
void Layouts::Keep(const Sizes& sizes, std::shared_ptr<const Layout>& layout) {
  std::lock_guard lock(mutex_);
  if (held_.size() >= kMost && !held_.contains(sizes)) {
    held_.erase(std::min_element(held_.begin(), held_.end(),
                                 [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
  }
  Held& held = held_.try_emplace(sizes, Held{layout, 0}).first->second;
  held.used = ++uses_;
  layout = held.layout;
}

size_t Layouts::held() const {
  std::lock_guard lock(mutex_);
  return static_cast<size_t>(std::count_if(held_.begin(), held_.end(),
                                           [](const auto& each) { return each.second.layout != nullptr; }));
}

std::shared_ptr<const Layout> Layouts::Make(const Sizes& sizes) const {
  auto layout = std::make_shared<Layout>();
  layout->sizes = sizes;
  layout->shapes.resize(values_.size());
  layout->offsets.resize(values_.size());
  if (all_told_) {
    const Sizes all = WithDerived(sizes);
    for (const ValueInfo& value : dynamic_) CheckSize(value.name, value.dtype, At(value.shape, all));
    for (size_t i = 0; i < values_.size(); ++i)
      if (told_[i]) layout->shapes[i] = At(*told_[i], all);
  } else {
    layout->shapes = Infer(sizes);
  }
  std::vector<Lifetime> lifetimes;
  std::vector<size_t> placed;
  for (size_t i = 0; i < values_.size(); ++i) {
    const PlannedValue& value = values_[i];
    if (!value.in_arena || !layout->shapes[i]) continue;
    lifetimes.push_back({static_cast<size_t>(ElementCount(*layout->shapes[i])) * SizeOf(value.dtype),
                         value.first, value.last});
    placed.push_back(i);
  }
  const ArenaLayout arena = PlanArena(lifetimes);
  for (size_t i = 0; i < placed.size(); ++i) layout->offsets[placed[i]] = arena.offsets[i];
  layout->arena_bytes = arena.bytes;
  return layout;
}

std::vector<std::optional<Shape>> Layouts::Infer(const Sizes& sizes) const {
  std::map<std::string, ValueInfo> inferred = model::InferShapes(graph_, InputShapes(sizes));
  for (const auto& [name, value] : inferred)
    if (value.has_shape) CheckSize(name, value.dtype, value.shape);
  std::vector<std::optional<Shape>> shapes(values_.size());
  for (size_t i = 0; i < values_.size(); ++i) {
    const auto found = inferred.find(values_[i].name);
    if (found == inferred.end() || !found->second.has_shape) continue;
    Shape& shape = found->second.shape;
    if (std::find(shape.begin(), shape.end(), -1) == shape.end()) shapes[i] = std::move(shape);
  }
  return shapes;
}

std::vector<std::optional<Shape>> Layouts::ShapesAt(const Sizes& sizes, const Layout& layout) const {
  const bool exact = sizes == layout.sizes;
  const Sizes all = exact ? Sizes() : WithDerived(sizes);
  std::vector<std::optional<Shape>> shapes(values_.size());
  for (size_t i = 0; i < values_.size(); ++i) {
    if (!values_[i].made) continue;
    if (exact) {
      shapes[i] = layout.shapes[i];
    } else if (told_[i]) {
      shapes[i] = At(*told_[i], all);
    }
  }
  return shapes;
}

}  // namespace strop::engine
