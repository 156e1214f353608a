"""Finetune: the terms by hand, what learns and what stays, and what a run keeps of it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from hourglass.commands.train import resumed
from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import Parts, compose
from hourglass.pipeline.evaluate import evaluate
from hourglass.pipeline.train import train
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run
from hourglass.training import Head

SMALL = (
    "data=digits",
    "model.code_size=16",
    "training.batch_size=128",
    "training.epochs=2",
    "training.log_every_n_steps=1",
    "optimizer.lr=0.01",
    "trainer.accelerator=cpu",
    "callback=quick",
)
FINETUNE = (*SMALL, "training=finetune")


def make(*overrides: str) -> Parts:
    torch.manual_seed(0)
    return compose(compose_config([*FINETUNE, *overrides])[0])


def weights(parts: Parts) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in parts.learner.state_dict().items()}


def run_training(uri: str, folder: Path, *overrides: str, resume: str | None = None) -> tuple[Run, Parts]:
    whole, choices = compose_config([*overrides, f"tracking.uri={uri}"])
    if resume is not None:
        whole.resume = resume
        whole = resumed(whole, [f"resume={resume}", *(word for word in overrides if word not in FINETUNE)])
    result = train(whole, choices=choices, folder=folder)
    return result.run, result.parts


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture(scope="module")
def pretrained(uri: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Parts]:
    return run_training(uri, tmp_path_factory.mktemp("folder"), *SMALL, "name=pretrained")


# -- what penalties are given ----------------------------------------------------------------------------------------


def test_penalties_see_what_is_missing_filled_in(tmp_path: Path) -> None:
    """As in every other procedure: the clean input, of which NaN stands for nothing."""
    rows = [f"{'' if n % 4 == 0 else n % 7},{n % 5},{n % 3},{'ab'[n % 2]}" for n in range(80)]
    (tmp_path / "table.csv").write_text("\n".join(["u,v,w,kind", *rows]))
    words = ["data=csv", f"data.path={tmp_path}/table.csv", "data.label_column=kind", "data.missing=mask"]
    words += ["model.code_size=2", "model.bottleneck.activation=sigmoid", "training=finetune"]
    words += ["regularizer=contractive"]
    learner = compose(compose_config(words)[0]).learner
    x = learner.data.target(learner.data.train.x[:16])
    filled = learner.data.filled(x)
    assert x.isnan().any()
    _, terms = learner.terms(x, filled, learner.data.train.y[:16])
    expected = learner.model.squared_jacobian(filled).mean().item()
    assert terms["contractive"].value.item() == pytest.approx(expected)


def test_penalties_that_compare_are_given_the_target() -> None:
    learner = make("regularizer=matryoshka", "bottleneck=relu").learner
    given = []
    learner.penalties.register_forward_hook(lambda *each: given.append(each[2]), with_kwargs=True)
    x = torch.rand(4, 1, 8, 8)
    learner.terms(x, x, torch.tensor([3, 3, 3, 5]))
    assert given[0]["target"] is x


# -- the mathematics -------------------------------------------------------------------------------------------------


def test_a_head_by_hand() -> None:
    head = Head(sizes=[2, 1, 2])
    with torch.no_grad():
        for weight, value in zip(head.parameters(), ([[1.0, -1.0]], [0.5], [[2.0], [-1.0]], [0.0, 1.0]), strict=True):
            weight.copy_(torch.tensor(value))
    # (3, 1): 3 - 1 + .5 = 2.5, logits 5 and -2.5 + 1;  (0, 1): -.5, cut to 0, logits 0 and 1
    assert head(torch.tensor([[3.0, 1.0], [0.0, 1.0]])).tolist() == [[5.0, -1.5], [0.0, 1.0]]


def test_cross_entropy_accuracy_and_error() -> None:
    learner = make().learner
    with torch.no_grad():
        for weight in learner.classifier.parameters():
            weight.zero_()
        learner.classifier[0].bias[3] = 2.0  # class 3 for everything: p = e^2 / (e^2 + 9) = .4508, others .06101
    x, y = torch.rand(4, 1, 8, 8), torch.tensor([3, 3, 3, 5])
    output, terms = learner.terms(x, x, y)
    assert list(terms) == ["classification"]
    # -(3 ln .4508 + ln .06101) / 4 = (3 * .7967 + 2.7967) / 4
    assert terms["classification"].value.item() == pytest.approx(1.2967, abs=1e-4)
    assert {name: score.item() for name, score in learner.scores(output, x, y).items()} == {
        "accuracy": 0.75,
        "error": 0.25,
    }


@pytest.mark.parametrize("head", ["[]", "[20,10]"])
@pytest.mark.parametrize("frozen", ["true", "false"])
def test_what_learns_and_what_stays(frozen: str, head: str) -> None:
    # This code counts its units' idle steps while it learns: a frozen one mustn't.
    config, _ = compose_config(
        [*FINETUNE, f"training.frozen={frozen}", f"training.head_widths={head}", "bottleneck=top_k"]
    )
    parts = compose(config)
    before = weights(parts)
    build(config.trainer, logger=False).fit(parts.learner)
    moved = {
        name.split(".")[1] if name.startswith("model.") else "head"
        for name, value in weights(parts).items()
        if not torch.equal(value, before[name])
    }
    assert moved - {"bottleneck"} == ({"head"} if frozen == "true" else {"head", "encoder"})
    assert "bottleneck" not in moved or frozen == "false"
    assert len(parts.learner.classifier) == (1 if head == "[]" else 5)


def test_it_learns_the_classes() -> None:
    config, _ = compose_config([*FINETUNE, "training.frozen=false", "training.epochs=15"])
    torch.manual_seed(0)
    parts = compose(config)
    trainer = build(config.trainer, logger=False)
    trainer.fit(parts.learner)
    assert trainer.callback_metrics["val/accuracy"] > 0.9
    assert trainer.callback_metrics["val/error"] == pytest.approx(1 - trainer.callback_metrics["val/accuracy"])


# -- runs ------------------------------------------------------------------------------------------------------------


def test_a_start_gives_the_weights_of_its_run(uri: str, pretrained: tuple[Run, Parts], tmp_path: Path) -> None:
    run, parts = run_training(uri, tmp_path, *FINETUNE, "start=pretrained")
    theirs = pretrained[1].model.state_dict()
    for name, value in parts.model.state_dict().items():  # frozen, and decoders stay anyway
        assert torch.equal(value, theirs[name]), name
    for key in ("mse", "psnr", "explained_variance"):
        assert run.metrics[f"test/{key}"] == pytest.approx(pretrained[0].metrics[f"test/{key}"])

    # What the run keeps: the classifier, which any measurement of the run uses.
    assert run.load_weights("classifier.safetensors").keys() == parts.learner.classifier.state_dict().keys()
    _, measured = evaluate(run.id, [], uri=uri)
    for key in ("accuracy", "classification", "mse"):
        assert measured[f"test/{key}"] == pytest.approx(run.metrics[f"test/{key}"])


def test_any_training_can_start_from_a_run(uri: str, pretrained: tuple[Run, Parts]) -> None:
    parts = compose(compose_config([*SMALL, "noise=masking", f"start={pretrained[0].id}", f"tracking.uri={uri}"])[0])
    for name, value in parts.model.state_dict().items():
        assert torch.equal(value, pretrained[1].model.state_dict()[name])


@pytest.mark.usefixtures("pretrained")
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["start=nowhere"], r"^start: run 'nowhere' is not in sqlite"),
        (["start=pretrained", "model.code_size=8"], r"^start=pretrained: model\.code_size must be 16, .*, got 8$"),
        (["start=pretrained", "model.bottleneck.activation=tanh"], r"model\.bottleneck\.activation must be linear"),
        (["start=pretrained", "data=wine", "model.output_activation=sigmoid"], r"model\.shape must be \(1, 8, 8\)"),
    ],
)
def test_a_start_from_another_model_is_refused(uri: str, overrides: list[str], message: str) -> None:
    with pytest.raises(HourglassError, match=message):
        make(*overrides, f"tracking.uri={uri}")


def test_resumed_training_is_the_undisturbed_one(uri: str, pretrained: tuple[Run, Parts], tmp_path: Path) -> None:
    given = (*FINETUNE, "training.frozen=false", f"start={pretrained[0].id}", "noise=masking")
    straight, whole = run_training(uri, tmp_path, *given, "training.epochs=4")
    first, _ = run_training(uri, tmp_path, *given)
    torch.rand(100)
    second, parts = run_training(uri, tmp_path, *FINETUNE, "training.epochs=4", resume=first.id)
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(parts)[name]), name
    for key in ("train/classification", "val/accuracy"):
        assert second.history(key) == straight.history(key)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=purchases"], r"a classifier needs labels, and data=purchases has none"),
        (["training.head_widths=[8,0]"], r"training\.head_widths must be at least 1, got \[8, 0\]"),
    ],
)
def test_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(HourglassError, match=message):
        make(*overrides)
