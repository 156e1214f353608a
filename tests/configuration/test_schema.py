"""Constructors as the schema of the configuration: unknown, missing and wrong values, also behind an unpacked dict."""

from typing import NotRequired, TypedDict, Unpack

import pytest
from omegaconf import OmegaConf

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.configuration.schema import MissingKey, arguments_of, check, located
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


TRAININGS = ("adversarial", "backprop", "finetune", "importance_weighted", "layerwise", "recirculation")


@pytest.mark.parametrize(
    "group", [f"training={name}" for name in TRAININGS] + ["data=digits", "data=mnist", "data=csv"]
)
def test_mistakes_in_shared_arguments_name_the_full_key(group: str) -> None:
    where = group.partition("=")[0]
    key, kind, wrong = (
        ("epochs", "a whole number", 1.5) if where == "training" else ("order_seed", "a whole number", "x")
    )
    given = ("model", "noise", "penalties", "loss", "optimizer", "data", "sampler") if where == "training" else ()
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
