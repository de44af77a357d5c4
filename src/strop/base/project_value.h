#pragma once

// How a value of strop.toml is read, told and refused. Internal to base; the table of keys is made of these.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>
#include <nlohmann/json.hpp>

#include "strop/base/project.h"

namespace strop::project {

// A value with its place in the file, which every complaint names.
struct Spot {
  std::string file;     // as the user named it
  std::string section;  // "tune", "tune.space.lr"
  std::string key;
  const toml::node* node = nullptr;

  // Throws kInvalidArgument: FILE:LINE: [SECTION] KEY = VALUE: what
  [[noreturn]] void Refuse(const std::string& what) const;
  [[noreturn]] void RefuseExpected(const std::string& accepted) const { Refuse("expected " + accepted); }
  // The same place, for a value inside this one.
  Spot Inside(std::string_view name, const toml::node& value) const;
  std::filesystem::path Folder() const;
};

// The key's own line, for keys that are not known.
[[noreturn]] void RefuseUnknown(const Spot& spot, const toml::key& key,
                                const std::vector<std::string>& known);

// `value` as one line of TOML, cut when long.
std::string ValueText(const toml::node& value);
// JSON of plain values as TOML: the defaults in documents.
std::string TomlText(const nlohmann::json& value);
// ", did you mean X?" for the nearest of the names, or ", expected one of …".
std::string Suggest(std::string_view name, const std::vector<std::string>& known);
std::string DurationText(std::chrono::milliseconds duration);

template <class T>
struct Kind {
  std::string accepted;  // completes "expected …"
  std::function<T(const Spot&)> read;
  std::function<nlohmann::json(const T&)> show = [](const T& value) { return nlohmann::json(value); };
};

Kind<std::string> Text();  // anything, also nothing
Kind<std::string> Name();  // not empty
Kind<std::string> OneOf(std::vector<std::string> words);
Kind<std::string> QualityName();           // a metric that data::QualityMetric::Make takes
Kind<std::string> Address();               // HOST:PORT
Kind<std::string> Location();              // a URI, or a path or glob made absolute
Kind<std::filesystem::path> FolderPath();  // made absolute
Kind<int64_t> Whole(int64_t low, int64_t high);
Kind<uint64_t> Seed();
Kind<double> Real(double low, double high, bool low_included = true);
Kind<std::chrono::milliseconds> Duration(std::chrono::milliseconds low, std::chrono::milliseconds high);
Kind<std::vector<std::string>> Words();  // a list of texts, also none
Kind<std::vector<std::string>> SomeOf(std::vector<std::string> words);
Kind<std::map<std::string, double>> Shares(std::vector<std::string> names);
Kind<std::map<std::string, ParameterSection>> Space();  // project_space.cc

}  // namespace strop::project
