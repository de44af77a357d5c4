#pragma once

#include <filesystem>
#include <string>

namespace strop::engine::fuzz {

struct TrialResult {
  enum class Kind { kRan, kRefused, kFinding };
  Kind kind = Kind::kRan;
  std::string message;  // of the last strop::Error, or what is wrong
};

// What runs at the moment, for whoever has to tell where a process ended.
using Stage = void (*)(const char* name);

// Loads the model, infers its shapes, simplifies it, and runs it on small inputs as one of the engine's three
// candidates. Each step may succeed or throw a strop::Error of one line that blames the model; any other
// exception, message or kInternal is a finding.
TrialResult Try(const std::filesystem::path& model, int candidate, Stage stage);

}  // namespace strop::engine::fuzz
