#include <algorithm>
#include <filesystem>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/line_socket.h"
#include "strop/base/project.h"
#include "strop/cli/verb.h"
#include "strop/loop/state.h"
#include "strop/store/database.h"

namespace {

using namespace strop;
using nlohmann::json;

bool Listens(const std::filesystem::path& socket) {
  try {
    LineSocket::Connect(socket);
    return true;
  } catch (const Error&) {
    return false;
  }
}

json Events(const std::string& url, int64_t count) {
  json events = json::array();
  store::Database database = store::Database::Open(url);
  database.Query("SELECT time, room, event, detail FROM events ORDER BY id DESC LIMIT ?", {count},
                 [&](const store::Row& row) {
                   events.push_back({{"time", row.Real(0)},
                                     {"room", row.Text(1)},
                                     {"event", row.Text(2)},
                                     {"detail", json::parse(row.Text(3), nullptr, false)}});
                 });
  std::reverse(events.begin(), events.end());
  return events;
}

std::string ForPeople(const json& status) {
  std::string text = fmt::format("loop {}, step {}, round {}\nchampion {}\n",
                                 status["running"].get<bool>() ? "running" : "not running",
                                 status["step"].get<std::string>(), status["round"].get<int64_t>(),
                                 status["champion"].get<std::string>());
  for (const auto& event : status["events"]) {
    text += fmt::format("{:%Y-%m-%d %H:%M:%S}  {:6} {:14} {}\n",
                        fmt::gmtime(static_cast<time_t>(event["time"].get<double>())),
                        event["room"].get<std::string>(), event["event"].get<std::string>(),
                        event["detail"].dump());
  }
  return text.substr(0, text.size() - 1);
}

}  // namespace

int main(int argc, char** argv) {
  std::string file = "strop.toml";
  int64_t count = 20;
  return cli::RunVerb(
      argc, argv,
      {"status", "what the loop is doing, from its store",
       "  strop status\n  strop status fashion.toml --events 100 --json"},
      [&](CLI::App& app) {
        app.add_option("project", file, "project file")->capture_default_str();
        app.add_option("--events", count, "newest events shown")
            ->check(CLI::Range(0, 1'000'000))
            ->capture_default_str();
      },
      [&](cli::Console& console) {
        const Project project = Project::Load(file);
        const auto folder = std::filesystem::absolute(project.folder() / project.loop.directory);
        const auto store_file = folder / "strop.db";
        if (!std::filesystem::exists(store_file)) {
          throw Error(Code::kNotFound,
                      fmt::format("{} is not there: the loop of {} has not run yet (strop run)",
                                  store_file.string(), file));
        }
        const std::string url = "sqlite:///" + store_file.string();
        const loop::LoopState state = loop::StateStore(url).Load();
        const json status = {{"running", Listens(folder / "loop.sock")},
                             {"step", loop::StepName(state.step)},
                             {"round", state.round},
                             {"champion", state.champion_served},
                             {"champion_f32", state.champion_f32},
                             {"events", Events(url, count)}};
        console.Result(status, ForPeople(status));
        return 0;
      });
}
