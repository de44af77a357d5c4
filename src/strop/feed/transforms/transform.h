#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/base/tensor.h"
#include "strop/data/table.h"

namespace strop::feed {

// One transform of one column, as asked for: {"column": "image", "name": "resize", "height": 224, "width":
// 224}.
struct STROP_API TransformSpec {
  std::string column;
  std::string name;
  std::string options_json = "{}";  // the other keys

  // A JSON array of such objects. Throws kInvalidArgument naming what is wrong.
  static std::vector<TransformSpec> ParseList(const std::string& json);
};

// A row's value between two transforms; `shape` has no -1 here, `data` is aligned to its elements.
struct RowValue {
  DType dtype = DType::kU8;
  Shape shape;
  const uint8_t* data = nullptr;
};

// Where a transform writes: memory that grows and never shrinks, or the row's own place in its batch.
class STROP_API RowOut {
 public:
  // The next Take answers `place`, which holds `bytes`; null: own memory.
  void Aim(uint8_t* place, size_t bytes) noexcept;
  // Memory for a row of this shape, 64-byte aligned unless it is the row's place; valid until the next call.
  // Throws kInternal when the row does not fill its place exactly.
  uint8_t* Take(DType dtype, const Shape& shape);
  const RowValue& value() const noexcept { return value_; }  // what was taken

 private:
  struct Free {
    void operator()(uint8_t* memory) const noexcept { std::free(memory); }
  };

  RowValue value_;
  uint8_t* place_ = nullptr;
  size_t place_bytes_ = 0;
  std::unique_ptr<uint8_t, Free> memory_;
  size_t capacity_ = 0;
};

// What happens to one row of one column. Immutable after Plan, and thread safe.
class STROP_API Transform {
 public:
  virtual ~Transform();
  // The column that comes out of `in`; -1 where a size differs from row to row. Called once, before any
  // Apply. Throws kInvalidArgument saying what it found and what it wants.
  virtual data::Column Plan(const data::Column& in) = 0;
  // Takes `out` once and fills it. `in` is of the planned dtype and shape. Throws kInvalidArgument,
  // kUnsupported or kCorrupt saying what is wrong with the row. `key` names the row, whatever the run: random
  // transforms draw from it alone.
  virtual void Apply(const RowValue& in, uint64_t key, RowOut& out) const = 0;
};

// The transform of that name (docs/feed.md, "Transforms"). Throws kInvalidArgument listing the names, or
// naming column, transform, option, its value and what is accepted; kNotFound when a file that an option
// names is not there.
STROP_API std::unique_ptr<Transform> MakeTransform(const TransformSpec& spec);

// The transforms of one column, one after the other. Immutable and thread safe; scratch is a reader's own.
//
// A `decode` directly before a bilinear, antialiased `resize` is told its size, so that a JPEG much larger
// than that is decoded at 1/2, 1/4 or 1/8 by its DCT (as Pillow's draft mode), never smaller than what resize
// makes of it. "min_height": 0 of decode turns that off.
class STROP_API TransformChain {
 public:
  using Scratch = std::vector<RowOut>;

  // Of `column`, those of `specs` that name it, in their order. Throws as MakeTransform and Transform::Plan,
  // prefixed by the column and the transform.
  TransformChain(const data::Column& column, const std::vector<TransformSpec>& specs);

  bool empty() const noexcept { return transforms_.empty(); }
  const data::Column& input() const noexcept { return input_; }
  const data::Column& output() const noexcept { return output_; }
  // Every row that comes out has the same shape.
  bool dense() const noexcept { return ElementCount(output_.shape) >= 0; }
  // Transforms one row. The answer lies in `place` when given (output() must then be dense), else in
  // `scratch`, or is `in` itself when the chain is empty. Each transform draws from its own stream of `key`.
  // Throws as Transform::Apply, prefixed by the column and the transform.
  RowValue Apply(const RowValue& in, uint64_t key, uint8_t* place, Scratch& scratch) const;

 private:
  data::Column input_, output_;
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<Transform>> transforms_;
};

}  // namespace strop::feed
