"""The page of all metrics has a row for whatever a run logs, and says the thresholds that the code has."""

import re
from pathlib import Path

import pytest
import torch

from hourglass.bottlenecks.activity import _HELD, LEAST_RANGE, LEAST_SHARE, LEAST_VARIANCE
from hourglass.callbacks.generation import KNOWN
from hourglass.callbacks.health import ENCODED, RECONSTRUCTED
from hourglass.callbacks.loss_recovered import MEASURED
from hourglass.callbacks.usefulness import AUDITED
from hourglass.configuration.composition import compose_config
from hourglass.data.dataset import EVAL_BATCH
from hourglass.measures import class_agreement, code_jacobian, health, prior_distance
from hourglass.measures.categories import LEAST
from hourglass.measures.disentanglement import BINS
from hourglass.measures.generation import NEIGHBOUR
from hourglass.measures.linear_floor import SPARSE
from hourglass.measures.linear_probe import SAMPLES, STRENGTHS
from hourglass.measures.probes import CLUSTERED
from hourglass.measures.streaming import BCE_EPS
from hourglass.models.principal_components import FITTED, LARGEST
from hourglass.pipeline.train import train
from hourglass.regularizers.annealed import EPS
from hourglass.regularizers.prior import discrepancy, kernel

PAGE = Path(__file__).parents[2] / "docs/metrics.md"
TEXT = PAGE.read_text(encoding="utf-8")
BAR = r"(?<!\\)\|"
"""Between two cells: a bar that is part of an equation is escaped."""
ROWS = {
    name: [cell.strip() for cell in re.split(BAR, rest)]
    for name, rest in re.findall(r"^\| `([^`]+)` \|(.*)\|$", TEXT, re.MULTILINE)
}
NAMES = re.findall(r"^\| `([^`]+)` \|", TEXT, re.MULTILINE)
TITLES = dict(re.findall(r"^\| (.+, \d{4}) \| (\*.+\*) \|$", TEXT[TEXT.index("## Sources") :], re.MULTILINE))
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
    assert list(ROWS) == NAMES  # none without its last bar
    assert {len(cells) for cells in ROWS.values()} == {6}
    assert [name for name, cells in ROWS.items() if not all(cells)] == []
    for name, (equation, values, better, against, _, _) in ROWS.items():
        assert "—" not in (equation, values, against), name  # there always is something to say
        assert better in ("↑", "↓", "·", "nearest to 1"), name


def test_every_source_has_its_title_and_every_title_is_a_source() -> None:
    cited = set()
    for name, (*_, source) in ROWS.items():
        for part in source.split("; "):
            known = re.match(r".+?, \d{4}(?=$|, )", part)
            assert known or part == "—" or part.endswith("defined here"), (name, part)
            cited |= {known.group()} if known else set()
    assert cited == set(TITLES)
    assert list(TITLES) == sorted(TITLES, key=str.casefold)


@pytest.mark.parametrize(
    "name",
    ["mmd", "sliced_wasserstein", "decorrelation", "kl_sparsity", "dip", "codebook_entropy", "total_correlation"],
)
def test_what_depends_on_the_number_of_codes_says_of_how_many_it_is(name: str) -> None:
    assert "in blocks of about a training batch" in ROWS[name][4]


def test_thresholds_on_the_page_are_those_of_the_code() -> None:
    assert (health.LEAST_EXPLAINED, health.LEAST_GAIN, health.MOST_OVER_LINEAR) == (0.01, 0, 1.05)
    assert (health.MOST_GAP, health.LEAST_LATE_GAIN, health.ROUNDING) == (1.25, 0.01, 1e-5)
    assert (LEAST_RANGE, LEAST_SHARE, LEAST_VARIANCE, health.COLLAPSED_BELOW, SPARSE) == (0.01, 1e-6, 0.01, 0.01, 0.5)
    assert (SAMPLES, STRENGTHS[0], STRENGTHS[-1]) == (60_000, 1.0, 1e-5)
    assert prior_distance.SCALES == (0.1, 0.2, 0.5, 1, 2, 5, 10)
    assert (prior_distance.SAMPLES, prior_distance.HALVINGS, prior_distance.PERCENTILE) == (2000, 200, 0.95)
    assert (code_jacobian.SAMPLES, code_jacobian.PASSES, code_jacobian.LARGEST) == (500, 1280, 64)
    assert (ENCODED, RECONSTRUCTED, AUDITED, CLUSTERED) == (60_000, 10_000, 2000, 5000)
    assert (FITTED, LARGEST, EVAL_BATCH, NEIGHBOUR, BINS) == (100_000, 4096, 1000, 3, 20)
    assert (class_agreement.DRAWN, class_agreement.LEARNED_FROM) == (1000, 10_000)
    assert (BCE_EPS, LEAST, EPS) == (1e-7, 1e-7, 1e-3)
    assert (KNOWN, MEASURED) == (60_000, 10_000)


def test_defaults_on_the_page_are_those_of_the_choices() -> None:
    config, _ = compose_config(["regularizer=[mmd,sliced_wasserstein]", "callback=[default,generation]"])
    called = config.callback
    assert (called.usefulness.likelihood_draws, called.usefulness.likelihood_samples) == (100, 500)
    assert (called.usefulness.probe_samples, called.baselines.samples) == (10_000, 100)
    assert (called.generation.samples, called.disentanglement.samples) == (2000, 10_000)
    scales = config.regularizer.mmd.scales
    assert (min(scales), max(scales), len(scales)) == (0.1, 10, 7)
    assert config.regularizer.sliced_wasserstein.projections == 50


def test_the_page_says_of_how_many_units_on_a_dead_bounded_one_is_looked_for_in_fewer_samples() -> None:
    assert _HELD == 16_000_000
    assert _HELD // 266 >= ENCODED > _HELD // 267
    assert "fewer from 267 units on" in ROWS["fit/dead_units"][4]


def test_draws_of_the_prior_have_the_mmd_that_the_page_says() -> None:
    torch.manual_seed(0)
    size, units = 20, 4
    widths = 2 * units * torch.tensor([0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0])
    pairs = torch.randn(2, 2000, units)
    expected = 2 / size * (7 - kernel(*pairs, widths).mean().item())
    found = [discrepancy(torch.randn(size, units), torch.randn(size, units), widths).item() for _ in range(2000)]
    assert sum(found) / len(found) == pytest.approx(expected, rel=0.02)
    apart = discrepancy(torch.zeros(size, units), torch.full((size, units), 1e6), widths).item()
    assert apart == pytest.approx(14, rel=1e-3)
