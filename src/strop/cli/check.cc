// strop check: validates a project file; with --keys, lists what one may hold.

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/project.h"
#include "strop/cli/verb.h"
#include "strop/tune/space.h"

namespace {

using strop::Project;
using strop::ProjectKey;

// The tables of docs/project.md.
std::string KeysText() {
  std::string text, section;
  for (const ProjectKey& key : strop::ProjectKeys()) {
    if (key.section != section) {
      section = key.section;
      text += fmt::format("{}### [{}]\n\n| key | default | accepted | meaning |\n|---|---|---|---|\n",
                          text.empty() ? "" : "\n", section);
    }
    text += fmt::format("| `{}` | `{}` | {} | {} |\n", key.name, key.default_value, key.accepted, key.doc);
  }
  return text;
}

nlohmann::json KeysJson() {
  nlohmann::json out = nlohmann::json::array();
  for (const ProjectKey& key : strop::ProjectKeys()) {
    out.push_back({{"section", key.section},
                   {"key", key.name},
                   {"default", key.default_value},
                   {"accepted", key.accepted},
                   {"meaning", key.doc}});
  }
  return out;
}

// Conditions and constraints, which tie parameters together.
void CheckSpace(const std::string& file, const Project& project) {
  try {
    strop::tune::Space::FromProject(project.tune);
  } catch (const strop::Error& error) {
    throw strop::Error(error.code(), fmt::format("{}: [tune] {}", file, error.what()));
  }
}

std::string Summary(const std::string& file, const Project& project) {
  const auto or_none = [](const std::string& text) { return text.empty() ? "none named" : text; };
  return fmt::format(
      "{}: OK\n  data   {}, label {}\n  tune   {} trials of {} parameters, {} {}\n  serve  {} on {}\n"
      "  loop   in {}",
      file, or_none(project.data.train), project.data.label, project.tune.trials, project.tune.space.size(),
      project.tune.direction, project.tune.metric, project.serve.name, project.serve.http,
      project.loop.directory.string());
}

}  // namespace

int main(int argc, char** argv) {
  std::string file = "strop.toml";
  bool keys = false;
  return strop::cli::RunVerb(
      argc, argv,
      {"check", "Validate a project file: names file, line, key, value and what is accepted",
       "strop check strop.toml\nstrop check --json strop.toml\nstrop check --keys"},
      [&](CLI::App& app) {
        app.add_option("file", file, "The project file")->type_name("strop.toml");
        app.add_flag("--keys", keys, "List every key with its default and what is accepted, as Markdown");
      },
      [&](strop::cli::Console& console) {
        if (keys) {
          console.Result({{"keys", KeysJson()}}, KeysText());
          return 0;
        }
        const Project project = Project::Load(file);
        CheckSpace(file, project);
        nlohmann::json result = {{"ok", true}, {"file", project.file.string()}};
        result["project"] = strop::ProjectJson(project);
        console.Result(result, Summary(file, project));
        return 0;
      });
}
