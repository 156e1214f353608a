"""The linear probe on codes whose answer is known, against scikit-learn, and how it chooses its strength."""

import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.data import Dataset
from hourglass.measures import linear_probe as module
from hourglass.measures.linear_probe import STRENGTHS, linear_probe


def blobs(per_class: int, *, classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Well separated clusters around 10 e_c."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(classes).repeat(per_class)
    return 10 * torch.eye(classes)[y] + torch.randn(len(y), classes, generator=generator), y


def digits() -> Dataset:
    return build(compose_config(["data=digits"])[0].data)


def test_separable_classes() -> None:
    found = linear_probe(blobs(50), blobs(20, seed=2), blobs(40, seed=1))
    assert found.accuracy == 1
    assert found.samples == 150
    assert found.strength == STRENGTHS[0]  # the largest among equals


def test_what_no_line_tells_apart() -> None:
    """Two concentric circles."""
    angle = torch.linspace(0, 2 * math.pi, 401)[:-1]
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)
    code, y = torch.cat([circle, 3 * circle]), torch.arange(2).repeat_interleave(400)
    assert linear_probe((code[::2], y[::2]), None, (code[1::2], y[1::2])).accuracy < 0.7


def test_codes_are_standardised() -> None:
    (code, y), (test_code, test_y) = blobs(50), blobs(40, seed=1)
    scale = torch.tensor([1e-4, 1.0, 1e4])
    assert linear_probe((code * scale + 7, y), None, (test_code * scale + 7, test_y)).accuracy == 1


def test_a_constant_code_gives_the_most_frequent_class() -> None:
    y = torch.tensor([0, 1, 1, 2]).repeat(50)
    code = torch.full((200, 3), 0.1)
    assert linear_probe((code, y), (code, y), (code, y)).accuracy == 0.5
    # What is constant in training says nothing, whatever it is in the test.
    assert linear_probe((code, y), (code, y), (code + 5, y)).accuracy == 0.5


def test_labels_need_not_be_consecutive() -> None:
    (code, y), (test_code, test_y) = blobs(30), blobs(30, seed=1)
    assert linear_probe((code, 10 * y + 7), None, (test_code, 10 * test_y + 7)).accuracy == 1


def minimum(z: torch.Tensor, y: torch.Tensor, strength: float) -> torch.Tensor:
    """Weights of ours for standardised codes, (classes, units)."""
    axes = module._Axes.of(z)
    start = torch.zeros(int(y.max()) + 1, z.shape[1] + 1)
    return axes.back(module._fit(axes.turned(z), y, strength, start=start, units=axes.units(strength))[:, :-1])


@pytest.mark.parametrize("turned", [1024, 0])
def test_it_minimises_what_scikit_learn_minimises(turned: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TURNED", turned)
    data = digits()
    x, y = data.scaled(data.train.x).flatten(1), data.train.y
    z = ((x - x.mean(0)) / x.std(0, correction=0)).nan_to_num()
    for strength in (1e-1, 1e-3):
        weights = minimum(z, y, strength)
        theirs = LogisticRegression(C=1 / (strength * len(z)), max_iter=2000).fit(z, y).coef_
        assert float((weights - torch.from_numpy(theirs)).norm() / weights.norm()) < 0.1


def test_units_that_say_much_the_same_do_not_keep_it_from_the_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen that are nearly the same, as those of a code may be: a small difference is what tells the classes."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(2, (2000,), generator=generator)
    code = 30 * torch.randn(2000, 1, generator=generator) + torch.randn(2000, 16, generator=generator)
    code[:, 0] += 3 * y
    z = (code - code.mean(0)) / code.std(0, correction=0)

    def loss(*, turned: int) -> float:
        """After five steps."""
        monkeypatch.setattr(module, "_TURNED", turned)
        monkeypatch.setattr(module, "_STEPS", 5)
        axes = module._Axes.of(z)
        found = module._fit(axes.turned(z), y, 1e-5, start=torch.zeros(2, 17), units=axes.units(1e-5))
        return float(torch.nn.functional.cross_entropy(z @ axes.back(found[:, :-1]).T + found[:, -1], y))

    theirs = LogisticRegression(C=2 / (1e-5 * 2000), max_iter=10_000, tol=1e-8).fit(z, y)  # one row, twice the penalty
    logits = torch.from_numpy(theirs.decision_function(z))
    least = float(torch.nn.functional.binary_cross_entropy_with_logits(logits, y.double()))
    assert loss(turned=1024) < 1.01 * least
    assert loss(turned=0) > 2 * least  # in the code's own axes


def test_validation_chooses_the_strength() -> None:
    """200 samples of 190 units, of which one says something: the weaker, the more is overfit."""
    generator = torch.Generator().manual_seed(0)

    def drawn(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.randint(2, (count,), generator=generator)
        code = torch.randn(count, 190, generator=generator)
        code[:, 0] += 2.5 * y
        return code, y

    train, validation, test = drawn(200), drawn(2000), drawn(2000)
    chosen = linear_probe(train, validation, test)
    weakest = module.STRENGTHS[-1:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "STRENGTHS", weakest)
        overfit = linear_probe(train, validation, test)
    assert chosen.strength > weakest[0]
    assert chosen.accuracy > overfit.accuracy + 0.02
    # The test set has no part in the choice.
    shuffled = (test[0], test[1][torch.randperm(2000, generator=generator)])
    assert linear_probe(train, validation, shuffled).strength == chosen.strength


def test_without_a_validation_set_a_fifth_of_the_training_codes_chooses() -> None:
    found = linear_probe(blobs(50), None, blobs(40, seed=1))
    assert found.samples == 120
    assert found.accuracy == 1


def test_of_many_samples_some_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLES", 30)
    assert linear_probe(blobs(50), blobs(9), blobs(40, seed=1)).samples == 30


@pytest.mark.parametrize("which", range(3))
def test_a_diverged_code_is_nan(which: int) -> None:
    parts = [blobs(30), blobs(30, seed=1), blobs(30, seed=2)]
    parts[which][0][3, 1] = math.nan
    assert math.isnan(linear_probe(*parts).accuracy)


def test_a_fit_that_is_not_finite_is_nan_and_not_the_first_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """L-BFGS of a loss that isn't a number ends where it began, at weights of 0, whose largest logit is the first."""
    z = torch.randn(50, 4)

    def broken(z: torch.Tensor) -> module._Axes:
        return module._Axes(torch.full((z.shape[1], z.shape[1]), math.nan), torch.ones(z.shape[1]))

    monkeypatch.setattr(module._Axes, "of", broken)
    assert math.isnan(linear_probe((z, z[:, 0].gt(0).long()), None, (z, z[:, 0].gt(0).long())).accuracy)


def test_pixels_of_mnist() -> None:
    """Scikit-learn gives 91.4 % for 10,000 digits at C = .01, and 92.6 % for all."""
    data = build(compose_config(["data=mnist"])[0].data)

    def flat(x: torch.Tensor, y: torch.Tensor | None, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        return data.scaled(x[:count]).flatten(1), y[:count]

    train, validation, test = data.train, data.validation, data.test
    found = linear_probe(
        flat(train.x, train.y, 10_000), flat(validation.x, validation.y, 5000), flat(test.x, test.y, 10_000)
    )
    assert found.accuracy == pytest.approx(0.914, abs=0.004)


def test_wrong_arguments() -> None:
    code, y = blobs(2)
    with pytest.raises(ValueError, match="at least 2 classes to tell apart, got 1"):
        linear_probe((code, torch.zeros(6, dtype=torch.int64)), (code, y), (code, y))
    with pytest.raises(ValueError, match=r"test must be codes \(N, 3\) and classes \(N,\) .* got \(6, 2\) and \(6,\)"):
        linear_probe((code, y), None, (code[:, :2], y))
    with pytest.raises(ValueError, match=r"test must be .* got \(6, 3\) and \(3,\)"):
        linear_probe((code, y), None, (code, y[:3]))
