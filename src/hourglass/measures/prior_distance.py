"""How far are the codes from the prior that codes are drawn from: an unbiased estimate, and what chance alone gives.

With codes h_1 ... h_m, as many draws z of the prior, and the kernel k of `hourglass.regularizers.MMD`:

    MMD^2 = 1/(m (m - 1)) sum_{b != c} (k(h_b, h_c) + k(z_b, z_c)) - 2/m^2 sum_bc k(h_b, z_c)

It is 0 in the mean where both come from the same distribution, and then below 0 in about half of the cases. How far
from 0 it gets by chance says the null: the 95th percentile of the same statistic between two halves of 2 m draws of the
prior, halved at random again and again.

The kernel's widths are 2 s sum_j Var(z_j), the penalty's own where the prior is N(0, 1), so that the unit in which
codes are measured doesn't matter.

References: A kernel two-sample test (Gretton et al., 2012); Wasserstein auto-encoders (Tolstikhin et al., 2018).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from hourglass.regularizers.prior import kernel

SAMPLES = 2000
"""m, at most: codes, and draws of the prior."""
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""The s: those of `conf/regularizer/mmd.yaml`."""
HALVINGS = 200
"""Of the draws, for the percentile."""
PERCENTILE = 0.95

_ROWS = 50  # of a kernel's matrix that are made at a time: they stay in the processor's cache


class Distance(NamedTuple):
    """What is measured."""

    mmd: float
    """The estimate of MMD^2."""
    null: float
    """Its 95th percentile between two sets of draws."""


@torch.no_grad()
def prior_distance(codes: Tensor, prior: Callable[[int], Tensor | None], *, seed: int) -> Distance | None:
    """The distance of codes (N, code_size) from a prior.

    Args:
        codes: as training draws or selects them; the first `SAMPLES` count, in no order.
        prior: gives so many draws, (count, code_size), or None.
        seed: of the draws, another than that of the codes; the caller's random numbers stay as they were.

    Returns:
        None without a prior, for one that is a single point, and for fewer than 2 codes.
    """
    codes = codes[:SAMPLES].float().cpu()
    m = len(codes)
    if m < 2:
        return None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        drawn = prior(2 * m)
        signs = torch.ones(2 * m, HALVINGS)
        for column in signs.T:
            column[torch.randperm(2 * m)[:m]] = -1
    if drawn is None:
        return None
    drawn = drawn.float().cpu()
    variance = drawn.var(dim=0).sum()
    if not variance > 0:
        return None
    widths = 2 * variance * torch.tensor(SCALES)
    own = drawn[:m]
    among_draws = _without_diagonal(drawn, widths)  # (2 m, 2 m)
    among_codes = _without_diagonal(codes, widths).double().sum()
    between = _matrix(codes, own, widths).double().sum()
    mmd = (among_codes + among_draws[:m, :m].double().sum()) / (m * (m - 1)) - 2 * between / m**2
    # With the signs s of a halving and K the kernel's matrix, sum_within = (1 K 1 + s K s) / 2, sum_between = (1 K 1 -
    # s K s) / 4.
    total = among_draws.double().sum()
    signed = ((among_draws @ signs) * signs).double().sum(dim=0)  # (HALVINGS,)
    halves = (total + signed) / 2 / (m * (m - 1)) - (total - signed) / 2 / m**2
    return Distance(mmd.item(), halves.quantile(PERCENTILE).item())


def _matrix(u: Tensor, v: Tensor, widths: Tensor) -> Tensor:
    return torch.cat([kernel(rows, v, widths) for rows in torch.split(u, _ROWS)])


def _without_diagonal(u: Tensor, widths: Tensor) -> Tensor:
    return _matrix(u, u, widths).fill_diagonal_(0)
