// The `strop` command: finds strop-VERB and becomes it, as git does. It links nothing of Strop, so that
// --help and completion stay within milliseconds whatever the verbs load.

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "strop/base/edit_distance.h"
#include "strop/cli/completion.h"

namespace {

namespace fs = std::filesystem;

struct KnownVerb {
  std::string_view name;
  std::string_view summary;
};

// In the order in which a project meets them.
constexpr KnownVerb kVerbs[] = {
    {"check", "Validate a project file"},
    {"run", "Run the closed loop of a project"},
    {"status", "Show what the loop is doing"},
    {"feed", "Measure, convert and serve training data"},
    {"tune", "Search a trainer's parameters"},
    {"train", "Fine-tune any ONNX model"},
    {"compress", "Cut a model to its fastest form within a limit of quality"},
    {"infer", "Run a model over a data set"},
    {"bench", "Measure a model's latency and throughput"},
    {"serve", "Serve models over HTTP"},
    {"watch", "Report drift in recorded data"},
    {"label", "Import, export and ask for labels that arrive late"},
    {"ui", "Open the dashboard"},
};

constexpr std::string_view kPrefix = "strop-";

fs::path OwnFolder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path(".") : self.parent_path();
}

// Where verbs may lie: beside this program (the package's bin folder), in the package of the environment
// whose bin folder this is, and anywhere in PATH (verbs that users add).
std::vector<fs::path> Folders() {
  const fs::path own = OwnFolder();
  std::vector<fs::path> folders = {own};
  std::error_code error;
  for (fs::directory_iterator entry(own.parent_path() / "lib", error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().filename().string().rfind("python3", 0) != 0) continue;
    for (const char* packages : {"site-packages", "dist-packages"}) {
      folders.push_back(entry->path() / packages / "strop" / "bin");
    }
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const size_t colon = std::min(rest.find(':'), rest.size());
    if (colon > 0) folders.emplace_back(rest.substr(0, colon));
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return folders;
}

bool IsProgram(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

fs::path Find(const std::string& verb) {
  for (const fs::path& folder : Folders()) {
    fs::path path = folder / (std::string(kPrefix) + verb);
    if (IsProgram(path)) return path;
  }
  return {};
}

// Name to path of every verb that would run; the first folder wins.
std::map<std::string, fs::path> FindAll() {
  std::map<std::string, fs::path> found;
  for (const fs::path& folder : Folders()) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      if (name.size() <= kPrefix.size() || name.compare(0, kPrefix.size(), kPrefix) != 0) continue;
      if (IsProgram(entry->path())) found.emplace(name.substr(kPrefix.size()), entry->path());
    }
  }
  return found;
}

void PrintHelp(std::FILE* out) {
  std::map<std::string, fs::path> found = FindAll();
  std::fputs(
      "Strop keeps a model sharp: it feeds training, tunes, compresses, serves and watches.\n\n"
      "Usage: strop VERB [OPTIONS]\n       strop VERB --help\n\nVerbs:\n",
      out);
  for (const KnownVerb& verb : kVerbs) {
    if (found.erase(std::string(verb.name)) == 0) continue;  // not in this installation
    std::fprintf(out, "  %-12s%s\n", verb.name.data(), verb.summary.data());
  }
  std::fprintf(out, "  %-12s%s\n", "completion", "Print the completion script of bash, zsh or fish");
  if (!found.empty()) std::fputs("\nFound in PATH:\n", out);
  for (const auto& [name, path] : found) std::fprintf(out, "  %-12s%s\n", name.c_str(), path.c_str());
  std::fputs("\nExample:\n  strop check strop.toml\n", out);
}

int UnknownVerb(const std::string& verb) {
  for (const KnownVerb& known : kVerbs) {
    if (known.name != verb) continue;
    std::fprintf(
        stderr,
        "strop: the verb \"%s\" is not in this installation: neither beside %s nor in PATH is a strop-%s\n",
        verb.c_str(), (OwnFolder() / "strop").c_str(), verb.c_str());
    return 2;
  }
  std::string nearest;
  size_t best = 1 + verb.size() / 2;  // farther than half of its letters is no misspelling
  const auto consider = [&](const std::string& name) {
    // A beginning of a name is near it too.
    const size_t distance = name.rfind(verb, 0) == 0 ? 1 : strop::EditDistance(verb, name);
    if (distance < best) {
      best = distance;
      nearest = name;
    }
  };
  for (const auto& [name, path] : FindAll()) consider(name);
  consider("completion");
  std::fprintf(stderr, "strop: no verb \"%s\"; ", verb.c_str());
  if (nearest.empty()) {
    std::fputs("'strop --help' lists them\n", stderr);
  } else {
    std::fprintf(stderr, "did you mean '%s'? ('strop --help' lists them)\n", nearest.c_str());
  }
  return 2;
}

int Completion(const std::vector<std::string>& arguments) {
  const std::string shell = arguments.size() == 1 ? arguments[0] : "";
  if (shell == "verbs") {  // what the scripts call
    for (const auto& [name, path] : FindAll()) std::puts(name.c_str());
    std::puts("completion");
    return 0;
  }
  const std::string_view script = strop::cli::CompletionScript(shell);
  if (script.empty()) {
    std::fputs("strop completion: expected one of bash, zsh, fish\n", stderr);
    return 2;
  }
  std::fwrite(script.data(), 1, script.size(), stdout);
  return 0;
}

int Become(const std::string& verb, std::vector<std::string> arguments) {
  const fs::path program = verb.find('/') == std::string::npos ? Find(verb) : fs::path();
  if (program.empty()) return UnknownVerb(verb);
  arguments.insert(arguments.begin(), program.string());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  std::fprintf(stderr, "strop: cannot run %s: %s\n", program.c_str(), std::strerror(errno));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  if (arguments.empty()) {
    PrintHelp(stderr);
    return 2;
  }
  const std::string verb = arguments.front();
  arguments.erase(arguments.begin());
  int status = 0;
  if (verb == "--version" || verb == "-V") {
    std::puts("strop " STROP_VERSION);
  } else if (verb == "--help" || verb == "-h" || (verb == "help" && arguments.empty())) {
    PrintHelp(stdout);
  } else if (verb == "help") {
    status = Become(arguments.front(), {"--help"});
  } else if (verb == "completion") {
    status = Completion(arguments);
  } else if (verb.empty() || verb.front() == '-') {
    std::fprintf(stderr, "strop: unknown option \"%s\"; expected a verb ('strop --help' lists them)\n",
                 verb.c_str());
    status = 2;
  } else {
    status = Become(verb, std::move(arguments));
  }
  return std::fflush(stdout) == 0 ? status : 1;
}
