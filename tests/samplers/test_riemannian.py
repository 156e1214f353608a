"""The metric of the code space by hand, and draws by it: a density that is known, a run's, and without its training."""

import math
from pathlib import Path

import pytest
import torch

import hourglass
from hourglass.bottlenecks import Deterministic
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose
from hourglass.pipeline.evaluate import evaluate
from hourglass.pipeline.train import train
from hourglass.samplers import Geometry, Riemannian
from hourglass.system.errors import HourglassError
from hourglass.training.batches import some

TWO = Geometry(
    centroids=torch.tensor([[0.0, 0.0], [2.0, 0.0]]),
    matrices=torch.tensor([[[1.0, 2.0], [2.0, 5.0]], [[4.0, 0.0], [0.0, 1.0]]]),
    temperature=torch.tensor(2.0),
    ridge=torch.tensor(0.5),
)


def test_two_centroids_by_hand() -> None:
    """At (1, 0), as far from one as from the other, both count e^(-1/4); at (0, 0) the second e^(-1)."""
    place = TWO.at(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    near, far = math.exp(-1 / 4), math.exp(-1)
    assert place.shares.flatten().tolist() == pytest.approx([near, near, 1.0, far])
    middle = [5 * near + 0.5, 2 * near, 2 * near, 6 * near + 0.5]
    first = [1 + 4 * far + 0.5, 2.0, 2.0, 5 + far + 0.5]
    assert place.inverse.flatten().tolist() == pytest.approx([*middle, *first])
    determinants = [each[0] * each[3] - each[1] ** 2 for each in (middle, first)]
    assert place.log_volume.tolist() == pytest.approx([math.log(each) / 2 for each in determinants])
    # Of log det / 2 by z_1 at (1, 0): the shares change by -1/2 (z - c) = -1/2 and 1/2 of themselves, so that G^-1
    # changes by near / 2 (M_2 - M_1) = near / 2 [[3, -2], [-2, -4]]; and det = ad - b^2 by da d + a dd - 2 b db.
    a, b, _, d = middle
    slope = near / 2 * (3 * d - 4 * a + 2 * b * 2) / (2 * determinants[0])
    found = TWO.gradient(torch.tensor([[1.0, 0.0]]), place.shares[:1], place.metric[:1])
    assert found[0].tolist() == pytest.approx([slope, 0.0], abs=1e-6)
    # Of v^T G^-1 v / 2 with v = (1, 1): near / 4 (3 - 4 - 4).
    ones = torch.ones(1, 2, 2)
    assert TWO.gradient(torch.tensor([[1.0, 0.0]]), place.shares[:1], ones)[0, 0].item() == pytest.approx(-5 / 4 * near)
    # The metric is the inverse's inverse, and the root's square.
    for part in (place.metric @ place.inverse, torch.linalg.inv(place.root @ place.root.mT) @ place.metric):
        torch.testing.assert_close(part, torch.eye(2).expand(2, 2, 2), atol=1e-5, rtol=0)


def test_derivatives_are_those_of_autograd_anywhere() -> None:
    torch.manual_seed(0)
    lower = torch.randn(5, 3, 3, dtype=torch.float64).tril()
    geometry = Geometry(torch.randn(5, 3, dtype=torch.float64), lower @ lower.mT, torch.tensor(1.3), torch.tensor(0.1))
    z, v = torch.randn(2, 4, 3, dtype=torch.float64)
    place = geometry.at(z)
    by_volume = torch.func.grad(lambda code: geometry.at(code).log_volume.sum())(z)
    torch.testing.assert_close(geometry.gradient(z, place.shares, place.metric), by_volume)
    outer = v[:, :, None] * v[:, None, :]
    by_length = torch.func.grad(lambda code: 0.5 * (geometry.inverse(code) * outer).sum())(z)
    torch.testing.assert_close(geometry.gradient(z, place.shares, outer), by_length)


def fitted(geometry: Geometry, **settings: int | float) -> Riemannian:
    sampler = Riemannian(code_size=2, **{"moves": 50, "steps": 5, "size": 0.1, **settings})  # type: ignore[arg-type]
    sampler.fit(torch.zeros(1, 2), geometry=geometry)
    return sampler


def test_draws_have_the_density_that_the_metric_gives() -> None:
    """Means of the draws are those of a grid, on which the density is summed up within the box."""
    torch.manual_seed(0)
    draws = fitted(TWO, moves=30, size=0.25).sample(2000)
    low, high = torch.tensor([-2.0, -2.0]), torch.tensor([4.0, 2.0])
    assert ((draws >= low) & (draws <= high)).all()
    axes = [torch.linspace(low[unit], high[unit], 301) for unit in range(2)]
    grid = torch.cartesian_prod(*axes)
    density = TWO.at(grid).log_volume.softmax(0)
    exact = (density[:, None] * torch.cat([grid, grid.square()], 1)).sum(0)
    torch.testing.assert_close(torch.cat([draws, draws.square()], 1).mean(0), exact, atol=0.15, rtol=0.05)


def test_where_the_metric_is_flat_the_box_is_filled_evenly() -> None:
    flat = Geometry(TWO.centroids, 0 * TWO.matrices, TWO.temperature, TWO.ridge)
    torch.manual_seed(0)
    draws = fitted(flat, moves=30, size=0.4).sample(1500)
    torch.testing.assert_close(draws.mean(0), torch.tensor([1.0, 0.0]), atol=0.15, rtol=0)
    torch.testing.assert_close(draws.var(0), torch.tensor([6.0**2, 4.0**2]) / 12, atol=0, rtol=0.1)


WORDS = (
    *("data=digits", "data.train_size=300", "model.code_size=3", "bottleneck=gaussian", "training=riemannian"),
    *("training.width=8", "training.centroids=100", "training.batch_size=50", "optimizer.lr=1e-2"),
    *("sampler=riemannian", "sampler.moves=5", "trainer.accelerator=cpu", "callback=quick"),
)


def test_a_run_keeps_the_metric_and_a_loaded_one_draws_and_measures_the_same(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    config, chosen = compose_config([*WORDS, "training.epochs=3", f"tracking.uri={uri}", "name=kept"])
    result = train(config, choices=chosen, folder=tmp_path)
    learner = result.parts.learner
    assert learner.geometry is not None
    centroids = learner.geometry.centroids
    assert centroids.shape == (100, 3)
    # It is of the weights that are kept.
    with torch.no_grad():
        given = result.parts.data.scaled(some(result.parts.data.train.x, 100))
        torch.testing.assert_close(centroids, result.parts.model.eval().encode(given))
    model = hourglass.load("kept", uri=uri)
    torch.manual_seed(0)
    drawn = learner.prior(20)
    assert drawn is not None
    torch.testing.assert_close(model.sample(20, seed=0), model.decode(drawn))
    _, same = evaluate("kept", [], uri=uri)
    assert same["test/loss"] == pytest.approx(result.metrics["test/loss"], rel=1e-5)
    # With fewer training samples than centroids the others count nowhere.
    config, _ = compose_config([*WORDS, "training.centroids=400"])
    other = compose(config).learner.eval()
    other.on_fit_end()
    assert other.geometry is not None
    assert other.geometry.centroids.shape == (300, 3)
    assert other.metric.matrices[300:].count_nonzero() == 0  # type: ignore[union-attr, operator, index]


def test_another_training_is_refused_in_one_line() -> None:
    message = r"^sampler: draws go by a metric .*: set training=riemannian, or sampler=none$"
    with pytest.raises(HourglassError, match=message):
        compose(compose_config(["data=digits", "bottleneck=gaussian", "sampler=riemannian"])[0])
    linear = Deterministic(code_size=2, activation="linear")
    with pytest.raises(ValueError, match="set training=riemannian"):
        Riemannian(code_size=2, moves=1, steps=1, size=0.1).check(linear, samples=10)
    for settings in ({"moves": 0}, {"steps": 0}, {"size": 0.0}):
        with pytest.raises(ValueError, match=rf"^{next(iter(settings))} must be "):
            fitted(TWO, **settings)


def test_draws_are_as_many_as_asked_for() -> None:
    sampler = fitted(TWO, moves=2)
    assert [len(sampler.sample(count)) for count in (1, 250, 251)] == [1, 250, 251]
