#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/project.h"
#include "strop/cli/verb.h"
#include "strop/store/database.h"
#include "strop/watch/label_import.h"
#include "strop/watch/label_queue.h"

namespace strop::cli {
namespace {

struct LabelOptions {
  std::string action;  // export, import, next
  std::string file;
  std::string project = "strop.toml";
  std::string store;
  std::string reason = "any";
  double since = 0;
  std::string key = "request_id";
  std::string label;
  int64_t limit = 100;
};

const VerbInfo kInfo = {
    "label", "Labels that arrive late, joined by request id with the rows that were served",
    "  strop label next wanted.csv --limit 200               which requests to label, and why\n"
    "  strop label import done.csv --key request_id --label label\n"
    "  strop label export rows.parquet --reason uniform      labelled rows, ready for training or "
    "validation"};

// The store of --store, or of the project; a store that is not there is an error, not a new file.
std::string StoreUrl(const LabelOptions& options, const std::optional<Project>& project) {
  const std::string url = project ? (project->loop.directory / "strop.db").string() : options.store;
  const std::string path = url.starts_with("sqlite:///") ? url.substr(10) : url;
  if (path.find("://") == std::string::npos && !std::filesystem::exists(path)) {
    throw Error(
        Code::kNotFound,
        fmt::format("{}: no such store; strop serve makes it when it captures the first request", path));
  }
  return url;
}

// As RFC 4180 has it.
std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

void Export(const watch::LabelQueue& queue, const LabelOptions& options, const std::string& label,
            Console& console) {
  watch::ExportOptions wanted;
  if (options.reason != "any") wanted.reason = watch::ParseReason(options.reason);
  wanted.since = options.since;
  wanted.label = label;
  const int64_t rows = queue.Export(options.file, wanted);
  console.Result({{"rows", rows}, {"file", options.file}},
                 fmt::format("{} labelled rows in {}", rows, options.file));
}

void Import(watch::LabelQueue& queue, const LabelOptions& options, const std::string& label,
            Console& console) {
  const auto labels = watch::ReadLabels(options.file, options.key, label);
  queue.PutLabels(labels);
  console.Result({{"labels", labels.size()}}, fmt::format("{} labels from {}", labels.size(), options.file));
}

void Next(const watch::LabelQueue& queue, const LabelOptions& options, Console& console) {
  const auto wishes = queue.Wanted(options.limit);
  nlohmann::json list = nlohmann::json::array();
  std::string csv = "request_id,reason\n";
  for (const auto& wish : wishes) {
    const std::string reason(watch::ReasonName(wish.reason));
    list.push_back({{"request_id", wish.request_id}, {"reason", reason}});
    csv += fmt::format("{},{}\n", CsvField(wish.request_id), reason);
  }
  std::string text = csv;
  nlohmann::json result = {{"wanted", list}};
  if (!options.file.empty()) {
    WriteFileAtomically(options.file, csv);
    text = fmt::format("{} requests to label in {}", wishes.size(), options.file);
    result["file"] = options.file;
  }
  if (text.ends_with('\n')) text.pop_back();
  console.Result(result, text);
}

void AddStore(CLI::App* command, LabelOptions& options) {
  auto* const store = command->add_option("--store", options.store, "The store, as in sqlite:///FILE");
  command->add_option("--project", options.project, "The project whose store it is")
      ->capture_default_str()
      ->excludes(store);
}

void Setup(CLI::App& app, LabelOptions& options) {
  app.require_subcommand(1);
  app.fallthrough();
  auto* const to =
      app.add_subcommand("export", "Write labelled rows as Parquet: inputs, label, request_id, reason, time");
  to->add_option("FILE", options.file, "The Parquet file to write")->required();
  to->add_option("--reason", options.reason, "Why their labels were asked for")
      ->check(CLI::IsMember({"any", "uniform", "uncertain"}))
      ->capture_default_str();
  to->add_option("--since", options.since, "Only rows served at or after this, in Unix seconds");
  to->add_option("--label", options.label, "Name of the label's column; default: the project's, or label");
  auto* const from =
      app.add_subcommand("import", "Take labels from Parquet, Arrow IPC or CSV; all of them or none");
  from->add_option("FILE", options.file, "The file with a label a row")->required();
  from->add_option("--key", options.key, "The column with the request id")->capture_default_str();
  from->add_option("--label", options.label, "The column with the label; default: the project's, or label");
  auto* const next = app.add_subcommand("next", "The requests whose labels are wanted, newest first");
  next->add_option("FILE", options.file, "A CSV file to write instead of printing");
  next->add_option("--limit", options.limit, "At most so many")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  for (CLI::App* command : {to, from, next}) {
    AddStore(command, options);
    command->callback([&options, command] { options.action = command->get_name(); });
  }
}

int Run(Console& console, const LabelOptions& options) {
  std::optional<Project> project;
  if (options.store.empty()) project = Project::Load(options.project);
  auto database = store::Database::Open(StoreUrl(options, project));
  watch::LabelQueue queue(&database);
  const std::string label = !options.label.empty() ? options.label : project ? project->data.label : "label";
  if (options.action == "export") Export(queue, options, label, console);
  if (options.action == "import") Import(queue, options, label, console);
  if (options.action == "next") Next(queue, options, console);
  return 0;
}

}  // namespace
}  // namespace strop::cli

int main(int argc, char** argv) {
  strop::cli::LabelOptions options;
  return strop::cli::RunVerb(
      argc, argv, strop::cli::kInfo, [&](CLI::App& app) { strop::cli::Setup(app, options); },
      [&](strop::cli::Console& console) { return strop::cli::Run(console, options); });
}
