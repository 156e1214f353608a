"""The linear probe: multinomial logistic regression on codes, as strong as validation wants it.

With codes z standardised by the training codes, over classes c,

    min_W,b  1/N sum_i -log softmax(W z_i + b)_y_i  +  lambda / 2 |W|^2

lambda runs down `STRENGTHS`, each fit starting from the one before, and the one that tells most validation samples
right counts; the largest among equals. A strength that is the same for all would compare codes of 32 units, which need
none, with 784 pixels, which are overfit without.

Reference: Understanding intermediate layers using linear classifier probes (Alain & Bengio, 2016).
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float64]

STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""lambda. Scikit-learn's C is 1 / (lambda N)."""
SAMPLES = 60_000
"""Training codes that are learned from at most, the first ones of a random order."""

_STEPS, _SETTLED = 40, 1e-5  # of L-BFGS for each strength, and the relative gain of a step that ends it before
_PAST_IT = 0.002  # of accuracy lost on validation: weaker ones only lose more
_HELD_OUT = 5  # one in so many training codes is held out where there is no validation set


class Found(NamedTuple):
    """A probe's result."""

    accuracy: float
    """Share of the test codes that get their class; NaN for codes that are not finite."""
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
    scale = torch.where(deviation > 1e-6 * mean.abs().clamp(min=1e-30), 1 / deviation, 0.0)
    z, *others = ((part.detach().cpu().float() - mean) * scale for part in (code, validation[0], test[0]))
    if not all(bool(part.isfinite().all()) for part in (z, *others)):
        return Found(math.nan, len(y), math.nan)
    target = torch.searchsorted(classes, y)
    best = (-1.0, torch.empty(0), STRENGTHS[0])
    weights = np.zeros(len(classes) * (z.shape[1] + 1))
    for strength in STRENGTHS:
        weights = _fit(z, target, strength, start=weights)
        parameters = torch.from_numpy(weights).float().view(len(classes), -1)
        right = _accuracy(parameters, others[0], validation[1].cpu(), classes)
        if right > best[0]:
            best = (right, parameters, strength)
        elif right < best[0] - _PAST_IT:
            break
    return Found(_accuracy(best[1], others[1], test[1].cpu(), classes), len(y), best[2])


def _fit(z: Tensor, target: Tensor, strength: float, *, start: Floats) -> Floats:
    """Weights and, in the last column, biases, (classes (units + 1),), by L-BFGS."""
    from scipy.optimize import minimize

    rows, samples = len(start) // (z.shape[1] + 1), len(z)
    own = target * samples + torch.arange(samples)  # where each sample's own class stands in (classes, N)

    def loss(flat: Floats) -> tuple[float, Floats]:
        parameters = torch.from_numpy(flat).float().view(rows, -1)
        weights, bias = parameters[:, :-1], parameters[:, -1:]
        # Samples along the rows and in place: four times as fast as a softmax over ten columns.
        p = torch.addmm(bias, weights, z.T)
        p -= p.amax(0)
        log_own = p.view(-1)[own].sum().item()
        total = p.exp_().sum(0)
        value = (total.log().sum().item() - log_own) / samples + strength / 2 * weights.square().sum().item()
        p /= total
        p.view(-1)[own] -= 1
        slope = torch.cat([p @ z / samples + strength * weights, p.mean(1, keepdim=True)], dim=1)
        return value, slope.double().flatten().numpy()

    options = {"maxiter": _STEPS, "ftol": _SETTLED}
    found: Floats = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    return found


def _accuracy(parameters: Tensor, z: Tensor, y: Tensor, classes: Tensor) -> float:
    predicted = classes[(z @ parameters[:, :-1].T + parameters[:, -1]).argmax(1)]
    return (predicted == y).double().mean().item()
