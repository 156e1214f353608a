"""What a recorded configuration may make: it is a stranger's text, and Hydra imports and calls whatever it names.

A run lies where others can write: on a shared server, in a database that was sent by mail. So nothing in its
`config.yaml` is imported, called or resolved before all of it was compared with a table,

    place in the configuration   ->   the names that may stand there
    model.bottleneck                  hourglass.bottlenecks.TopK, hourglass.bottlenecks.Gaussian, ...
    noise.*                           hourglass.noise.Masking, ...

which is read from the yaml files of this installation, not from a person's own, since a folder `conf/` may have come
along with the runs: exact names, each only where ours has its kind. Names below a package of one's own are taken where
the person at this machine names that package, in `HOURGLASS_TRUST` or `trust=`. What a person writes on the command
line or in yaml files is theirs and is not asked about.
"""

import importlib
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from hourglass.configuration.current_folder import import_top
from hourglass.configuration.groups import conf_dir
from hourglass.configuration.identity import callbacks_of_others
from hourglass.configuration.moved import modern
from hourglass.configuration.plain_yaml import check_plain, joined, short
from hourglass.system.errors import HourglassError, reason

if TYPE_CHECKING:
    from omegaconf import DictConfig

VARIABLE = "HOURGLASS_TRUST"
MISSING = "???"
"""What stands in a yaml for a name that a person has to give."""

ONLY_TRAINING = ("callbacks", "profiler", "plugins")
"""Keys of the trainer whose objects a trained model is used and measured without."""

GROUPS = (
    *("data", "model", "noise", "regularizer", "loss", "optimizer", "training", "trainer", "tracking", "sampler"),
    *("schedule", "condition"),
)
"""What every configuration holds, each made of a `_target_`."""

BESIDES = {
    "optimizer": {
        f"torch.optim.{name}"
        for name in ("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD", "NAdam", "RAdam")
    }
    | {"torch.optim.RMSprop", "torch.optim.Rprop", "torch.optim.SGD"},
    "schedule": {
        f"torch.optim.lr_scheduler.{name}"
        for name in (
            "CosineAnnealingWarmRestarts",
            "CyclicLR",
            "ExponentialLR",
            "LinearLR",
            "MultiStepLR",
            "PolynomialLR",
        )
    },
    "data": {"hourglass.data.corrupted"},  # of `mnist_corrupted`, before it had a function of its own
    # Says why it can't be built; it builds nothing.
    "model.encoder": {"hourglass.models.modules.given"},
    "model.decoder": {"hourglass.models.modules.given"},
    "data.source": {"hourglass.data.mnist"},
}
"""By place, names that `conf/` does not hold but a record may: chosen in words, or of earlier versions (see also
`moved`)."""

_SPECIAL = {"_target_", "_partial_"}
_SPECIAL_OF_OWN = {*_SPECIAL, "_args_", "_convert_", "_recursive_"}  # what else Hydra knows
_NAMES = ("noise", "regularizer", "callback")  # groups whose parts have names that a person gives them
_LIBRARIES = {"hourglass", "hydra", "hydra_plugins", "omegaconf", "torch", "torchvision", "pytorch_lightning", "mlflow"}
_LIBRARIES |= {"numpy", "scipy", "sklearn", "skimage", "pandas", "PIL", "optuna", "ray", "yaml", "psutil", "builtins"}
_PARTS = re.compile(r"(torch\.(nn|optim)|torchvision\.datasets|pytorch_lightning\.callbacks)\.([a-z_]+\.)*[A-Z]\w*")
# of libraries, harmless


class Record(Protocol):
    """A run, as far as its configuration goes."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def name(self) -> str:
        """Its name."""

    def read_config(self) -> dict[Any, Any]:
        """Its `config.yaml`, as plain values."""


def recorded(run: Record, *, trust: Sequence[str] = (), training: bool = False) -> "DictConfig":
    """The configuration of a run, once it is known to name only what it may.

    Args:
        run: whose `config.yaml` is read.
        trust: packages that it may take classes from besides those that `HOURGLASS_TRUST` names.
        training: whether its training goes on. Else what only that builds, callbacks of the trainer, is left out.

    Raises:
        HourglassError: anything in it that Hourglass does not write, in one line that says where it stands.
    """
    from omegaconf import OmegaConf

    config = modern(run.read_config())
    if not training:
        config["callback"] = {
            name: node for name, node in config["callback"].items() if name not in callbacks_of_others(config)
        }
    if not training and isinstance(config.get("trainer"), dict):
        config["trainer"] = {key: value for key, value in config["trainer"].items() if key not in ONLY_TRAINING}
    if not training and isinstance(config.get("data"), dict):
        config["data"] = _without_others(config["data"], trusted(trust))
    check(config, of=f"run {run.name} ({run.id})", trust=trust)
    return OmegaConf.create(config)


def _without_others(data: dict[Any, Any], trust: Sequence[str]) -> dict[Any, Any]:
    """The node of the data without data sets of others that the person didn't name: a model is used without them."""

    def named(node: Any) -> bool:
        return not isinstance(node, dict) or all(
            _within(str(value), trust) if key == "_target_" else named(value) for key, value in node.items()
        )

    held = data.get("_target_") == "hourglass.data.torch_dataset"
    return {key: value if not held or named(value) else None for key, value in data.items()}


def check(config: Mapping[Any, Any], *, of: str, trust: Sequence[str] = ()) -> None:
    """Compare a recorded configuration, plain values as they were read, with what it may hold.

    Args:
        config: the whole configuration.
        of: names its run in errors.
        trust: see `recorded`.

    Raises:
        HourglassError: see `recorded`.
    """
    named = trusted(trust)
    try:
        check_plain(config, "")
        targets = list(_targets(config, "", "", named))
        for group in GROUPS:
            node = config.get(group)
            if not isinstance(node, dict) or "_target_" not in node:
                raise HourglassError(f"{group} must be there and say its _target_")
        _check_trainer(config["trainer"])
        for key, target in targets:  # imported only now that all of it has been looked at
            _check_origin(key, target, named)
    except HourglassError as error:
        raise HourglassError(f"the config.yaml of {of} is refused: {error}") from error


def trusts(target: str, trust: Sequence[str] = ()) -> bool:
    """Whether a name lies in a package that the person named."""
    return _within(target, trusted(trust))


def trusted(more: Sequence[str] = ()) -> tuple[str, ...]:
    """The packages that the person at this machine named.

    Args:
        more: besides those of the environment.

    Raises:
        HourglassError: something that can't be the name of a package.
    """
    several = [more] if isinstance(more, str) else more
    named = tuple(name.strip() for part in (os.environ.get(VARIABLE, ""), *several) for name in part.split(","))
    for name in filter(None, named):
        if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", name):
            raise HourglassError(f"{VARIABLE} must name packages, as mypkg or mypkg.models,others, got {name!r}")
    return tuple(filter(None, named))


def check_recordable(config: Mapping[Any, Any]) -> None:
    """Refuse, before a training, what could not be read from its record again.

    Args:
        config: the whole configuration, resolved.

    Raises:
        HourglassError: a text that would be resolved, a number or a name that is none.
    """
    check_plain(config, "")
    _check_trainer(config.get("trainer"))


@cache
def allowed() -> Mapping[str, set[str]]:
    """By place, the names that may stand there; `*` is any name: `model`, `model.bottleneck`, `noise.*`, ..."""
    found: dict[str, set[str]] = defaultdict(set)
    root = conf_dir()
    for file in (root / "config.yaml", *sorted(root.glob("*/*.yaml"))):
        if file.parent.name == "experiment":  # chooses among what the groups hold
            continue
        text = file.read_text(encoding="utf-8")
        stated = re.match(r"# @package (\S+)", text)  # where Hydra puts it, if not below its group
        package = stated.group(1) if stated else "_global_" if file.parent == root else file.parent.name
        held = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, in C where there is one
        for place, target in _listed(held, "" if package == "_global_" else package):
            if not place.startswith("hydra.") and target != MISSING:  # Hydra's own part is not recorded
                found[place].add(target)
    found["data.noise.*"] |= found["noise.*"]
    for place, targets in BESIDES.items():
        found[place] |= targets
    return dict(found)


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _listed(node: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every `_target_` of one of our own yaml files, with its place."""
    for name, value in node.items() if isinstance(node, dict) else ():
        if name == "_target_":
            yield place, value
        else:
            yield from _listed(value, _below(place, name, value))


def _below(place: str, name: Any, value: Any) -> str:
    named = isinstance(value, dict) and place.rpartition(".")[2] in _NAMES
    return f"{place}.{'*' if named else name}".removeprefix(".")


def _targets(node: Any, place: str, key: str, trust: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The key and the name of every `_target_` that is taken on trust; HourglassError for one that may not be there."""
    if isinstance(node, dict):
        own = "_target_" in node and _check_target(node["_target_"], place, joined(key, "_target_"), trust)
        special = _SPECIAL_OF_OWN if own else _SPECIAL if "_target_" in node else set()
        if own:
            yield joined(key, "_target_"), node["_target_"]
        for name, value in node.items():
            if str(name).startswith("_") and name not in special:
                raise HourglassError(f"{joined(key, name)} may not be there, got {short(value)}")
            if name != "_target_":
                yield from _targets(value, _below(place, name, value), joined(key, name), trust)
        if not isinstance(node.get("_partial_", True), bool):
            raise HourglassError(f"{joined(key, '_partial_')} must be true or false, got {short(node['_partial_'])}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _targets(value, f"{place}.[]", f"{key}[{number}]", trust)


def _check_target(target: Any, place: str, key: str, trust: Sequence[str]) -> bool:
    """Whether a name is one that the person trusts, else one of ours; HourglassError where it is neither."""
    if isinstance(target, str):
        if target in allowed().get(place, ()):
            return False
        if _within(target, trust):
            return True
    ours = ", ".join(sorted(allowed().get(place, ())))
    raise HourglassError(
        f"{key} is {short(target)}, allowed {f'are {ours}' if ours else 'is none there'}{_hint(target)}"
    )


def _hint(target: Any) -> str:
    """How to let a name in, where a person may have chosen it; a command for a part of a model gets no such advice."""
    package = target.partition(".")[0] if isinstance(target, str) else ""
    if isinstance(target, str) and _PARTS.fullmatch(target):
        package = target
    elif not package.isidentifier() or package in _LIBRARIES or package in sys.stdlib_module_names:
        return ""
    return f"; if {package} is something that you know and trust, say so: {VARIABLE}={package}, or trust=({package!r},)"


def _check_trainer(node: Any) -> None:
    if isinstance(node, dict) and node.get("default_root_dir") is not None:
        raise HourglassError(
            f"trainer.default_root_dir must be null, since a run keeps its files itself, got"
            f" {short(node['default_root_dir'])}"
        )


def _check_origin(key: str, target: str, trust: Sequence[str]) -> None:
    """A name below a trusted package must lead to what that package defines, and not to what its modules imported."""
    if target in trust:
        return
    names = target.split(".")
    try:
        found: Any = import_top(names[0])
        for number, name in enumerate(names[1:], 2):
            if hasattr(found, "__path__") and not hasattr(found, name):
                importlib.import_module(".".join(names[:number]))
            found = getattr(found, name)
            if isinstance(found, ModuleType) and not _within(found.__name__, trust):
                break
    except Exception as error:
        raise HourglassError(f"{key} is {short(target)}, which can't be imported here: {reason(error)}") from error
    home = str(getattr(found, "__module__", ""))
    if not isinstance(found, type | FunctionType) or not _within(home, trust):
        raise HourglassError(f"{key} is {short(target)}, which is no class or function of a package in {VARIABLE}")


def _within(name: str, packages: Sequence[str]) -> bool:
    return any(f"{name}.".startswith(f"{each}.") for each in packages)
