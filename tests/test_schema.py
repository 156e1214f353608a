"""Constructors as the schema of the configuration: unknown, missing and wrong values, also behind an unpacked dict."""

from typing import NotRequired, TypedDict, Unpack

import pytest
from omegaconf import OmegaConf

from hourglass.config import build, compose_config
from hourglass.errors import HourglassError
from hourglass.schema import MissingKey, arguments_of, check


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
    given = ("model", "noise", "penalties", "loss", "optimizer", "data") if where == "training" else ()
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
