"""The linear probe: multinomial logistic regression on codes, as strong as validation wants it.

With codes z standardised by the training codes, over classes c,

    min_W,b  1/N sum_i -log softmax(W z_i + b)_y_i  +  lambda / 2 |W|^2

lambda runs down `STRENGTHS`, each fit starting from the one before, and the one that tells most validation samples
right counts; the largest among equals. A strength that is the same for all would compare codes of 32 units, which need
none, with 784 pixels, which are overfit without.

L-BFGS works along the principal axes of the codes, in units in which the loss is about as steep along each: units of a
code say much the same, and in their own axes the weak strengths, which most codes want, end far from the minimum.

Reference: Understanding intermediate layers using linear classifier probes (Alain & Bengio, 2016).
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

Floats = npt.NDArray[np.float64]

STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""lambda. Scikit-learn's C is 1 / (lambda N)."""
SAMPLES = 60_000
"""Training codes that are learned from at most, the first ones of a random order."""

_STEPS, _SETTLED = 40, 1e-5  # of L-BFGS for each strength, and the relative gain of a step that ends it before
_CURVATURE = 0.03  # of the loss along an axis of variance 1, about: p (1 - p) of classes that are told apart
_TURNED = 1024  # units at most whose principal axes are looked for, which takes the cube of their number
_AXES_OF = 10_000  # codes at least that the axes are found from
_BLOCK, _FEWEST_ROWS = 2**20, 512  # values of codes that are worked on at once, and codes at least
_PAST_IT = 0.002  # of accuracy lost on validation: weaker ones only lose more
_HELD_OUT = 5  # one in so many training codes is held out where there is no validation set


class Found(NamedTuple):
    """A probe's result."""

    accuracy: float
    """Share of the test codes that get their class; NaN for codes that are not finite, and where the fit isn't."""
    samples: int
    """Training codes that it learned from."""
    strength: float
    """lambda."""


def linear_probe(
    train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor] | None, test: tuple[Tensor, Tensor]
) -> Found:
    """Fit on training codes, choose lambda on validation codes, score on test codes.

    A constant unit says nothing; when all are constant the most frequent training class is predicted.

    Args:
        train: codes (N, units) and integer classes (N,), of which `SAMPLES` are used at most.
        validation: codes and classes to choose lambda by; None: every fifth of the training codes, not learned from.
        test: codes and classes.

    Raises:
        ValueError: shapes that don't fit together, or fewer than 2 classes to tell apart.
    """
    for name, (code, y) in {"train": train, "validation": validation or train, "test": test}.items():
        if code.ndim != 2 or y.shape != code.shape[:1] or not len(code) or code.shape[1] != train[0].shape[1]:
            raise ValueError(
                f"{name} must be codes (N, {train[0].shape[-1]}) and classes (N,) with N at least 1,"
                f" got {tuple(code.shape)} and {tuple(y.shape)}"
            )
    code, y = (part.detach().cpu() for part in train)
    if len(y) > SAMPLES:
        chosen = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))[:SAMPLES]
        code, y = code[chosen], y[chosen]
    if validation is None:
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
        held = max(1, len(y) // _HELD_OUT)
        validation, (code, y) = (code[order[:held]], y[order[:held]]), (code[order[held:]], y[order[held:]])
    classes = torch.unique(y)
    if len(classes) < 2:
        raise ValueError(f"train must hold at least 2 classes to tell apart, got {len(classes)}")
    code = code.float()
    mean, deviation = code.mean(0), code.std(0, correction=0)
    # A constant unit of 0.1 has a deviation of rounding, not of 0.
    says = ~(deviation <= 1e-6 * mean.abs().clamp(min=1e-30))  # or isn't finite
    z, *others = (
        ((part.detach().cpu().float() - mean) / deviation)[:, says] for part in (code, validation[0], test[0])
    )
    if not all(bool(part.isfinite().all()) for part in (z, *others)):
        return Found(math.nan, len(y), math.nan)
    axes = _Axes.of(z[:: max(1, len(z) // _AXES_OF)])
    samples = axes.turned(z)
    target = torch.searchsorted(classes, y)
    best = (-1.0, torch.empty(0), STRENGTHS[0])
    parameters = torch.zeros(len(classes), z.shape[1] + 1)
    for strength in STRENGTHS:
        parameters = _fit(samples, target, strength, start=parameters, units=axes.units(strength))
        if not bool(parameters.isfinite().all()):
            return Found(math.nan, len(y), math.nan)
        found = torch.cat([axes.back(parameters[:, :-1]), parameters[:, -1:]], dim=1)
        right = _accuracy(found, others[0], validation[1].cpu(), classes)
        if right > best[0]:
            best = (right, found, strength)
        elif right < best[0] - _PAST_IT:
            break
    return Found(_accuracy(best[1], others[1], test[1].cpu(), classes), len(y), best[2])


class _Axes(NamedTuple):
    """In which the weights are looked for."""

    axes: Tensor | None
    """(units, units), one in each column; None: those of the code."""
    variances: Tensor
    """(units,), of the codes along them."""

    @classmethod
    def of(cls, z: Tensor) -> "_Axes":
        """The principal axes of standardised codes (N, units)."""
        if z.shape[1] > _TURNED:
            return cls(None, torch.ones(z.shape[1]))
        variances, axes = torch.linalg.eigh((z.T @ z / len(z)).double())
        return cls(axes.float(), variances.float().clamp(min=0))

    def turned(self, z: Tensor) -> Tensor:
        """Codes in these axes."""
        return z if self.axes is None else z @ self.axes

    def back(self, weights: Tensor) -> Tensor:
        """Weights, (classes, units), for codes as they were; a rotation leaves |W| what it is."""
        return weights if self.axes is None else weights @ self.axes.T

    def units(self, strength: float) -> Tensor:
        """(units + 1,), for each weight of a class and its bias the inverse root of about the loss's curvature."""
        return torch.cat([_CURVATURE * self.variances + strength, torch.tensor([_CURVATURE])]).rsqrt()


def _fit(z: Tensor, target: Tensor, strength: float, *, start: Tensor, units: Tensor) -> Tensor:
    """Weights and, in the last column, biases, (classes, units + 1), by L-BFGS in these units; NaN if it fails."""
    from scipy.optimize import minimize

    classes, samples = len(start), len(z)
    ones = torch.ones(samples)
    # What the samples' own classes add to loss and slope is linear in the weights: their sums are enough.
    own = torch.zeros(classes, z.shape[1]).index_add_(0, target, z) / samples
    share = torch.zeros(classes).index_add_(0, target, ones) / samples

    # In blocks, because both products read the codes, which are not to leave the cache in between.
    blocks = torch.split(z, max(_FEWEST_ROWS, _BLOCK // max(1, z.shape[1])))

    def loss(flat: Floats) -> tuple[float, Floats]:
        parameters = torch.from_numpy(flat).float().view(classes, -1) * units
        weights, bias = parameters[:, :-1], parameters[:, -1]
        value, slope = torch.zeros(()), torch.zeros_like(parameters)
        for block in blocks:
            # Samples along the rows and in place: four times as fast as a softmax over ten columns.
            p = torch.addmm(bias[:, None], weights, block.T)
            top = p.amax(0)
            total = p.sub_(top).exp_().sum(0)
            value += (total.log() + top).sum()
            p /= total
            slope[:, :-1].addmm_(p, block)
            slope[:, -1] += p @ ones[: len(block)]
        value = value / samples - (weights * own).sum() - bias @ share
        slope = slope / samples - torch.cat([own - strength * weights, share[:, None]], dim=1)
        return value.item() + strength / 2 * weights.square().sum().item(), (slope * units).double().flatten().numpy()

    options = {"maxiter": _STEPS, "ftol": _SETTLED}
    # Between two steps of scipy's, in which there is nothing to share, its own threads would stay awake beside torch's:
    # five times as slow on two cores. A library that is imported later would have no limit.
    with threadpool_limits(1, user_api="blas"):
        found = minimize(loss, (start / units).double().flatten().numpy(), jac=True, method="L-BFGS-B", options=options)
    if not math.isfinite(found.fun):  # it ends where it began, as if nothing could be told
        return torch.full_like(start, math.nan)
    return torch.from_numpy(found.x).float().view(classes, -1) * units


def _accuracy(parameters: Tensor, z: Tensor, y: Tensor, classes: Tensor) -> float:
    predicted = classes[(z @ parameters[:, :-1].T + parameters[:, -1]).argmax(1)]
    return (predicted == y).double().mean().item()
