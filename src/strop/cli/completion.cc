#include "strop/cli/completion.h"

namespace strop::cli {
namespace {

constexpr std::string_view kBash = R"SCRIPT(# bash: source <(strop completion bash)
_strop() {
  local word="${COMP_WORDS[COMP_CWORD]}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "$(strop completion verbs) --help --version" -- "$word"))
  elif [ "${COMP_WORDS[1]}" = completion ]; then
    COMPREPLY=($(compgen -W "bash zsh fish" -- "$word"))
  elif [[ "$word" == -* ]]; then
    local options
    options="$(strop "${COMP_WORDS[1]}" --help 2>/dev/null </dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)"
    COMPREPLY=($(compgen -W "$options" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}
complete -o filenames -F _strop strop
)SCRIPT";

constexpr std::string_view kZsh = R"SCRIPT(#compdef strop
# zsh: source <(strop completion zsh), after compinit
_strop() {
  local -a words_found
  if (( CURRENT == 2 )); then
    words_found=(${(f)"$(strop completion verbs)"} --help --version)
    compadd -a words_found
  elif [[ $words[2] == completion ]]; then
    compadd bash zsh fish
  elif [[ $words[CURRENT] == -* ]]; then
    words_found=(${(f)"$(strop $words[2] --help 2>/dev/null </dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)"})
    compadd -a words_found
  else
    _files
  fi
}
compdef _strop strop
)SCRIPT";

constexpr std::string_view kFish = R"SCRIPT(# fish: strop completion fish | source
complete -c strop -n __fish_use_subcommand -f -a '(strop completion verbs)'
complete -c strop -n __fish_use_subcommand -l version -l help
complete -c strop -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'
complete -c strop -n 'not __fish_use_subcommand; and string match -q -- "-*" (commandline -ct)' -f \
    -a '(strop (commandline -opc)[2] --help 2>/dev/null </dev/null | string match -ar -- "--[a-z][a-z-]*")'
)SCRIPT";

}  // namespace

std::string_view CompletionScript(std::string_view shell) noexcept {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  return shell == "fish" ? kFish : std::string_view();
}

}  // namespace strop::cli
