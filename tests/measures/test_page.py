"""The page of all metrics has a row for whatever a run logs, and says the thresholds that the code has."""

import re
from pathlib import Path

import pytest

from hourglass.bottlenecks.activity import LEAST_RANGE, LEAST_SHARE, LEAST_VARIANCE
from hourglass.callbacks.health import ENCODED, RECONSTRUCTED
from hourglass.callbacks.usefulness import AUDITED
from hourglass.configuration.composition import compose_config
from hourglass.measures import code_jacobian, health, prior_distance
from hourglass.measures.linear_floor import SPARSE
from hourglass.measures.linear_probe import SAMPLES, STRENGTHS
from hourglass.measures.probes import CLUSTERED
from hourglass.pipeline.train import train

PAGE = Path(__file__).parents[2] / "docs/metrics.md"
ROWS = re.findall(r"^\| `([^`]+)` \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
NAMES = [name for name, _ in ROWS]
SETS = "(samples|reconstructions|train)"
"""Whose features are compared with those of test samples."""

TYPES = {
    "denoising": ["noise=masking", "regularizer=[l1,weight_l2]", "training.epochs=2"],
    "variational": ["bottleneck=gaussian", "loss.reduction=sum"],
    "winner-take-all": ["bottleneck=winner_take_all"],
    "quantized": ["bottleneck=vector_quantized", "model.code_size=16"],
    "residual-quantized": ["bottleneck=residual_quantized", "model.code_size=16", "model.bottleneck.dropout=0.5"],
    "lookup-free": ["bottleneck=lookup_free", "model.code_size=16"],
    "categorical": ["bottleneck=categorical", "model.code_size=16", "loss.reduction=sum"],
    "joint": ["bottleneck=joint", "model.code_size=12", "loss.reduction=sum"],
    "JumpReLU": ["bottleneck=jump_relu"],
    "gated, nested": ["bottleneck=gated", "regularizer=[matryoshka,target_l0]"],
    "resampled": ["model=dictionary", "bottleneck=relu", "training=resampling"],
    "adversarial": ["bottleneck=linear", "training=adversarial"],
    "importance-weighted": ["bottleneck=gaussian", "loss.reduction=sum", "training=importance_weighted"],
    "FactorVAE": ["bottleneck=gaussian", "training=factor"],
    "VAE-GAN": ["bottleneck=gaussian", "training=vae_gan"],
    "ladder": ["bottleneck=ladder", "loss.reduction=sum"],
    "masked": ["model=transformer", "model.patch_size=4", "training=masked"],
    "conditional": ["bottleneck=gaussian", "condition=labels", "loss.reduction=sum"],
    "layerwise": ["training=layerwise", "training.epochs=3", "training.pretrain_epochs=1"],
    "classifier": ["training=finetune"],
    "PCA": ["model=pca", "training=closed_form", "model.code_size=8"],
    "of known factors": [
        "data=shapes",
        "data.samples=400",
        "data.size=8",
        "data.test_share=0.25",
        "callback=[default,generation]",
    ],
    "of a table": ["data=wine", "loss=mse", "model.code_size=4"],
}


def documented(name: str) -> bool:
    """Whether a logged name has a row, whole or without its stage, as it stands or by a pattern."""
    bare = re.sub(r"^(train|val|test)/", "", name)
    bare = re.sub(r"_(pixels|pca)$", "", bare)
    stands_for = {"<name>": r"\w+", "<set>": SETS, "<l>": r"\d+", "<m>": r"\d+"}
    patterns = [re.escape(row) for row in NAMES if "<term>" not in row]
    for placeholder, pattern in stands_for.items():
        patterns = [each.replace(placeholder, pattern) for each in patterns]
    if any(re.fullmatch(pattern, bare) for pattern in patterns):
        return True
    return bare.endswith("_weighted") and "<term>_weighted" in NAMES and documented(bare.removesuffix("_weighted"))


@pytest.mark.long
@pytest.mark.parametrize("kind", TYPES)
def test_whatever_a_run_logs_has_a_row(kind: str, tmp_path: Path) -> None:
    words = ["data=digits", "training.epochs=1", "trainer.accelerator=cpu", "~callback.pictures"]
    words += [
        "callback.usefulness.likelihood_draws=5",
        "callback.usefulness.probe_samples=100",
        f"tracking.uri=sqlite:///{tmp_path}/mlflow.db",
    ]
    config, choices = compose_config([*words, *TYPES[kind]])
    metrics = train(config, choices=choices, folder=tmp_path).metrics
    assert [name for name in metrics if not documented(name)] == []


def test_every_regularizer_has_a_row() -> None:
    terms = {path.stem for path in (PAGE.parents[1] / "conf/regularizer").glob("*.yaml")} - {
        "none",
        "dropout",
        "target_l0",
    }
    assert terms <= set(NAMES)


def test_rows_are_whole() -> None:
    assert len(NAMES) == len(set(NAMES))
    # A bar that is part of an equation is escaped.
    assert {len(re.split(r"(?<!\\)\|", rest)) for _, rest in ROWS} == {6}
    for name, rest in ROWS:
        equation, values, better, *_ = (cell.strip() for cell in re.split(r"(?<!\\)\|", rest))
        assert equation, name
        assert values or name == "compression_ratio", name
        assert better in ("↑", "↓", "·", "nearest to 1"), name


def test_thresholds_on_the_page_are_those_of_the_code() -> None:
    assert (health.LEAST_EXPLAINED, health.LEAST_GAIN, health.MOST_OVER_LINEAR) == (0.01, 0, 1.05)
    assert (health.MOST_GAP, health.LEAST_LATE_GAIN, health.ROUNDING) == (1.25, 0.01, 1e-5)
    assert (LEAST_RANGE, LEAST_SHARE, LEAST_VARIANCE, health.COLLAPSED_BELOW, SPARSE) == (0.01, 1e-6, 0.01, 0.01, 0.5)
    assert (SAMPLES, STRENGTHS[0], STRENGTHS[-1]) == (60_000, 1.0, 1e-5)
    assert prior_distance.SCALES == (0.1, 0.2, 0.5, 1, 2, 5, 10)
    assert (prior_distance.SAMPLES, prior_distance.HALVINGS, prior_distance.PERCENTILE) == (2000, 200, 0.95)
    assert (code_jacobian.SAMPLES, code_jacobian.PASSES, code_jacobian.LARGEST) == (500, 1280, 64)
    assert (ENCODED, RECONSTRUCTED, AUDITED, CLUSTERED) == (60_000, 10_000, 2000, 5000)
