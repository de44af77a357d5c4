#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/cli/verb.h"
#include "strop/loop/loop.h"

int main(int argc, char** argv) {
  using namespace strop;
  std::string file = "strop.toml";
  bool once = false;
  return cli::RunVerb(
      argc, argv,
      {"run", "the closed loop: tune, train, compress, serve, watch, label, retrain, validate, swap",
       "  strop run                      the project of ./strop.toml, until Ctrl-C\n"
       "  strop run fashion.toml --once  end after one drift, retraining and swap"},
      [&](CLI::App& app) {
        app.add_option("project", file, "project file")->capture_default_str();
        app.add_flag("--once", once, "end after one drift -> retrain -> swap");
      },
      [&](cli::Console& console) {
        loop::LoopOptions options;
        options.once = once;
        options.say = [&](const std::string& line) { console.Say(line); };
        options.progress = [&](const Progress& now) {
          console.Progress(now.what, now.done, now.total, now.note);
        };
        options.tick = [] { cli::ThrowIfInterrupted(); };
        const loop::LoopResult result = loop::RunLoop(Project::Load(file), options);
        if (result.companion_status != 0) {
          throw Error(Code::kFailedPrecondition,
                      fmt::format("the companion ended with {}; the loop itself closed with {} as champion",
                                  result.companion_status, result.champion));
        }
        console.Result({{"rounds", result.rounds}, {"champion", result.champion}},
                       fmt::format("{} rounds; champion {}", result.rounds, result.champion));
        return 0;
      });
}
