#include "strop/base/project.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/project_keys.h"

namespace strop {
namespace {

using project::Keys;
using project::Spot;

std::vector<std::string> SectionNames() {
  std::vector<std::string> names;
  for (const auto& key : Keys()) {
    if (names.empty() || names.back() != key.section) names.push_back(key.section);
  }
  return names;
}

[[noreturn]] void RefuseSection(const std::string& file, const toml::key& key, const toml::node& value) {
  const auto names = SectionNames();
  if (!value.is_table()) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("{}:{}: {} = {}: a key outside a section, expected below one of [{}]", file,
                    key.source().begin.line, key.str(), project::ValueText(value), fmt::join(names, "], [")));
  }
  throw Error(Code::kInvalidArgument,
              fmt::format("{}:{}: [{}]: unknown section{}", file, key.source().begin.line, key.str(),
                          project::Suggest(key.str(), names)));
}

void ReadSection(Project& project, const std::string& file, const std::string& section,
                 const toml::table& table) {
  for (const auto& [key, value] : table) {
    const Spot spot{file, section, std::string(key.str()), &value};
    const auto known = std::find_if(Keys().begin(), Keys().end(), [&](const project::Key& candidate) {
      return candidate.section == section && candidate.name == spot.key;
    });
    if (known == Keys().end()) {
      std::vector<std::string> names;
      for (const auto& candidate : Keys()) {
        if (candidate.section == section) names.push_back(candidate.name);
      }
      project::RefuseUnknown(spot, key, names);
    }
    known->read(project, spot);
  }
}

// What no key can judge alone. The place is that of a key of the pair which the file sets.
void CheckTogether(const Project& project, const std::string& file, const toml::table& root) {
  const auto refuse = [&](const char* section, std::initializer_list<const char*> keys,
                          const std::string& what) {
    for (const char* key : keys) {
      if (const toml::node* node = root[section][key].node()) Spot{file, section, key, node}.Refuse(what);
    }
    throw Error(Code::kInvalidArgument, fmt::format("{}: [{}]: {}", file, section, what));
  };
  const WatchSection& watch = project.watch;
  if (watch.window > watch.reference_rows) {
    refuse("watch", {"window", "reference_rows"},
           fmt::format(
               "a window of {} rows is longer than the reference of {}: expected window <= reference_rows",
               watch.window, watch.reference_rows));
  }
  if (watch.uniform_share + watch.uncertain_share > 1) {
    refuse("watch", {"uncertain_share", "uniform_share"},
           fmt::format("uniform_share {} and uncertain_share {} are more than 1 together",
                       watch.uniform_share, watch.uncertain_share));
  }
  if (project.loop.validation_labels >= project.loop.retrain_labels) {
    refuse("loop", {"validation_labels", "retrain_labels"},
           fmt::format("{} of {} labels for validation leave none to train on: expected validation_labels < "
                       "retrain_labels",
                       project.loop.validation_labels, project.loop.retrain_labels));
  }
}

}  // namespace

Project Project::Load(const std::filesystem::path& file) {
  std::string text;
  try {
    text = ReadFile(file);
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;
    throw Error(Code::kNotFound, fmt::format("there is no project file {}: name one, or start from "
                                             "examples/fashion/strop.toml and docs/project.md",
                                             file.string()));
  }
  return Parse(text, file);
}

Project Project::Parse(const std::string& text, const std::filesystem::path& file) {
  toml::table root;
  try {
    root = toml::parse(text, file.string());
  } catch (const toml::parse_error& error) {
    std::string what(error.description());
    std::replace(what.begin(), what.end(), '\n', ' ');
    throw Error(Code::kInvalidArgument,
                fmt::format("{}:{}:{}: not TOML: {}", file.string(), error.source().begin.line,
                            error.source().begin.column, what));
  }
  Project project;
  project.file = std::filesystem::absolute(file).lexically_normal();
  project.loop.directory = project.folder() / project.loop.directory;
  const auto sections = SectionNames();
  for (const auto& [key, value] : root) {
    const bool known = std::find(sections.begin(), sections.end(), key.str()) != sections.end();
    if (!known || !value.is_table()) RefuseSection(file.string(), key, value);
    ReadSection(project, file.string(), std::string(key.str()), *value.as_table());
  }
  CheckTogether(project, file.string(), root);
  return project;
}

std::vector<ProjectKey> ProjectKeys() {
  const Project defaults;
  std::vector<ProjectKey> out;
  for (const auto& key : Keys()) {
    out.push_back({key.section, key.name, key.accepted, project::TomlText(key.show(defaults)), key.doc});
  }
  return out;
}

nlohmann::json ProjectJson(const Project& project) {
  nlohmann::json out;
  for (const auto& key : Keys()) out[key.section][key.name] = key.show(project);
  return out;
}

std::chrono::milliseconds ParseDuration(const std::string& text) {
  constexpr std::pair<const char*, double> kUnits[] = {{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}};
  const size_t digits = text.find_first_not_of("0123456789.");
  if (digits != 0 && digits != std::string::npos) {
    char* end = nullptr;
    const std::string number = text.substr(0, digits);
    const double count = std::strtod(number.c_str(), &end);
    for (const auto& [unit, milliseconds] : kUnits) {
      if (*end != '\0' || text.substr(digits) != unit || count * milliseconds > 1e15) continue;
      return std::chrono::milliseconds(std::llround(count * milliseconds));
    }
  }
  throw Error(
      Code::kInvalidArgument,
      fmt::format("\"{}\" is not a duration: expected a number and a unit (ms, s, m, h), such as \"30s\"",
                  text));
}

}  // namespace strop
