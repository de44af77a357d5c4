#include "strop/feed/transforms/transform.h"

#include <algorithm>
#include <cstring>
#include <new>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/rng.h"
#include "strop/feed/transforms/registry.h"

namespace strop::feed {
namespace {

using nlohmann::json;

struct Entry {
  std::string_view name;
  std::unique_ptr<Transform> (*make)(const TransformSpec&);
};

constexpr Entry kTransforms[] = {
    {"cast", MakeCast},
    {"crop", MakeCrop},
    {"decode", MakeDecode},
    {"flip", MakeFlip},
    {"normalise", MakeNormalise},
    {"one_hot", MakeOneHot},
    {"pad", MakePad},
    {"random_resized_crop", MakeRandomResizedCrop},
    {"resize", MakeResize},
    {"tokenise", MakeTokenise},
};

TransformSpec ParseSpec(const json& object, size_t index) {
  const auto text = [&](const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_string() || found->get_ref<const std::string&>().empty()) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("transform {}: {}: expected a key \"{}\" with a text", index,
                              object.dump(-1, ' ', false, json::error_handler_t::replace), key));
    }
    return found->get<std::string>();
  };
  TransformSpec spec{text("column"), text("name"), ""};
  json options = object;
  options.erase("column");
  options.erase("name");
  spec.options_json = options.dump();
  return spec;
}

// Tells decode the size that the resize after it will make; nothing when either is not as it should be, for
// then its own complaint follows.
TransformSpec WithMinimum(const TransformSpec& decode, const TransformSpec& resize) {
  json options = json::parse(decode.options_json, nullptr, false);
  const json wanted = json::parse(resize.options_json, nullptr, false);
  if (!options.is_object() || !wanted.is_object()) return decode;
  for (const char* fixed : {"height", "width", "min_height", "min_width"}) {
    if (options.contains(fixed)) return decode;
  }
  if (!wanted.contains("height") || !wanted.contains("width")) return decode;
  if (wanted.value("interpolation", json("bilinear")) != "bilinear") return decode;
  if (wanted.value("antialias", json(true)) != true) return decode;
  options["min_height"] = wanted["height"];
  options["min_width"] = wanted["width"];
  return {decode.column, decode.name, options.dump()};
}

// Calls `call`, naming column and transform in what it throws.
template <class Call>
auto Named(const std::string& column, const std::string& name, Call call) {
  try {
    return call();
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("column {}: transform {}: {}", column, name, error.what()));
  }
}

}  // namespace

Transform::~Transform() = default;

std::vector<TransformSpec> TransformSpec::ParseList(const std::string& text) {
  const json list = json::parse(text, nullptr, false);
  const bool objects = list.is_array() && std::all_of(list.begin(), list.end(),
                                                      [](const json& item) { return item.is_object(); });
  if (!objects) {
    throw Error(Code::kInvalidArgument,
                fmt::format("transforms {}: expected a JSON list of objects such as "
                            "{{\"column\": \"image\", \"name\": \"flip\", \"axis\": \"horizontal\"}}",
                            text.substr(0, 200)));
  }
  std::vector<TransformSpec> specs;
  for (const json& object : list) specs.push_back(ParseSpec(object, specs.size()));
  return specs;
}

void RowOut::Aim(uint8_t* place, size_t bytes) noexcept {
  place_ = place;
  place_bytes_ = bytes;
}

uint8_t* RowOut::Take(DType dtype, const Shape& shape) {
  const int64_t count = ElementCount(shape);
  const size_t bytes = static_cast<size_t>(count) * SizeOf(dtype);
  if (count < 0 || (place_ != nullptr && bytes != place_bytes_)) {
    throw Error(Code::kInternal,
                fmt::format("a row of {} {} does not fill its place of {} bytes in the batch",
                            DTypeName(dtype), ShapeText(shape), place_bytes_));
  }
  uint8_t* data = place_;
  if (data == nullptr) {
    if (bytes > capacity_ || !memory_) {
      const size_t wanted =
          (std::max(bytes, capacity_ + capacity_ / 2) / kTensorAlignment + 1) * kTensorAlignment;
      memory_.reset();
      capacity_ = 0;
      memory_.reset(static_cast<uint8_t*>(std::aligned_alloc(kTensorAlignment, wanted)));
      if (!memory_) throw std::bad_alloc();
      capacity_ = wanted;
    }
    data = memory_.get();
  }
  value_.dtype = dtype;
  value_.shape = shape;
  value_.data = data;
  return data;
}

void RefuseInput(const data::Column& in, const std::string& wanted) {
  throw Error(Code::kInvalidArgument, fmt::format("its input is {} {}: expected {}", DTypeName(in.dtype),
                                                  ShapeText(in.shape), wanted));
}

std::unique_ptr<Transform> MakeTransform(const TransformSpec& spec) {
  std::vector<std::string_view> names;
  for (const Entry& entry : kTransforms) {
    if (entry.name == spec.name) return entry.make(spec);
    names.push_back(entry.name);
  }
  throw Error(Code::kInvalidArgument, fmt::format("column {}: unknown transform {}: expected one of {}",
                                                  spec.column, spec.name, fmt::join(names, ", ")));
}

TransformChain::TransformChain(const data::Column& column, const std::vector<TransformSpec>& specs)
    : input_(column), output_(column) {
  std::vector<TransformSpec> own;
  for (const TransformSpec& spec : specs) {
    if (spec.column == column.name) own.push_back(spec);
  }
  for (size_t i = 0; i < own.size(); ++i) {
    const bool shrinks = own[i].name == "decode" && i + 1 < own.size() && own[i + 1].name == "resize";
    transforms_.push_back(MakeTransform(shrinks ? WithMinimum(own[i], own[i + 1]) : own[i]));
    names_.push_back(own[i].name);
    output_ = Named(column.name, names_[i], [&] { return transforms_[i]->Plan(output_); });
  }
}

RowValue TransformChain::Apply(const RowValue& in, uint64_t key, uint8_t* place, Scratch& scratch) const {
  if (place != nullptr && !dense()) {
    throw Error(Code::kInternal, fmt::format("column {} of shape {} has no place of one size", output_.name,
                                             ShapeText(output_.shape)));
  }
  if (empty()) {
    if (place == nullptr) return in;
    std::memcpy(place, in.data, output_.row_bytes());
    return {in.dtype, in.shape, place};
  }
  if (scratch.size() < transforms_.size()) scratch.resize(transforms_.size());
  const RowValue* value = &in;
  for (size_t i = 0; i < transforms_.size(); ++i) {
    const bool last = i + 1 == transforms_.size() && place != nullptr;
    scratch[i].Aim(last ? place : nullptr, last ? output_.row_bytes() : 0);
    Named(input_.name, names_[i], [&] { transforms_[i]->Apply(*value, MixSeed(key, i), scratch[i]); });
    value = &scratch[i].value();
  }
  return *value;
}

}  // namespace strop::feed
