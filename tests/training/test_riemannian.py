"""Dynamics with a learned metric: one step by hand, energy and volume, the flat metric, the bound, what is refused."""

import math

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import Parts, compose
from hourglass.samplers import Geometry
from hourglass.system.errors import HourglassError
from hourglass.training.stacks.padding import pack, places, tensors

SMALL = (
    *("data=digits", "data.train_size=250", "model=multilayer", "model.widths=[16]", "model.activation=tanh"),
    *("model.code_size=2", "bottleneck=gaussian", "training.batch_size=50"),
)
METRIC = ("training=riemannian", "training.width=8", "training.centroids=20")
BENT = Geometry(
    centroids=torch.tensor([[0.0, 0.0], [1.0, -0.5]]),
    matrices=torch.tensor([[[1.0, 0.5], [0.5, 1.0]], [[0.5, 0.0], [0.0, 2.0]]]),
    temperature=torch.tensor(1.5),
    ridge=torch.tensor(0.1),
)


def make(*overrides: str) -> Parts:
    config, _ = compose_config([*SMALL, "trainer.accelerator=cpu", *overrides])
    torch.manual_seed(0)
    return compose(config)


def riemannian(*overrides: str) -> Parts:
    return make(*METRIC, *overrides)


def test_one_step_by_hand() -> None:
    """One unit, G^-1 = e^(-z^2) + 1; a decoder that gives 1/2 for every code leaves the prior's force alone, -z."""
    learner = riemannian("model.code_size=1", "training.steps=1", "training.largest=1.0").learner
    for weight in learner.model.decoder.parameters():
        torch.nn.init.zeros_(weight)
    geometry = Geometry(torch.zeros(1, 1), torch.ones(1, 1, 1), torch.tensor(1.0), torch.tensor(1.0))
    x = torch.rand(1, 1, 8, 8)
    z = 1.0
    inverse = lambda z: math.exp(-z * z) + 1  # noqa: E731
    # -dH/dz = -z + (1/G^-1 - v^2) / 2 d(G^-1)/dz, whose last is -2 z e^(-z^2)
    force = lambda z, v: -z - (1 / inverse(z) - v * v) * z * math.exp(-z * z)  # noqa: E731
    v = 2 * 0.7 / math.sqrt(inverse(z))  # b_0 = 1/4
    half = v
    for _ in range(3):
        half = v + 0.05 * force(z, half)
    end = z
    for _ in range(3):
        end = z + 0.05 * (inverse(z) + inverse(end)) * half
    last = 0.5 * (half + 0.05 * force(end, half))
    # log N(sqrt(b_0) v_0; 0, G(z_0)) - log N(v_K; 0, G(z_K))
    cost = 0.5 * math.log(inverse(z)) - 0.5 * 0.7**2 - 0.5 * math.log(inverse(end)) + 0.5 * last**2 * inverse(end)
    found = learner.moved(torch.tensor([[z]]), torch.tensor([[0.7]]), x, geometry)  # type: ignore[operator]
    assert found.code.item() == pytest.approx(end, rel=1e-5)
    assert found.cost.item() == pytest.approx(cost, rel=1e-4)


def test_the_energy_errs_by_the_third_power_of_a_step_and_the_volume_is_kept() -> None:
    learner = riemannian("training.steps=1", "training.largest=1.0", "training.iterations=20", "loss=mse").learner
    learner = learner.double()
    geometry = Geometry(*(part.double() for part in BENT))
    torch.nn.init.constant_(learner.leapfrog.heat, 40.0)  # nothing to cool down
    x = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    z, g = torch.tensor([[0.3, -0.5]]).double(), torch.tensor([[1.0, 0.4]]).double()

    def lost(size: float) -> float:
        """H after a step less H before: the cost of the momentum, and what the code's own part has changed."""
        torch.nn.init.constant_(learner.leapfrog.size, math.log(size / (1 - size)))
        code, cost = learner.moved(z, g, x, geometry)  # type: ignore[operator]
        return (cost - learner._log_joint(code, x) + learner._log_joint(z, x)).item()  # type: ignore[no-any-return, operator]

    errors = [lost(size) for size in (0.1, 0.05)]
    assert abs(errors[0]) < 1e-2
    assert 6.5 < errors[0] / errors[1] < 9.5  # 2^3

    # A code of one unit: dz' dv' = dz dv, so that |d(z', g')/d(z, g)| is 1, g' being v' in units of its own deviation.
    one = riemannian("model.code_size=1", "training.steps=3", "training.largest=1.0", "training.iterations=20").learner
    one = one.double()
    single = Geometry(*(part.double() for part in (BENT.centroids[:, :1], BENT.matrices[:, :1, :1])), *geometry[2:])

    def both(given: Tensor) -> Tensor:
        code, cost = one.moved(given[:1, None], given[1:, None], x, single)  # type: ignore[operator]
        # cost = (log_volume - g^2 / 2) there - here, of which g'^2 is left; here g > 0 stays so
        volume = single.at(code).log_volume - single.at(given[:1, None]).log_volume
        return torch.stack([code[0, 0], (2 * (cost + volume)[0] + given[1] ** 2).sqrt()])

    given = torch.tensor([0.3, 1.5], dtype=torch.float64)
    determinant = torch.linalg.det(torch.func.jacrev(both)(given))
    stretch = (single.at(both(given)[:1, None]).log_volume - single.at(given[:1, None]).log_volume).exp()
    assert determinant.item() == pytest.approx(stretch.item(), rel=1e-8)  # g' = v' sqrt(G^-1(z')), and so of g


@pytest.mark.parametrize("kind", ["no matrices", "far away"])
def test_with_nothing_near_it_is_the_dynamics_of_a_flat_metric(kind: str) -> None:
    """G^-1 = r I: the momenta are those of training=hamiltonian over sqrt(r), and its steps sqrt(r) times as long."""
    curved = riemannian("training.steps=3", "loss=mse", "training.largest=0.5").learner
    flat = make("training=hamiltonian", "training.steps=3", "loss=mse", "training.largest=0.05").learner
    flat.model.load_state_dict(curved.model.state_dict())
    away = 1e3 if kind == "far away" else 0.0
    matrices = BENT.matrices if kind == "far away" else 0 * BENT.matrices
    geometry = Geometry(BENT.centroids + away, matrices, BENT.temperature, torch.tensor(0.01))
    x, z, g = torch.rand(7, 1, 8, 8), torch.randn(7, 2), torch.randn(7, 2)
    code, cost = curved.moved(z, g, x, geometry)  # type: ignore[operator]
    expected, momentum = flat.moved(z, g, x)  # type: ignore[operator]
    torch.testing.assert_close(code, expected)
    torch.testing.assert_close(cost, 0.5 * (momentum.square() - g.square()).sum(1), atol=1e-4, rtol=1e-4)


def test_the_mean_of_the_bound_s_weights_is_the_likelihood() -> None:
    """With nothing to tell of the code p(x) is known, and exp(bound) has it as its mean, whatever the metric."""
    learner = riemannian("training.largest=0.5").learner
    for weight in learner.model.decoder.parameters():
        torch.nn.init.zeros_(weight)
    z, g = torch.randn(5_000, 2), torch.randn(5_000, 2)
    with torch.no_grad():
        code, cost = learner.moved(z, g, torch.rand(1, 1, 8, 8).expand(len(z), -1, -1, -1), BENT)  # type: ignore[operator]
    logs = -(cost + 0.5 * (code.square() - z.square()).sum(1))
    assert logs.exp().mean().item() == pytest.approx(1, abs=0.04)
    assert logs.mean() < -0.05


def test_a_smaller_code_within_a_larger_one_goes_the_same_way() -> None:
    """As in a stack: units that aren't active change nothing."""
    small, large = (riemannian(f"model.code_size={size}").learner for size in (2, 4))
    held, at = tensors(small), places(small, large)  # type: ignore[arg-type]
    x, z, g = torch.rand(6, 1, 8, 8), torch.randn(6, 2), torch.randn(6, 2)
    with torch.no_grad():
        for name, tensor in tensors(large).items():  # type: ignore[arg-type]
            tensor.copy_(pack(tensor, [held[name]], [at[name]])[0])
        expected = small.moved(z, g, x, small.around(x, small.model.encoder(x)))  # type: ignore[operator]
        padded = (torch.nn.functional.pad(each, (0, 2)) for each in (z, g))
        found = large.moved(*padded, x, large.around(x, large.model.encoder(x)))  # type: ignore[operator]
    torch.testing.assert_close(found.code[:, :2], expected.code)
    assert found.code[:, 2:].count_nonzero() == 0
    torch.testing.assert_close(found.cost, expected.cost, atol=1e-4, rtol=1e-4)


def test_a_step_moves_everything_that_learns() -> None:
    parts = riemannian()
    before = {name: weight.clone() for name, weight in parts.learner.named_parameters()}
    x = parts.data.scaled(parts.data.train.x[:50])
    assert list(parts.learner.step(x, x, None)) == ["loss", "reconstruction", "kl"]
    for name, weight in parts.learner.named_parameters():
        assert not weight.equal(before[name]), name


def test_half_precision_and_diverged() -> None:
    parts = riemannian("training.epochs=1", "callback=quick")
    trainer = pl.Trainer(
        max_epochs=1, precision="bf16-mixed", logger=False, enable_progress_bar=False, accelerator="cpu",
        enable_checkpointing=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(parts.learner)
    trainer.test(parts.learner, verbose=False)
    assert trainer.callback_metrics["test/loss"].isfinite()
    assert parts.learner.geometry is not None
    assert parts.learner.geometry.centroids.shape == (20, 2)
    with torch.no_grad():
        parts.learner.metric.bias += 200.0  # type: ignore[union-attr, operator]
    x = parts.data.scaled(parts.data.train.x[:50])
    assert not parts.learner.step(x, x, None)["loss"].isfinite()  # told of as such, without a traceback of LAPACK


def test_refused() -> None:
    for key, value, allowed in (
        ("temperature", "0.0", "above 0"),
        ("ridge", "0.0", "above 0"),
        ("width", "0", "a whole number of at least 1"),
        ("centroids", "10001", "a whole number from 1 to 10000"),
        ("iterations", "0", "a whole number of at least 1"),
    ):
        with pytest.raises(HourglassError, match=rf"^training\.{key} must be {allowed}"):
            riemannian(f"training.{key}={value}")
    with pytest.raises(HourglassError, match=r"^training: .*: model\.code_size must be at most 128, got 129$"):
        riemannian("model.code_size=129")
    with pytest.raises(HourglassError, match=r"^trainer\.devices=2 .* Riemannian goes by the whole of it"):
        riemannian("trainer.devices=2")
    parts = riemannian("training.epochs=1")
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.rand(50, 1, 8, 8)), batch_size=10)
    with pytest.raises(HourglassError, match=r"^training=riemannian needs the training samples that the module was"):
        pl.Trainer(
            max_epochs=1, logger=False, enable_progress_bar=False, accelerator="cpu", enable_checkpointing=False
        ).fit(parts.learner, loader)
