#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/tensor.h"
#include "strop/data/table.h"
#include "strop/model/graph.h"

// Which column of a source feeds which input of a model. Header only: programs that must not load torch use
// it too.
namespace strop::train {

// Input -> column: by name; else a model with one input takes the only column with the role "input", or the
// only one left beside the label. Throws kInvalidArgument naming the input and the columns there are.
inline std::map<std::string, data::Column> MatchInputs(const std::vector<model::ValueInfo>& inputs,
                                                       const std::vector<data::Column>& columns,
                                                       const std::string& label) {
  std::map<std::string, data::Column> matched;
  const auto named = [&](const std::string& name) {
    return std::ranges::find_if(columns, [&](const data::Column& column) { return column.name == name; });
  };
  for (const model::ValueInfo& input : inputs) {
    auto found = named(input.name);
    if (found == columns.end() && inputs.size() == 1) {
      std::vector<data::Column> marked, others;
      for (const data::Column& column : columns) {
        if (column.role == data::Role::kInput) marked.push_back(column);
        if (column.role == data::Role::kNone && column.name != label) others.push_back(column);
      }
      const std::vector<data::Column>& choice = marked.empty() ? others : marked;
      if (choice.size() == 1) found = named(choice.front().name);
    }
    if (found == columns.end()) {
      std::string names;
      for (const data::Column& column : columns) names += (names.empty() ? "" : ", ") + column.name;
      throw Error(
          Code::kInvalidArgument,
          fmt::format("the data has no column for the model's input '{}': it has {}", input.name, names));
    }
    matched[input.name] = *found;
  }
  return matched;
}

// Rows of a column as the input wants them: integers become floats where it wants floats, and the sizes of a
// row are those of the input. Throws kInvalidArgument naming input, found and wanted.
inline Tensor FitToInput(const Tensor& rows, const model::ValueInfo& input) {
  const auto is_float = [](DType dtype) {
    return dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kF16;
  };
  Tensor result = rows;
  if (rows.dtype() != input.dtype) {
    if (!is_float(input.dtype)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("the data for input '{}' is {}, the model wants {}", input.name,
                              DTypeName(rows.dtype()), DTypeName(input.dtype)));
    }
    result = rows.Cast(input.dtype);
  }
  Shape shape = input.shape;
  if (shape.empty()) return result;
  shape[0] = rows.shape()[0];
  const Shape& found = rows.shape();
  bool fits =
      std::ranges::count(shape, -1) == 0 ? ElementCount(shape) == rows.size() : shape.size() == found.size();
  for (size_t i = 1; fits && std::ranges::count(shape, -1) > 0 && i < shape.size(); ++i) {
    fits = shape[i] == -1 || shape[i] == found[i];
  }
  if (!fits) {
    throw Error(Code::kInvalidArgument,
                fmt::format("the data for input '{}' has shape {}, the model wants {}", input.name,
                            ShapeText(found), ShapeText(input.shape)));
  }
  return std::ranges::count(shape, -1) == 0 ? result.Reshaped(shape) : result;
}

// Rows that judge must not be rows that taught. Throws kInvalidArgument naming a file that both hold.
inline void RequireOtherFiles(const std::string& taught, const std::string& judging,
                              const std::string& remedy) {
  std::set<std::filesystem::path> files;
  for (const std::filesystem::path& file : data::ResolveFiles(taught))
    files.insert(std::filesystem::canonical(file));
  for (const std::filesystem::path& file : data::ResolveFiles(judging)) {
    if (!files.contains(std::filesystem::canonical(file))) continue;
    throw Error(Code::kInvalidArgument,
                fmt::format("{} is in both '{}' and '{}': {}", file.string(), taught, judging, remedy));
  }
}

}  // namespace strop::train
