"""What is measured outside training: terms as trained, scores of the code in use, what the best epoch goes by."""

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.losses import logged
from hourglass.pipeline.compose import Parts, compose
from hourglass.training import Learner

SMALL = (
    *("data=digits", "data.train_size=1000", "model=multilayer", "model.widths=[32]", "model.code_size=8"),
    *("training.batch_size=40", "training.epochs=2", "trainer.accelerator=cpu"),
)


def trained(*overrides: str) -> tuple[Parts, dict[str, float]]:
    """A training, and what is measured of the last epoch."""
    config, _ = compose_config([*SMALL, "training.keep=last", *overrides])
    pl.seed_everything(0, verbose=False)
    parts = compose(config)
    trainer = build(config.trainer, logger=False)
    trainer.fit(parts.learner)
    return parts, {name: value.item() for name, value in trainer.callback_metrics.items()}


def validation(parts: Parts) -> tuple[Tensor, Tensor | None]:
    return parts.data.scaled(parts.data.validation.x), parts.data.validation.y


def terms_of_blocks(learner: Learner, x: Tensor, count: int) -> list[dict[str, Tensor]]:
    """The terms of so many parts of x, one of its whole output each."""
    learner.eval()
    with torch.no_grad():
        outputs = [(learner.model(block), block) for block in x.tensor_split(count)]
        return [logged(learner.terms_of(output, block, None)) for output, block in outputs]


# -- terms that compare the samples of a batch ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("regularizer=decorrelation", "model.bottleneck.activation=linear"),
        ("regularizer=kl_sparsity", "model.bottleneck.activation=sigmoid"),
        ("bottleneck=lookup_free",),
    ],
    ids=["decorrelation", "kl_sparsity", "codebook_entropy"],
)
def test_they_are_of_batches_of_about_the_trainings_size(words: tuple[str, ...]) -> None:
    parts, measured = trained(*words)
    x, _ = validation(parts)
    name = next(each for each in ("decorrelation", "kl_sparsity", "codebook_entropy") if f"val/{each}" in measured)
    count = round(len(x) / 40)
    assert len(x) % count == 0  # so that all parts weigh the same
    parted = sum(found[name].item() for found in terms_of_blocks(parts.learner, x, count)) / count
    whole = terms_of_blocks(parts.learner, x, 1)[0][name].item()
    assert measured[f"val/{name}"] == pytest.approx(parted, rel=1e-4)
    assert whole != pytest.approx(parted, rel=1e-4)


@pytest.mark.parametrize("penalty", ["mmd", "sliced_wasserstein", "decorrelation", "dip"])
def test_they_are_what_training_has_of_the_same_weights(penalty: str) -> None:
    """Of codes that are alike or unlike by chance alone they fall as the samples grow in number."""
    neck = "gaussian" if penalty == "dip" else "linear"
    values = {}
    for size in (40, 120):
        config, _ = compose_config(
            [*SMALL, f"bottleneck={neck}", f"regularizer={penalty}", f"training.batch_size={size}"]
        )
        torch.manual_seed(0)
        parts = compose(config)
        trainer = build(config.trainer, logger=False)
        values[size] = trainer.validate(parts.learner, verbose=False)[0][f"val/{penalty}"]
        # As the mean over the batches of an epoch of training, up to how they are drawn.
        x = parts.data.scaled(parts.data.train.x)[:960]
        torch.manual_seed(1)
        parts.learner.train()
        with torch.no_grad():
            blocks = [parts.learner.terms(block, block)[1][penalty].value.item() for block in x.split(size)]
        assert values[size] == pytest.approx(sum(blocks) / len(blocks), rel=0.25)


def test_a_code_that_no_other_sample_changes_is_measured_as_a_whole() -> None:
    parts, measured = trained("bottleneck=linear", "regularizer=l2")
    x, _ = validation(parts)
    assert measured["val/l2"] == pytest.approx(terms_of_blocks(parts.learner, x, 1)[0]["l2"].item(), rel=1e-6)


# -- a classifier -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("neck", ["gaussian", "batch_top_k"])
@pytest.mark.parametrize("frozen", [False, True])
def test_accuracy_is_that_of_the_code_in_use(neck: str, frozen: bool) -> None:
    words = (f"bottleneck={neck}", "model.code_size=32", "training=finetune", f"training.frozen={str(frozen).lower()}")
    parts, measured = trained(*words)
    x, y = validation(parts)
    assert y is not None
    learner = parts.learner.eval()
    with torch.no_grad():
        logits = learner.classifier(parts.model.encode(x))  # type: ignore[operator]
        entropy = torch.nn.functional.cross_entropy(logits, y).item()
    assert measured["val/accuracy"] == pytest.approx((logits.argmax(1) == y).float().mean().item())
    # The loss is that of the codes that are learned from: of a frozen encoder the ones in use.
    assert (measured["val/loss"] == pytest.approx(entropy, rel=1e-5)) is frozen


# -- what the best epoch goes by --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "counted"),
    [
        (("bottleneck=linear", "training=adversarial"), ("reconstruction",)),
        (("bottleneck=gaussian", "training=factor"), ("reconstruction", "kl_weighted")),
        (("bottleneck=gaussian", "training=vae_gan", "training.pixels=0.0"), ("reconstruction", "kl_weighted")),
        (
            ("training=adversarial_reconstruction", "regularizer=l2", "regularizer.l2.weight=0.1"),
            ("reconstruction", "l2_weighted"),
        ),
    ],
    ids=lambda each: each[-1],
)
def test_with_a_discriminator_it_is_the_loss_without_its_terms(
    words: tuple[str, ...], counted: tuple[str, ...]
) -> None:
    parts, measured = trained(*words)
    assert parts.learner.monitor == "loss_uncontested"
    expected = sum(measured[f"val/{name}"] for name in counted)
    assert measured["val/loss_uncontested"] == pytest.approx(expected, rel=1e-5)
    assert measured["val/loss"] != pytest.approx(expected, rel=1e-5)
    assert parts.learner.validated[-1] == pytest.approx(expected, rel=1e-5)  # type: ignore[attr-defined]
