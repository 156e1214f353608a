"""Flags anywhere among the words, in the order that Hydra wants them."""

import pytest
from hydra._internal.utils import get_args_parser

from hourglass.commands.flags import ALLOWED, PLAIN, WITH_VALUE, arranged
from hourglass.system.errors import HourglassError


@pytest.mark.parametrize(
    ("words", "ordered"),
    [
        ("data=digits -m seed=0,1", "--multirun data=digits seed=0,1"),
        ("--cfg job model=conv", "--cfg=job model=conv"),
        ("model=conv -c job data=digits --resolve ~name", "--cfg=job --resolve model=conv data=digits ~name"),
        ("model=conv --cfg=job", "--cfg=job model=conv"),
        ("--info model=conv", "--info=all model=conv"),
        ("seed=1 -cd my/conf -h", "--config-dir=my/conf --help seed=1"),
        ("model.code_size=-3", "model.code_size=-3"),
        ("resume=12e456", "resume='12e456'"),
        ("start=1e9999 resume=1a2b3c", "start='1e9999' resume=1a2b3c"),
        ("", ""),
    ],
)
def test_flags_come_first(words: str, ordered: str) -> None:
    assert arranged(words.split()) == ordered.split()
    get_args_parser().parse_args(ordered.split())  # which ends the process where it can't be read


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("--seed=3", "--seed=3: no such flag; a key has no dashes: seed=3"),
        ("--cgf job", "--cgf: no such flag; nearest: --cfg"),
        ("-x", "-x: no such flag"),
        ("--experimental-rerun job.pickle", "no such flag"),
        ("--cfg model=conv", "--cfg must be one of job, hydra, all, got model=conv"),
        ("-c", "-c must be one of job, hydra, all, got nothing"),
        ("--config-dir", "--config-dir must have a value"),
        ("-m seed=0,1 --cfg job", "--cfg shows the configuration of one training: leave out -m"),
        ("--info --cfg job", "--cfg and --info don't go together"),
        ("--resolve model=conv", "--resolve goes with --cfg job"),
        ("seed", "seed must have a value"),
        ("seed =1", "seed must have a value"),
        ("=1", "'=1' is no KEY=VALUE"),
        ("model=3", "model=3: no such choice"),
        ("-m model=3,conv", "model=3: no such choice"),
    ],
)
def test_what_makes_no_sense_is_refused(words: str, problem: str) -> None:
    with pytest.raises(HourglassError) as caught:
        arranged(words.split())
    assert problem in str(caught.value)


def test_there_is_no_space_around_the_equals_sign() -> None:
    with pytest.raises(HourglassError, match="write seed=1"):
        arranged(["seed = 1"])
    with pytest.raises(HourglassError, match="'' is no KEY=VALUE"):
        arranged([""])


def test_they_are_those_of_hydra() -> None:
    """An upgrade that brings or takes flags shows here."""
    parser = get_args_parser()
    known = {option: action for action in parser._actions for option in action.option_strings}
    others = {"--version", "--shell-completion", "-sc", "--experimental-rerun"}
    assert set(known) - others == {*PLAIN, *WITH_VALUE}
    for short, long in {**PLAIN, **WITH_VALUE}.items():
        assert known[short] is known[long]
        assert (known[long].nargs == 0) == (short in PLAIN)
    for flag, values in ALLOWED.items():
        assert tuple(known[flag].choices or ()) == values
