"""Penalties on mean and covariance of the codes: by hand, and of draws."""

import math

import pytest
import torch

from hourglass.regularizers import DIP, Penalties
from hourglass.system.errors import HourglassError
from regularizers.small import gaussian, mlp, value

# Means (1, 1), (-1, -1), (1, -1), (3, 1): about their mean (1, 0) they are (0, 1), (-2, -1), (0, -1), (2, 1), so that
# the variances are 2 and 1, the covariance (0 + 2 + 0 + 2) / 4 = 1.  Log variances ln 2 and 0.
ENCODED = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [3.0, 1.0]])
ENCODED = torch.cat([ENCODED, torch.tensor([[math.log(2), 0.0]]).expand(4, 2)], dim=1)


@pytest.mark.parametrize(("of", "expected"), [("means", 2 + 10 * (1 + 0)), ("codes", 2 + 10 * (9 + 1))])
def test_covariance_by_hand(of: str, expected: float) -> None:
    """Of codes the variances are 2 + 2 and 1 + 1."""
    penalty = DIP(weight=0.5, diagonal=10.0, of=of)  # type: ignore[arg-type]
    assert value(penalty, ENCODED[:, :2], gaussian(), encoded=ENCODED) == pytest.approx(0.5 * expected)


def test_the_covariance_of_codes_is_that_of_draws() -> None:
    torch.manual_seed(0)
    model = gaussian()
    encoded = torch.cat(
        [torch.randn(20_000, 2) @ torch.tensor([[1.0, 0.6], [0.0, 0.5]]), torch.randn(20_000, 2)], dim=1
    )
    drawn = torch.cov(model.bottleneck.as_trained(encoded).code.T)
    expected = 2 * drawn[0, 1] ** 2 + (drawn.diagonal() - 1).square().sum()
    found = value(DIP(weight=1.0, diagonal=1.0, of="codes"), encoded[:, :2], model, encoded=encoded)
    assert found == pytest.approx(expected.item(), rel=0.05)


def test_units_that_pad_a_stack_have_no_variance_to_be_one() -> None:
    model = gaussian()
    model.bottleneck.active[1] = 0
    for of, expected in (("means", (2 - 1) ** 2), ("codes", (4 - 1) ** 2)):
        penalty = DIP(weight=1.0, diagonal=1.0, of=of)  # type: ignore[arg-type]
        assert value(penalty, ENCODED[:, :2], model, encoded=ENCODED) == pytest.approx(expected)


def test_refused() -> None:
    with pytest.raises(ValueError, match=r"^of must be one of means, codes, got 'I'$"):
        DIP(of="I")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^diagonal must be at least 0 and finite, got -1"):
        DIP(diagonal=-1.0)
    with pytest.raises(HourglassError, match=r"^regularizer dip needs .* set bottleneck=gaussian$"):
        Penalties(dip=DIP()).attach(mlp(), batch_size=32)
