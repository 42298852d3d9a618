// Completion for shells, from the same tree of verbs that --help is made of.
#include <fmt/format.h>
#include <gatehouse/cli/run.hpp>

#include "commands.hpp"
#include "node.hpp"

namespace gatehouse::cli {
namespace {

// Words that may follow, by the verbs before them; after a verb that takes a tenant's id, ids that have what was typed.
constexpr std::string_view bash_begin = R"bash(# gatehouse completion bash: source it, or put it into /usr/share/bash-completion/completions/gatehouse
_gatehouse() {
    local current=${COMP_WORDS[COMP_CWORD]} path="" word words="" takes_id="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case "$path $word" in
)bash";
constexpr std::string_view bash_middle = R"bash(        esac
    done
    case "$path" in
)bash";
constexpr std::string_view bash_end = R"bash(    esac
    if [[ -n $takes_id && $current != -* ]]; then
        words+=" $("${COMP_WORDS[0]}" tenant list --search "$current" 2>/dev/null | awk 'NR > 1 { print $1 }' | head -n 200)"
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _gatehouse gatehouse
)bash";

}  // namespace

int run_completion(const options& o) {
    std::string paths, words;
    for (const auto& v : verb_tree()) {
        if (!v.path.empty()) paths += fmt::format("            \"{}\") path=\"{}\" ;;\n", v.path, v.path);
        words += fmt::format("        \"{}\") words=\"{}\"{} ;;\n", v.path, v.words, v.takes_id ? "; takes_id=yes" : "");
    }
    if (o.shell == "zsh") print("#compdef gatehouse\nautoload -U +X bashcompinit && bashcompinit\n");
    print(fmt::format("{}{}{}{}{}", bash_begin, paths, bash_middle, words, bash_end));
    // Loaded from $fpath at the first use, which is to complete already.
    if (o.shell == "zsh") print("if (( $+functions[_bash_complete] && $+compstate )); then _bash_complete -o default -F _gatehouse; fi\n");
    return done;
}

}  // namespace gatehouse::cli
