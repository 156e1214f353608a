"""Constructors as the schema of the configuration: unknown, missing and wrong values, also behind an unpacked dict."""

from typing import NotRequired, TypedDict, Unpack

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.configuration.schema import MissingKey, arguments_of, check, declared_tensors, located
from hourglass.data import Dataset, SplitsAndTest
from hourglass.noise.process import Process
from hourglass.system.errors import HourglassError


class Shape(TypedDict):
    width: int
    height: NotRequired[float]


class Box:
    def __init__(self, *, name: str, colour: str = "red", **shape: Unpack[Shape]) -> None:
        self.name, self.colour, self.shape = name, colour, shape


def test_the_fields_of_an_unpacked_dict_are_arguments() -> None:
    found = arguments_of(Box)
    assert found.hints == {"name": str, "colour": str, "width": int, "height": float}
    assert found.required == {"name", "width"}
    assert not found.takes_any


def test_other_keywords_are_anything() -> None:
    def noisy(*, seed: int, **processes: float) -> None: ...

    found = arguments_of(noisy)
    assert (found.hints, found.required, found.takes_any) == ({"seed": int}, {"seed"}, True)


TRAININGS = (
    *(
        "adversarial",
        "adversarial_reconstruction",
        "backprop",
        "ciwae",
        "factor",
        "finetune",
        "hamiltonian",
        "importance_weighted",
    ),
    *("layerwise", "miwae", "piwae", "recirculation", "riemannian", "vae_gan"),
)


@pytest.mark.parametrize(
    "group", [f"training={name}" for name in TRAININGS] + ["data=digits", "data=mnist", "data=csv"]
)
def test_mistakes_in_shared_arguments_name_the_full_key(group: str) -> None:
    where = group.partition("=")[0]
    key, kind, wrong = (
        ("epochs", "a whole number", 1.5) if where == "training" else ("order_seed", "a whole number", "x")
    )
    parts = ("model", "noise", "penalties", "loss", "optimizer", "data", "sampler", "schedule", "replicas")
    given = parts if where == "training" else ()
    path = ["data.path=nowhere.csv"] if group == "data=csv" else []
    whole, _ = compose_config([group, *path])

    def problem(change: dict[str, object], *, without: str = "") -> HourglassError:
        config = whole.copy()
        OmegaConf.set_struct(config, False)
        config[where].update(change)
        config[where].pop(without, None)
        with pytest.raises(HourglassError) as caught:
            build(config[where], **dict.fromkeys(given))
        return caught.value

    assert str(problem({key: wrong})) == f"{where}.{key} must be {kind}, got {wrong!r}"
    unknown = str(problem({"sizee": 3}))
    assert unknown.startswith(f"{where}.sizee: no such key; {where} takes ")
    allowed = set(unknown.partition(" takes ")[2].split(", "))
    assert allowed == {str(each) for each in whole[where] if not str(each).startswith("_")}
    missing = problem({}, without=key)
    assert isinstance(missing, MissingKey)
    assert str(missing) == f"{where}.{key} must be given, got nothing: add {where}.{key}=..."
    assert missing.key == f"{where}.{key}"


def test_a_node_that_is_completed_later_may_lack_keys() -> None:
    config, _ = compose_config(["bottleneck=vector_quantized"])
    check(config.model, {"shape"})
    assert build(config.model.bottleneck, code_size=8).code_size == 8


def test_of_other_packages_the_names_are_compared() -> None:
    """Ours are annotated as a schema; theirs say by themselves what is wrong with a value."""

    def problem(node: dict[str, object], given: set[str] | None = None) -> str:
        with pytest.raises(HourglassError) as caught:
            check(OmegaConf.create({"part": node}).part, given or set())
        return str(caught.value)

    linear = {"_target_": "torch.nn.Linear", "in_features": 3, "out_features": 2}
    check(OmegaConf.create({"part": linear}).part, set())
    assert problem({**linear, "out_feature": 3}).startswith(
        "part.out_feature: torch.nn.Linear takes no such key; nearest: out_features"
    )
    assert problem({**linear, "a": 3, "b": 4}).endswith("~part.a ~part.b")
    assert problem({"_target_": "torch.nn.Linear", "in_features": 3}).startswith("part.out_features must be given")
    check(OmegaConf.create({"part": {"_target_": "torch.nn.Linear", "in_features": 3}}).part, {"out_features"})
    check(OmegaConf.create({"part": {"_target_": "torch.nn.Linear", "_args_": [3, 2]}}).part, set())
    check(OmegaConf.create({"part": {"_target_": "builtins.dict", "any": 3}}).part, set())  # written in C


class Others(TypedDict):
    sharp: NotRequired[bool]


class Mine(Process):
    """Below one of our contracts."""

    level: Tensor

    def __init__(
        self,
        *,
        level: float,
        sides: tuple[int, str] = (1, "a"),
        name: str = None,  # type: ignore[assignment]  # noqa: RUF013 - as others write
        part: nn.Module | None = None,
        untyped=3,  # type: ignore[no-untyped-def]
        **others: Unpack[Others],
    ) -> None:
        super().__init__()
        self.level, self.rest = torch.tensor(level), (sides, name, part, untyped, others)


class Wider(Mine):
    """It hands on what it is given."""

    def __init__(self, *, width: int, **others) -> None:  # type: ignore[no-untyped-def]
        super().__init__(**others)
        self.width = width


def source(*, rows: int, **splits: Unpack[SplitsAndTest]) -> Dataset:
    raise AssertionError(f"it is called with {rows} and {splits}")


def anything(*, rows: int) -> int:
    return len(str(rows))


@pytest.mark.parametrize(
    ("name", "node", "problem"),
    [
        ("Mine", {"level": 0.5}, None),
        ("Mine", {"level": 1, "sides": [2, "b"], "name": None, "sharp": True, "untyped": "x"}, None),
        ("Mine", {"level": 1, "part": {"_target_": "torch.nn.Identity"}}, None),
        ("Mine", {"level": "high"}, "part.level must be a number, got 'high'"),
        ("Mine", {"level": None}, "part.level must be a number, got None"),
        ("Mine", {"level": 1, "sides": [2, 3]}, "part.sides must be a list, "),
        ("Mine", {"level": 1, "sides": [2]}, "part.sides must be a list, "),
        ("Mine", {"level": 1, "name": 3}, "part.name must be text or null, got 3"),
        ("Mine", {"level": 1, "sharp": "yes"}, "part.sharp must be true or false, got 'yes'"),
        (
            "Mine",
            {"level": 1, "shrap": True},
            "part.shrap: configuration.test_schema.Mine takes no such key; near",
        ),
        ("Mine", {}, "part.level must be given, got nothing"),
        ("Wider", {"width": 3, "level": 0.5}, None),
        ("Wider", {"width": "x", "level": 0.5}, "part.width must be a whole number, got 'x'"),
        ("Wider", {"width": 3, "leve": 1}, "part: TypeError: "),
        ("source", {"rows": 1.5}, "part.rows must be a whole number, got 1.5"),
        ("source", {"rows": 10, "order_seed": "x"}, "part.order_seed must be a whole number, got 'x'"),
        ("source", {"rows": 10}, "part.validation_size must be given, got nothing"),
        (
            "source",
            {"rows": 10, "row": 1},
            "part.row: configuration.test_schema.source takes no such key; nearest",
        ),
        ("anything", {"rows": "many"}, None),  # no contract of ours: its hints may say less than it takes
    ],
    ids=str,
)
def test_what_keeps_one_of_our_contracts_is_checked_as_ours(
    name: str, node: dict[str, object], problem: str | None
) -> None:
    config = OmegaConf.create({"part": {"_target_": f"{__name__}.{name}", **node}})
    if problem is None:
        assert build(config.part) is not None
        return
    with pytest.raises(HourglassError) as caught:
        build(config.part)
    assert str(caught.value).startswith(problem)


def test_what_others_declare_as_tensors_leaves_it_the_same_program() -> None:
    assert declared_tensors(f"{__name__}.Mine") == {"level"}
    assert declared_tensors("torch.nn.Linear") == declared_tensors("nope.Thing") == declared_tensors("") == frozenset()


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("nope.Thing", "there is no module nope"),
        ("torch.optim.NAdamm", "torch.optim has no NAdamm; nearest: NAdam"),
        ("torch.optm.Adam", "torch has no optm; nearest: optim"),
        ("torch.optim", "must be a class or function, got a module"),
        ("torch", "with its module"),
        ("", "with its module"),
        ("torch..Adam", "with its module"),
        ("torch.optim.Adam; rm", "with its module"),
    ],
)
def test_what_can_not_be_had_says_what_is_missing(target: str, problem: str) -> None:
    with pytest.raises(HourglassError) as caught:
        located(target, "part")
    assert str(caught.value).startswith(f"part._target_={target}")
    assert problem in str(caught.value)


def test_a_named_part_must_be_a_choice() -> None:
    for word, problem in {
        "+noise.frozn=true": "noise.frozn: no such key; noise takes frozen, seed, and choices by name",
        "+regularizer.l1=3": "regularizer.l1: no such key; regularizer takes choices by name",
        "+noise.masking.share=1": "noise.masking has values but was not chosen",
    }.items():
        config, _ = compose_config([word])
        with pytest.raises(HourglassError, match=problem):
            check(config[word[1:].partition(".")[0]], {"bounds", "shape"})
