"""What holds for every density of codes that conf/ offers, and what each is by itself."""

import copy
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.func import jacrev, vmap

from hourglass.bottlenecks import Binary, Deterministic
from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import choices
from hourglass.measures.prior_distance import prior_distance
from hourglass.samplers import (
    Geometry,
    HasLogDensity,
    InverseAutoregressive,
    MaskedAutoregressive,
    Neighbours,
    Sampler,
    Slerp,
    TwoStage,
)
from hourglass.samplers.between import slerp
from hourglass.system.errors import HourglassError

#: But for the one of symbols: test_autoregressive.py.
SAMPLERS = [name for name in choices()["sampler"] if name not in ("none", "autoregressive")]
LEARN = ("two_stage", "masked_autoregressive", "inverse_autoregressive")
"""Those that are fitted by steps."""
FOLLOW = [name for name in SAMPLERS if name not in ("hypersphere", "slerp", "riemannian")]
"""Those whose draws are distributed as the codes are."""


def made(name: str, *, code_size: int = 3, **settings: Any) -> Sampler:
    node = compose_config([f"sampler={name}"])[0].sampler
    few = {"steps": 10, "codes": 200, "width": 32, "moves": 5}
    node.update({key: settings.get(key, value) for key, value in few.items() if key in node})
    sampler: Sampler = build(node, code_size=code_size)
    return sampler


def bent(count: int, *, seed: int = 0) -> Tensor:
    """Codes (a, b + a^2, c) of a, b, c ~ N: no gaussian, with a unit of its own scale."""
    z = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    return torch.stack([z[:, 0], 0.4 * z[:, 1] + z[:, 0].square(), 30 + 10 * z[:, 2]], dim=1)


def around(codes: Tensor) -> Geometry:
    """A metric of these codes."""
    matrices = torch.eye(codes.shape[1]).expand(len(codes), -1, -1)
    return Geometry(codes, matrices, torch.tensor(1.0), torch.tensor(0.1))


def drawn(sampler: Sampler, count: int, seed: int = 1) -> Tensor:
    torch.manual_seed(seed)
    found = sampler.sample(count)
    assert found is not None
    return found


@pytest.mark.parametrize("name", SAMPLERS)
def test_laws_of_every_sampler(name: str, tmp_path: Path) -> None:
    codes = bent(500)
    torch.manual_seed(7)
    state = torch.get_rng_state()
    sampler = made(name)
    sampler.fit(codes, geometry=around(codes))
    assert torch.get_rng_state().equal(state)  # the training's random numbers are not for it
    draws = drawn(sampler, 50)
    assert draws.shape == (50, 3)
    assert draws.dtype == torch.float32
    assert not draws.requires_grad
    assert draws.isfinite().all()
    assert not draws[0].equal(draws[1])
    # Fitted again it is the same, whatever it was fitted to before.
    sampler.fit(bent(400, seed=1), geometry=around(bent(400, seed=1)))
    assert not drawn(sampler, 50).equal(draws)
    sampler.fit(codes, geometry=around(codes))
    assert drawn(sampler, 50).equal(draws)
    # Its state is all of it: kept, and put into one that was made without memory, as a run is loaded.
    save_file({key: value.contiguous() for key, value in sampler.state_dict().items()}, tmp_path / "state")
    with torch.device("meta"):
        other = made(name)
    other.load_state_dict(load_file(tmp_path / "state"), assign=True)
    for twin in (other, copy.deepcopy(other), pickle.loads(pickle.dumps(other))):
        assert drawn(twin, 50).equal(draws)
    # Fitted in inference mode, as in a trainer of one's own, it is the same too.
    with torch.inference_mode():
        again = codes.clone()
    sampler.fit(again, geometry=around(again))
    assert drawn(sampler, 50).equal(draws)
    with pytest.raises(ValueError, match="made of symbols: set sampler=autoregressive"):
        sampler.check(Binary(code_size=3, deviation=None), samples=1000, geometry=around(codes))
    linear = Deterministic(code_size=3, activation="linear")
    sampler.check(linear, samples=1000, geometry=around(codes))
    with pytest.raises(ValueError, match="training samples"):
        sampler.check(linear, samples=1, geometry=around(codes))


@pytest.mark.parametrize("name", FOLLOW)
def test_draws_are_spread_as_the_codes_are(name: str) -> None:
    codes = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)) @ torch.tensor([[2.0, 1.0], [0.0, 0.5]])
    codes = torch.cat([codes + 3, torch.full((2000, 1), 0.1)], dim=1)
    for scale in (1, 1e-3) if name not in LEARN else (1e-3,):
        sampler = made(name, steps=500 if name == "two_stage" else 200, codes=1000)
        sampler.fit(codes * scale)
        draws = drawn(sampler, 5000) / scale
        torch.testing.assert_close(draws.mean(0), codes.mean(0), atol=0.2, rtol=0)
        torch.testing.assert_close(draws.T.cov(), codes.T.cov(), atol=0.2, rtol=0.2)
        torch.testing.assert_close(draws[:, 2], torch.full((5000,), 0.1))  # a unit that never changes keeps its value


@pytest.mark.parametrize("name", ["two_stage", "neighbours", "mixture"])
def test_bent_codes_are_followed_better_than_by_a_gaussian(name: str) -> None:
    codes = bent(3000)[:, :2]
    found = {}
    for each in (name, "gaussian"):
        sampler = made(each, code_size=2, steps=800, width=64, codes=1000)
        sampler.fit(codes)
        distance = prior_distance(bent(1000, seed=1)[:, :2], sampler.sample, seed=0)
        assert distance is not None
        found[each] = distance.mmd
    assert found[name] < 0.3 * found["gaussian"]


@pytest.mark.parametrize("kind", [MaskedAutoregressive, InverseAutoregressive])
def test_the_density_of_a_flow_is_the_change_of_variables(kind: type) -> None:
    """And it is that of the codes: the mean log density of gaussian codes is minus their entropy."""
    from scipy.stats import multivariate_normal

    covariance = np.array([[1.0, 0.8], [0.8, 1.0]])
    codes = torch.from_numpy(np.random.RandomState(0).multivariate_normal([0, 0], covariance, 3000)).float()
    sampler = kind(code_size=2, transforms=2, width=32, steps=200)
    sampler.fit(codes)
    log_density = sampler.log_density(codes[:500])
    assert log_density is not None
    if kind is MaskedAutoregressive:  # of the other way the derivative is no product of passes
        to_noise, scale = sampler.flow().transform, sampler.units.deviation
        units = (codes[:5] - sampler.units.mean) / scale
        with torch.no_grad():
            noise = to_noise(units)
            stretch = vmap(jacrev(to_noise))(units).det().abs().log() - scale.log().sum()
        by_hand = -0.5 * (noise.square().sum(1) + 2 * math.log(2 * math.pi)) + stretch
        torch.testing.assert_close(log_density[:5], by_hand, atol=1e-4, rtol=1e-4)
    true = multivariate_normal(np.zeros(2), covariance).logpdf(codes[:500].numpy())
    assert abs(log_density.numpy() - true).mean() < 0.15
    sampler.fit(torch.cat([codes[:, :1], 0 * codes[:, :1]], dim=1))
    assert sampler.log_density(codes) is None  # a unit that never changes has no density


def test_the_density_of_a_mixture_agrees_with_scikit_learn() -> None:
    from sklearn.mixture import GaussianMixture

    codes = bent(1000)[:, :2]
    sampler = made("mixture", code_size=2)
    assert isinstance(sampler, HasLogDensity)
    sampler.fit(codes)
    h = codes.double().numpy()
    deviation = h.std(0)
    twin = GaussianMixture(10, reg_covar=1e-6, max_iter=300, random_state=0).fit((h - h.mean(0)) / deviation)
    expected = twin.score_samples((h[:50] - h.mean(0)) / deviation) - np.log(deviation).sum()
    found = sampler.log_density(codes[:50].view(5, 10, 2))
    assert found is not None
    np.testing.assert_allclose(found.flatten().numpy(), expected, atol=1e-3)


@pytest.mark.parametrize(("kind", "passes"), [(MaskedAutoregressive, 6), (InverseAutoregressive, 1)])
def test_a_flow_is_quick_in_its_direction(kind: type, passes: int) -> None:
    sampler = kind(code_size=6, transforms=1, width=8, steps=1)
    sampler.fit(torch.randn(20, 6))
    asked = []
    sampler.flow.transform.register_forward_hook(lambda *_: asked.append(0))
    for module in sampler.flow.modules():
        if type(module).__name__ == "MaskedMLP":
            module.register_forward_hook(lambda *_: asked.append(1))
    drawn(sampler, 3)
    assert sum(asked) == passes


def test_a_second_stage_draws_with_the_variance_that_it_learned() -> None:
    """Of codes that are noise it learns to be noise: gamma and the decoder's spread make up the variance 1."""
    sampler = TwoStage(code_size=4, width=16, steps=300)
    sampler.fit(torch.randn(2000, 4, generator=torch.Generator().manual_seed(0)))
    u = torch.randn(4000, 4)
    with torch.no_grad():
        total = sampler.decoder(u).var(0) + (2 * sampler.log_gamma).exp()
    torch.testing.assert_close(total, torch.ones(4), atol=0.15, rtol=0)
    torch.testing.assert_close(drawn(sampler, 4000).var(0), torch.ones(4), atol=0.15, rtol=0)


def test_slerp_by_hand() -> None:
    start, end = torch.tensor([[1.0, 0.0], [2.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 1.0], [-1.0, 0.0], [3.0, 0.0]])
    half = slerp(start, end, torch.full((3, 1), 0.5))
    torch.testing.assert_close(half, torch.tensor([[math.sqrt(0.5)] * 2, [0.5, 0.0], [2.0, 0.0]]))
    third = slerp(start[:1], end[:1], torch.tensor([[1 / 3]]))
    torch.testing.assert_close(third, torch.tensor([[math.cos(math.pi / 6), math.sin(math.pi / 6)]]))
    ends = slerp(start, end, torch.tensor([[0.0], [1.0], [1.0]]))
    torch.testing.assert_close(ends, torch.stack([start[0], end[1], end[2]]))
    # Of codes on a sphere all draws are on it.
    sampler = Slerp(code_size=3, codes=50)
    sampler.fit(torch.nn.functional.normalize(torch.randn(60, 3), dim=1) * 2)
    torch.testing.assert_close(drawn(sampler, 100).norm(dim=1), torch.full((100,), 2.0))


def test_neighbours_stay_with_theirs() -> None:
    """Two lines far apart: no draw lies between them, and every draw lies on one."""
    along = torch.linspace(0, 1, 50)
    codes = torch.cat([torch.stack([along, 0 * along], 1), torch.stack([along, 0 * along + 5], 1)])
    sampler = Neighbours(code_size=2, codes=100, k=3)
    sampler.fit(codes)
    draws = drawn(sampler, 1000)
    assert set(draws[:, 1].tolist()) == {0.0, 5.0}
    nearest = (draws[:, None, 0] - along).abs().min(1).values
    assert nearest.max() <= 0.5 / 49 + 1e-6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sampler=two_stage", "sampler.width=0"], r"^sampler\.width must be a whole number from 1 to 4096, got 0$"),
        (
            ["sampler=masked_autoregressive", "sampler.transforms=17"],
            "from 1 to 16, got 17$",
        ),
        (["sampler=inverse_autoregressive", "sampler.steps=0"], r"^sampler\.steps must be .* at least 1, got 0$"),
        (["sampler=neighbours", "sampler.k=1000"], r"^sampler\.k must be a whole number from 1 to 999, got 1000$"),
    ],
)
def test_what_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(HourglassError, match=message):
        build(compose_config(words)[0].sampler, code_size=2)


def test_without_zuko_one_line_says_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hourglass.system.extras.find_spec", lambda _: None)
    with pytest.raises(HourglassError, match=r"^a flow needs zuko: pip install 'hourglass\[flows\]'$"):
        MaskedAutoregressive(code_size=2, transforms=1, width=8, steps=1)
