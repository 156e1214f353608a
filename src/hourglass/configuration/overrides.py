"""What a person writes to change a configuration, `KEY=VALUE`, in one grammar for every command: Hydra's.

    optimizer.lr=1e-3    a number          noise=[masking,gaussian]    a list
    name='"Übung 1"'     text in quotes: signs that the grammar doesn't know, kept from the shell by others

Whatever can't be read, or has no place in the configuration, is said in one line.
"""

import re
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hourglass.configuration import hydra_internals
from hourglass.configuration.groups import choice_files, choices, conf_dir
from hourglass.configuration.moved import advice
from hourglass.system.errors import HourglassError, nearest

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


def parse(word: str) -> "Override":
    """One word, as Hydra reads it.

    Raises:
        HourglassError: it is no `KEY=VALUE`, or its value needs quotes.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    check_form(word)
    try:
        return OverridesParser.create().parse_overrides([word])[0]
    except HydraException as error:
        raise HourglassError(explain(error)) from error


def check_form(word: str) -> None:
    """HourglassError unless a word is a key and a value, or takes a key away (`~KEY`)."""
    key, equals, value = word.partition("=")
    if not key.strip("+~ "):
        raise HourglassError(f"{word!r} is no KEY=VALUE, as in model.code_size=32; there is no space around =")
    if not equals and not key.startswith("~"):
        raise HourglassError(f"{word} must have a value, got none: write {word}=VALUE, without a space around =")
    if equals and key != key.strip():
        raise HourglassError(
            f"{word}: there is no space around =: write {shlex.quote(f'{key.strip()}={value.strip()}')}"
        )


def check_choice(word: str) -> None:
    """HourglassError where a group is given what can't be the name of a choice; what can't be read is left to Hydra."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep, QuotedString
    from hydra.errors import HydraException

    group = word.partition("=")[0].lstrip("+")
    known = choices().get(group)
    if known is None:
        return
    try:
        value = OverridesParser.create().parse_override(word).value()
    except HydraException:
        return
    for each in value.list if isinstance(value, ChoiceSweep) else [value]:
        for name in each if isinstance(each, list) else [each]:
            if not isinstance(name, str | QuotedString) or str(name).endswith(".yaml"):
                said = "null" if name is None else name
                raise HourglassError(f"{group}={said}: no such choice; allowed: {', '.join(known)}")


def given(word: str) -> tuple[str, Any]:
    """The key and the one value that a word gives to a configuration that is fixed otherwise, a recorded run's.

    Raises:
        HourglassError: it adds or takes away a key, or has several values; and see `parse`.
    """
    override = parse(word)
    if word[0] in "+~":
        raise HourglassError(f"{word}: a recorded run keeps its keys; a value can change, as in {word.lstrip('+~')}")
    if override.is_sweep_override():
        raise HourglassError(f"{word}: a recorded run takes one value; a list stands in brackets")
    return override.key_or_group, override.value()


def explain(error: Exception) -> str:
    """A composition error of Hydra's in one line, with the nearest names where a name is wrong."""
    from hydra.errors import MissingConfigException, OverrideParseException

    text = " ".join(str(error).split())
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        known = list(choices().get(group, {}))
        if known:
            return f"{group}={name}: no such choice{nearest(name, known)}; allowed: {', '.join(known)}"
    if isinstance(error, OverrideParseException):
        return _unreadable(str(error.override), text)
    if option := hydra_internals.NO_CHOICE.search(text):
        group, name, allowed = option.groups()
        return f"{group}={name}: no such choice{nearest(name, allowed.split())}; allowed: {', '.join(allowed.split())}"
    if several := hydra_internals.SEVERAL_VALUES.search(text):
        key, values = several.groups()
        as_list = f", {shlex.quote(f'{key}=[{values}]')} gives a list" if key not in _ONE_OF else ""
        return f"{key}={values}: one training takes one value; -m trains one model for each{as_list}"
    if there := hydra_internals.KEY_IS_THERE.search(text):
        return f"+{there.group(1)}: this key is there already: leave out the +"
    if unknown := hydra_internals.NO_KEY.search(text):
        return unknown_key(unknown.group(1) or unknown.group(2))
    key = str(getattr(error, "full_key", None) or "")
    text = hydra_internals.DETAILS.sub("", text)
    return f"{key}: {text}" if key and not text.startswith(key) else text


def unknown_key(wrong: str) -> str:
    """That there is no such key, with the choices that have it, or the keys that look like it."""
    if (moved := advice(wrong)) is not None:
        return moved
    if bringing := _bringing(wrong):
        return f"{wrong}: a group that nothing chosen here asks for; {' and '.join(bringing)} does"
    known = _known_keys(tuple((group, *file) for group, files in choice_files().items() for file in files.items()))
    if has := known.get(wrong):
        shown = " and ".join(has if len(has) < 4 else [*has[:2], f"{len(has) - 2} more"])
        swept = f"; in a sweep over them: ++{wrong}=..." if len(has) > 1 else ""
        return f"{wrong}: no such key with what is chosen here; {shown} {'have' if len(has) > 1 else 'has'} it{swept}"
    return f"{wrong}: no such key{nearest(wrong, list(known))}; hourglass train --cfg job shows all"


def _bringing(group: str) -> list[str]:
    """The choices that ask for a choice of another group, as `bottleneck=gaussian` for one of `prior`."""
    import yaml

    found = []
    for above, files in choice_files().items():
        for name, path in files.items() if above != "experiment" else ():
            text = path.read_text(encoding="utf-8", errors="replace")
            held = yaml.safe_load(text) if f"/{group}: " in text else None
            asked = held.get("defaults", []) if isinstance(held, dict) else []
            found += [f"{above}={name}" for each in asked if isinstance(each, dict) and f"/{group}" in each]
    return found


_ONE_OF = (
    *("data", "loss", "bottleneck", "prior", "flow", "condition", "optimizer", "training", "model", "trainer"),
    *("tracking", "sweep"),
    "experiment",
)
"""Groups of which a training has one choice."""


def _unreadable(word: str, said: str) -> str:
    """Why Hydra's grammar can't read a word, with the word as it would be read."""
    key, equals, value = word.partition("=")
    for opened, closed in ("[]", "{}", "()"):
        if value.count(opened) != value.count(closed):
            missing = f"a {opened} and its {closed} don't go together; "
            break
    else:
        missing = "a comma stands without a value; " if value.startswith(",") or value.endswith(",") else ""
    if equals and _is_readable(readable := f"{key}={quoted(value)}"):
        advice = "text with such signs needs quotes, and others that keep them from the shell"
        return f"{word}: {missing}{advice}: {shlex.quote(readable)}"
    reason = said.partition(hydra_internals.AFTER_UNREADABLE)[0]
    return f"{word}: {hydra_internals.BEFORE_UNREADABLE.sub('', reason)}"


def quoted(text: str) -> str:
    """Text as the grammar takes any, in quotes."""
    # Within quotes a backslash stands for itself, but before a quote.
    escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), text)
    return f'"{escaped}"'


def _is_readable(word: str) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        return False
    return True


@cache
def _known_keys(files: tuple[tuple[str, str, Path], ...]) -> dict[str, tuple[str, ...]]:
    """Dotted keys of `config.yaml` and of every choice, each with the choices that have it, as `bottleneck=top_k`.

    Args:
        files: group, name and file of every choice.
    """
    found: dict[str, tuple[str, ...]] = dict.fromkeys(_keys(conf_dir() / "config.yaml", "_global_"), ())
    for group, name, path in files:
        for key in _keys(path, group) if group != "experiment" else ():
            found[key] = (*found.get(key, ()), f"{group}={name}")
    return dict(sorted(found.items()))


def _keys(path: Path, package: str) -> list[str]:
    import yaml

    text = path.read_text(encoding="utf-8", errors="replace")
    stated = re.match(r"# @package (\S+)", text)  # where Hydra puts it, if not below its group
    package = stated.group(1) if stated else package
    prefix = "" if package == "_global_" else f"{package}."
    try:
        held = yaml.safe_load(text)
    except yaml.YAMLError:  # a person's own, of which Hydra says so where it is chosen
        return []
    dotted = [key for key in dotted_keys(held) if not key.startswith(("hydra", "defaults", "_"))]
    return [f"{prefix}{key}" for key in dotted]


def dotted_keys(node: Any) -> list[str]:
    """Every key of a nested mapping, branches and leaves, joined by dots."""
    found: list[str] = []
    for key, value in node.items() if isinstance(node, dict) else ():
        found += [str(key), *(f"{key}.{below}" for below in dotted_keys(value))]
    return found
