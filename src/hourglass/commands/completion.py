"""Completion in a shell: what the last word of an unfinished `hourglass ...` can become.

Each shell has a short script of its own, which asks `hourglass train --shell-completion query=SHELL` with the line in
COMP_LINE. Commands and groups are known from the folder of the yaml files; keys and values come from Hydra, which
composes what has been typed so far.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from hourglass.configuration.groups import choices, conf_dir
from hourglass.configuration.hydra_internals import completions
from hourglass.configuration.resolvers import register_resolvers
from hourglass.system.errors import HourglassError

BASH = """\
# For this shell:    eval "$(hourglass train --shell-completion install=bash)"
# For every one:     the same line in ~/.bashrc
_hourglass() {
    local line="${COMP_LINE:0:COMP_POINT}" before="" IFS=$'\\n'
    local word="${line##*[[:space:]]}"
    # bash counts what stands before a = as another word, which the answers must not repeat
    [[ "$COMP_WORDBREAKS" == *=* ]] && before="${word%"${word##*=}"}"
    COMPREPLY=($(COMP_LINE="$line" hourglass train --shell-completion query=bash 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -o nospace -o default -F _hourglass hourglass
"""

ZSH = """\
# For this shell:    eval "$(hourglass train --shell-completion install=zsh)"
# For every one:     the same line in ~/.zshrc
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u }
_hourglass() {
    local -a found
    found=("${(@f)$(COMP_LINE="${(j: :)words[1,CURRENT-1]} $PREFIX" hourglass train --shell-completion query=zsh \\
        2>/dev/null)}")
    [[ -n "$found" ]] && compadd -Q -S '' -- $found || _files
}
compdef _hourglass hourglass
"""

FISH = """\
# For this shell:    hourglass train --shell-completion install=fish | source
# For every one:     the same line in ~/.config/fish/config.fish
function __hourglass
    set -lx COMP_LINE (commandline -cp)
    hourglass train --shell-completion query=fish 2>/dev/null
end
complete -c hourglass -n 'not __fish_seen_subcommand_from encode decode reconstruct sample export push pull' -f
complete -c hourglass -a '(__hourglass)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
UNINSTALL = {
    "bash": "complete -r hourglass; unset -f _hourglass\n",
    "zsh": "compdef -d hourglass; unfunction _hourglass\n",
    "fish": "complete -e -c hourglass; functions -e __hourglass\n",
}


def complete(words: Sequence[str], *, commands: Sequence[str]) -> str:
    """What `--shell-completion ACTION=SHELL` prints.

    Args:
        words: `install=bash`, `uninstall=zsh`, ...; `query=SHELL` is what the scripts ask.
        commands: those of `hourglass`.

    Raises:
        HourglassError: any other words.
    """
    action, _, shell = words[0].partition("=") if len(words) == 1 else ("", "", "")
    if shell not in SCRIPTS or action not in ("install", "uninstall", "query"):
        raise HourglassError(
            f"--shell-completion takes install=SHELL or uninstall=SHELL, SHELL one of {', '.join(SCRIPTS)},"
            f" got {' '.join(words) or 'nothing'}"
        )
    if action == "install":
        return SCRIPTS[shell]
    if action == "uninstall":
        return UNINSTALL[shell]
    found = candidates(os.environ.get("COMP_LINE", ""), commands=commands)
    if shell == "fish":  # it sets spaces itself, but after a = or a dot
        found = [each.rstrip(" ") for each in found]
    return "".join(f"{each}\n" for each in found)


def candidates(line: str, *, commands: Sequence[str]) -> list[str]:
    """What the last word of a line can become; with a space at the end where that is a whole word."""
    typed = line.split()[1:]
    word = "" if not typed or line[-1:].isspace() else typed.pop()
    if not typed:
        return [f"{each} " for each in commands if each.startswith(word)]
    command, *before = typed
    sources: dict[str, Callable[[], list[str]]] = {
        "list": lambda: [f"{group} " for group in choices() if group.startswith(word)],
        "ui": lambda: [key for key in ("port=", "uri=") if key.startswith(word)],
        "evaluate": lambda: _of_groups(word, ("data", "noise")) if before else [],
        "train": lambda: _of_flags(word) if word.startswith("-") else _of_keys(word, before),
    }
    return sources[command]() if command in sources else []


def _of_groups(word: str, groups: Sequence[str]) -> list[str]:
    known = choices()
    whole = [f"{group}={choice} " for group in groups for choice in known[group]]
    found = whole if "=" in word else [f"{group}=" for group in groups]
    return [each for each in found if each.startswith(word)]


def _of_flags(word: str) -> list[str]:
    from hourglass.commands.flags import PLAIN, WITH_VALUE

    return sorted(f"{flag} " for flag in {*PLAIN.values(), *WITH_VALUE.values()} if flag.startswith(word))


def _of_keys(word: str, before: Sequence[str]) -> list[str]:
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    register_resolvers()
    # As a multirun, so that values of a sweep are left alone.
    overrides = ["-m", *(each for each in before if not each.startswith("-") and "=" in each)]
    found: list[str] = []
    # Where what has been typed so far can't be composed, nothing is known of what comes.
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"), suppress(Exception):
        found = completions(GlobalHydra.instance().config_loader(), " ".join([*overrides, word]))
    return [each if each.endswith(("=", ".", "/")) else f"{each} " for each in found if not each.startswith("hydra/")]
