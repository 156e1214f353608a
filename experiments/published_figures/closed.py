"""Figures that need no training: each is a number of MNIST alone, of all 60,000 digits."""

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.data import Dataset
from hourglass.measures.probes import knn_accuracy
from hourglass.models.principal_components import pca_for


def squared_error() -> float:
    """Of 30 principal components, per test image."""
    data = _digits()
    return pca_for(data).mse(data.test.x, 30) * data.test.x[0].numel()


def variance_share() -> float:
    """Of the first 154 principal components."""
    eigenvalues = pca_for(_digits()).eigenvalues
    return float(eigenvalues[:154].sum() / eigenvalues.sum())


def nearest_neighbour() -> float:
    """Test digits, in per cent, whose nearest training digit is another one."""
    data = _digits()
    assert data.train.y is not None
    assert data.test.y is not None
    train, test = (data.scaled(split.x).flatten(1) for split in (data.train, data.test))
    return 100 * (1 - knn_accuracy(train, data.train.y, test, data.test.y, k=1))


def _digits() -> Dataset:
    config, _ = compose_config(["data=mnist", "data.validation=test"])
    data: Dataset = build(config.data)
    return data
