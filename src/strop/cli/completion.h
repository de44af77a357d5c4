#pragma once

#include <string_view>

namespace strop::cli {

// The completion script of "bash", "zsh" or "fish"; empty for another shell. The scripts ask `strop
// completion verbs` for the verbs and `strop VERB --help` for a verb's options, so that they never age.
std::string_view CompletionScript(std::string_view shell) noexcept;

}  // namespace strop::cli
