"""What a person writes: one grammar, and every mistake in one line that says what to write instead."""

import shlex

import pytest
from omegaconf import OmegaConf

from hourglass.configuration.composition import check_top, compose_config, update
from hourglass.configuration.groups import choices, top_keys
from hourglass.configuration.overrides import explain, parse, unknown_key
from hourglass.system.errors import HourglassError


def recorded() -> OmegaConf:
    return OmegaConf.create(
        {"seed": 0, "name": None, "noise": {"masking": {"share": 0.5, "seed": 1}}, "model": {"widths": [8, 4]}}
    )


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("noise.masking.share=1e-3", "noise.masking.share", 1e-3),
        ("seed=3", "seed", 3),
        ("name=yes", "name", "yes"),
        ("name=null", "name", None),
        ("name=true", "name", True),
        ("name='\"a, b\"'", "name", '"a, b"'),
        ('name="Übung 1"', "name", "Übung 1"),
        ("model.widths=[3,2,1]", "model.widths", [3, 2, 1]),
        ("noise.masking={share: 0.1}", "noise.masking", {"share": 0.1, "seed": 1}),
        ("noise.masking.share=${seed}", "noise.masking.share", 0),
    ],
)
def test_a_recorded_configuration_takes_values_in_hydras_grammar(word: str, key: str, value: object) -> None:
    config = recorded()
    update(config, [word])
    assert OmegaConf.select(config, key) == value
    assert "${" not in OmegaConf.to_yaml(config)


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        (
            "noise.masking.shar=1",
            "noise.masking.shar: no such key in the run's configuration; nearest: noise.masking.sh",
        ),
        ("+seed=1", "+seed=1: a recorded run keeps its keys"),
        ("~seed", "~seed: a recorded run keeps its keys"),
        ("seed=1,2", "seed=1,2: a recorded run takes one value"),
        ("seed", "seed must have a value"),
        ("=3", "'=3' is no KEY=VALUE"),
        ("model.widths=[3", "model.widths=[3: a [ and its ] don't go together"),
        ("noise.masking={colour: red}", "noise.masking.colour: no such key"),
        ("seed=${nope}", "Interpolation key 'nope' not found"),
        ("seed=${oc.env:NO_SUCH_VARIABLE}", "NO_SUCH_VARIABLE"),
        ("name=Übung", "'name=\"Übung\"'"),
    ],
)
def test_and_refuses_the_rest_in_one_line(word: str, problem: str) -> None:
    config = recorded()
    with pytest.raises(HourglassError) as caught:
        update(config, [word])
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["Übung", "it's", 'say "x', "a:b=c", "a(b", "back\\slash=", "end=\\", "50%; rm", "日本"]
)
def test_what_needs_quotes_is_shown_with_them_and_then_works(text: str) -> None:
    with pytest.raises(HourglassError) as caught:
        parse(f"name={text}")
    (advised,) = shlex.split(str(caught.value).rpartition("from the shell: ")[2])
    assert parse(advised).value() == text


def test_a_key_of_another_choice_is_said_to_be_there() -> None:
    assert "bottleneck=batch_top_k and bottleneck=top_k have it" in unknown_key("model.bottleneck.k")
    assert "noise=masking has it" in unknown_key("noise.masking.share")
    assert f"{len(choices()['data']) - 2} more have it" in unknown_key("data.order_seed")
    assert "nearest: model.code_size" in unknown_key("model.codesize")
    with pytest.raises(HourglassError, match="bottleneck=top_k"):
        compose_config(["model.bottleneck.k=5"])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["model=3"], "model=3: no such choice; allowed: conv"),
        (["model=null"], "model=null: no such choice"),
        (
            ["noise=masking,gaussian"],
            "noise=masking,gaussian: one training takes one value; -m trains one model for each",
        ),
        (["model=conv,pca"], "model=conv,pca: one training takes one value"),
        (["+seed=1"], "+seed: this key is there already"),
    ],
)
def test_compositions_that_fail_say_why_in_one_line(words: list[str], problem: str) -> None:
    with pytest.raises(HourglassError) as caught:
        compose_config(words)
    assert str(caught.value).startswith(problem)
    assert "\n" not in str(caught.value)


def test_keys_at_the_top_are_read_by_somebody() -> None:
    assert {"seed", "name", "study", "resume", "start", "data", "model", "noise", "trainer", "sweep"} <= set(top_keys())
    check_top(compose_config([])[0])
    check_top(compose_config(["+side=8", "model.code_size=${side}"])[0])  # read by another value
    for words, problem in (
        (["+callbacks=[]"], "callbacks: no such key; nearest: callback; nothing reads it"),
        (["+seeed=1"], "seeed: no such key; nearest: seed"),
        (["+scheduler.name=cosine"], "scheduler: no such key"),
        (["+model_size=8"], "model_size: no such key"),
        (["~seed"], "seed must be there"),
        (["~optimizer"], "optimizer must be there"),
        (["resume="], "resume must be text or null, got ''"),
    ):
        with pytest.raises(HourglassError, match=problem):
            check_top(compose_config(words)[0])


def test_the_text_of_other_errors_stays() -> None:
    assert explain(ValueError("a\n b")) == "a b"
