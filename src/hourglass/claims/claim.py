"""A claim, read from its file.

    claim: Masking a quarter of the pixels makes a code more useful.
    source: Vincent et al., 2008
    words: [data=mnist, trainer=fast, model=multilayer, training.epochs=5]
    arms:
      plain: []
      denoising: [noise=masking, noise.masking.share=0.25]
    metric: test/linear_accuracy
    expect: denoising > plain
    conditions: 784-128-32 on MNIST, 5 epochs

An arm is a list of words, what distinguishes its training; or `of` another arm, whose model is measured anew with
`evaluate` (words of `hourglass evaluate`) or by `measure`, a function of your own.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from hourglass.claims.expectation import Comparison, read_expectation
from hourglass.configuration.composition import check_seed
from hourglass.sweeps.axes import key_of
from hourglass.system.errors import HourglassError, nearest

__all__ = ["FEWEST_SEEDS", "SEEDS", "Arm", "Claim", "read"]

SEEDS = 5
"""Where a claim doesn't say."""
FEWEST_SEEDS = 3
"""Of fewer pairs no interval is worth anything."""
KEYS = (
    *("claim", "source", "question", "words", "arms", "seeds", "metric", "expect", "also", "conditions", "quick"),
    "why_not",
)


class Arm(NamedTuple):
    """What a value of a claim comes from."""

    words: tuple[str, ...] = ()
    """Of a training: what distinguishes it."""
    of: str | None = None
    """The arm whose model is measured."""
    evaluate: tuple[str, ...] | None = None
    """Words of `hourglass evaluate`."""
    measure: dict[str, Any] | None = None
    """A function of one's own: its `_target_` and arguments."""


class Claim(NamedTuple):
    """A claim as its file says it."""

    name: str
    """Of the file."""
    folder: str
    """Where it lies, and its own functions beside it."""
    claim: str
    """The sentence."""
    source: str
    """Who claims it."""
    words: tuple[str, ...] = ()
    """Of all arms."""
    arms: Mapping[str, Arm] = {}
    """By name."""
    seeds: tuple[int, ...] = ()
    metric: str = "test/mse"
    """What an arm's name alone stands for."""
    expect: tuple[Comparison, ...] = ()
    """All must hold."""
    also: tuple[str, ...] = ()
    """Metrics that are shown of each arm that has them, and judge nothing."""
    conditions: str = ""
    """Under which it was tested, in one sentence."""
    quick: tuple[str, ...] = ()
    """Words that make it cheap."""
    why_not: str = ""
    """Why it can't be tested, where it can't."""

    def hurried(self) -> "Claim":
        """The same in a small fraction of the time: fewer seeds, and at most its own `quick` words, or two epochs."""
        quick = self.quick or ("training.epochs=2",)
        most = {key_of(word): word.partition("=")[2] for word in quick}

        def kept(words: Sequence[str]) -> tuple[str, ...]:
            return tuple(word for word in words if not _exceeds(word, most))

        own = kept(self.words)
        less = {key_of(word) for word in own}
        return self._replace(
            words=(*own, *(word for word in quick if key_of(word) not in less)),
            arms={name: arm._replace(words=kept(arm.words)) for name, arm in self.arms.items()},
            seeds=self.seeds[:FEWEST_SEEDS],
        )


def _exceeds(word: str, most: Mapping[str, str]) -> bool:
    """Whether a word says more than the largest value of its key, or what can't be compared with it."""
    key, value = key_of(word), word.partition("=")[2]
    try:
        return key in most and float(value) > float(most[key])
    except ValueError:
        return True


def read(path: Path) -> Claim:
    """Read a file.

    Raises:
        HourglassError: what is wrong with it, in one line that begins with its name.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise HourglassError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise HourglassError(f"{path} must be yaml: {' '.join(str(error).split())}") from error
    try:
        return _claim(path, content)
    except HourglassError as error:
        raise HourglassError(f"{path}: {error}") from error


def _claim(path: Path, content: Any) -> Claim:
    if not isinstance(content, dict):
        raise HourglassError(f"must hold keys and values, {', '.join(KEYS)}")
    for key in content:
        if key not in KEYS:
            raise HourglassError(f"{key}: no such key{nearest(str(key), list(KEYS))}; a claim has {', '.join(KEYS)}")
    sentence = _text(content, "claim", needed=True)
    name, folder = path.stem, str(path.absolute().parent)
    source, why_not = _text(content, "source"), _text(content, "why_not")
    if why_not:
        return Claim(name, folder, sentence, source, why_not=why_not)
    given = content.get("arms")
    if not isinstance(given, dict) or not given:
        raise HourglassError("arms must hold at least one arm by its name, or why_not say why there is none")
    arms = {str(arm): _arm(str(arm), node, given) for arm, node in given.items()}
    metric = _text(content, "metric") or "test/mse"
    expected = content.get("expect")
    if expected is None:
        raise HourglassError("expect must be given: what the arms are expected to be, as plain < denoising")
    expected = expected if isinstance(expected, list) else [expected]
    return Claim(
        name,
        folder,
        sentence,
        source,
        words=_words(content.get("words", []), "words"),
        arms=arms,
        seeds=_seeds(content.get("seeds", SEEDS)),
        metric=metric,
        expect=tuple(each for text in expected for each in read_expectation(text, arms=list(arms), metric=metric)),
        also=_metrics(content.get("also", [])),
        conditions=_text(content, "conditions"),
        quick=_words(content.get("quick", []), "quick"),
    )


def _text(content: Mapping[str, Any], key: str, *, needed: bool = False) -> str:
    value = content.get(key)
    if value is None and not needed:
        return ""
    if not isinstance(value, str | int | float) or isinstance(value, bool) or not str(value).strip():
        raise HourglassError(f"{key} must be text, got {value!r}")
    return " ".join(str(value).split())


def _metrics(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(metric, str) and metric.strip() for metric in value):
        raise HourglassError(f"also must be a list of metrics, as [fit/dead_units], got {value!r}")
    return tuple(dict.fromkeys(value))


def _words(value: Any, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise HourglassError(f"{key} must be a list of words as of hourglass train, got {value!r}")
    for word in value:
        if "=" not in word and not word.startswith("~"):
            raise HourglassError(f"{key}: {word} must be KEY=VALUE")
        if word.partition("=")[0].lstrip("+") in ("seed", "study", "name"):
            raise HourglassError(f"{key}: {word}: seeds, names and the study are the claim's own; set seeds")
    return tuple(value)


def _seeds(value: Any) -> tuple[int, ...]:
    seeds = list(range(value)) if type(value) is int else value
    if not isinstance(seeds, list) or len(set(map(str, seeds))) != len(seeds) or len(seeds) < FEWEST_SEEDS:
        raise HourglassError(f"seeds must be a number from {FEWEST_SEEDS}, or a list of so many, got {value!r}")
    for seed in seeds:
        check_seed(seed)
    return tuple(seeds)


def _arm(name: str, node: Any, arms: Mapping[Any, Any]) -> Arm:
    where = f"arms.{name}"
    if not name.isidentifier():
        raise HourglassError(f"{where}: a name must be made of letters, digits and _, got {name!r}")
    if isinstance(node, list) or node is None:
        return Arm(words=_words(node or [], where))
    keys = ("of", "evaluate", "measure")
    if not isinstance(node, dict) or not node or not set(node) <= set(keys):
        raise HourglassError(f"{where} must be a list of words, or hold {', '.join(keys)}, got {node!r}")
    of, measure = node.get("of"), node.get("measure")
    if ("evaluate" in node) == ("measure" in node):
        raise HourglassError(f"{where} must have one of evaluate and measure")
    if of is None and "evaluate" in node:
        raise HourglassError(f"{where}.of must name the arm whose model is measured")
    if of is not None and not (of in arms and isinstance(arms[of], list | None)):
        trained = [str(arm) for arm, other in arms.items() if isinstance(other, list | None)]
        raise HourglassError(f"{where}.of must be an arm that is trained, one of {', '.join(trained)}, got {of}")
    if "measure" in node and not (isinstance(measure, dict) and isinstance(measure.get("_target_"), str)):
        raise HourglassError(f"{where}.measure must have a _target_, a function by its module, got {measure!r}")
    return Arm(
        of=of,
        evaluate=_words(node["evaluate"] or [], f"{where}.evaluate") if "evaluate" in node else None,
        measure=dict(measure) if measure is not None else None,
    )


def check_names(claims: Sequence[Claim]) -> None:
    """HourglassError where two claims of a page have one name."""
    names = [claim.name for claim in claims]
    for name in names:
        if names.count(name) > 1:
            raise HourglassError(f"claims of a page must have names of their own, got {name}.yaml twice")
