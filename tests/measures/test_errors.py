"""What reconstruction errors tell besides, by hand."""

import math
from pathlib import Path

import pytest
import torch

from hourglass.configuration.composition import compose_config
from hourglass.measures.errors import anomaly_auroc, copy_ratio, shuffled
from hourglass.pipeline.train import train


def test_anomalies_by_hand():
    normal, anomalous = torch.tensor([1.0, 2.0, 2.0, 3.0]), torch.tensor([2.0, 4.0])
    # 2 is above one and ties with two of four, 4 is above all: (1 + 2 / 2 + 4) / 8
    assert anomaly_auroc(normal, anomalous) == 0.75
    assert anomaly_auroc(anomalous, normal) == 0.25
    assert anomaly_auroc(normal, normal) == 0.5
    assert anomaly_auroc(normal, normal + 10) == 1
    assert math.isnan(anomaly_auroc(normal, torch.tensor([math.nan])))


def test_shuffled_keeps_each_place_and_nothing_else():
    x = torch.arange(200)[:, None, None] * 4 + torch.arange(4).view(1, 2, 2)  # every value says where it stood
    mixed = shuffled(x.int(), seed=0)
    assert mixed.shape == x.shape
    assert mixed.dtype == torch.int32
    assert torch.equal(mixed.sort(0).values, x.int())
    rows = (mixed // 4).flatten(1).double()
    assert (torch.corrcoef(rows.T) - torch.eye(4)).abs().max() < 0.25
    assert torch.equal(mixed, shuffled(x.int(), seed=0))
    assert not torch.equal(mixed, shuffled(x.int(), seed=1))


def test_copy_ratio():
    assert copy_ratio(0.1, 0.4, variance=1) == 0.25
    assert copy_ratio(0.0, 0.0, variance=1) == 1
    assert copy_ratio(0.1, 0.0, variance=1) == math.inf
    # Rounding on both sides is a copier, whatever the two make of each other: by the variance, not by its own size.
    assert copy_ratio(3e-15, 1e-15, variance=0.07) == 1
    assert copy_ratio(3e-15, 1e-15, variance=1e-14) == pytest.approx(3)
    assert copy_ratio(0.1, 1e-15, variance=0.07) == math.inf


def test_errors_of_nothing_are_refused():
    with pytest.raises(ValueError, match=r"normal_errors must be \(N,\) with N at least 1, got \(0,\)"):
        anomaly_auroc(torch.zeros(0), torch.zeros(3))


def test_as_many_components_as_the_data_have_dimensions_are_a_copier(tmp_path: Path) -> None:
    """62 of the digits' 64 values, three of which never vary: rounding on the digits, and on shuffled ones."""
    words = ["data=digits", "model=pca", "model.code_size=62", "training=closed_form", "callback.usefulness.probes=[]"]
    words += ["~callback.pictures", "trainer.accelerator=cpu", f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"]
    config, choices = compose_config(words)
    metrics = train(config, choices=choices, folder=tmp_path).metrics
    assert 0 < metrics["test/mse"] < 1e-10
    assert 0 < metrics["test/noise_mse"] < 1e-10
    assert metrics["test/copy_ratio"] == 1
