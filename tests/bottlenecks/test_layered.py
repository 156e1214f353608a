"""Stochastic layers: their terms by hand, their densities against the exact likelihood, and draws from the top."""

import math

import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn

from hourglass.bottlenecks import Hierarchical, Ladder
from hourglass.bottlenecks.layered import Layered
from hourglass.bottlenecks.normal import Gives, Normal, together
from hourglass.losses import MSE, total
from hourglass.measures.likelihood import log_likelihood
from hourglass.models import Modules

KINDS = [Hierarchical, Ladder]


def said(net: Gives, *, mean: float, log_variance: float, slope: float = 0.0) -> None:
    """Make a net of one unit give N(mean + slope relu(z), exp(log_variance))."""
    with torch.no_grad():
        for weight in net.parameters():
            weight.zero_()
        for layer in net.hidden:
            layer.weight.fill_(1.0)  # type: ignore[union-attr, operator]
        net.mean.weight.fill_(slope)
        net.mean.bias.fill_(mean)
        net.log_variance.bias.fill_(log_variance)


def small(kind: type[Layered], *, above: tuple[float, float], below: tuple[float, float], slope: float = 0) -> Layered:
    """One unit in each of two layers, and what the nets say."""
    neck = kind(code_size=1, upper_sizes=[1], width=1)
    said(neck.above[0], mean=above[0], log_variance=above[1])  # type: ignore[arg-type, index, union-attr]
    said(neck.below[0], mean=below[0], log_variance=below[1], slope=slope)  # type: ignore[arg-type]
    return neck.eval()


def test_normals_agree_with_scipy() -> None:
    one = Normal(torch.tensor([0.3, -1.0]), torch.tensor([0.2, -0.7]))
    other = Normal(torch.tensor([-0.5, 0.4]), torch.tensor([-0.1, 0.6]))
    z = torch.tensor([0.1, 2.0])
    expected = norm(one.mean.double(), one.log_variance.double().div(2).exp()).logpdf(z.double())
    torch.testing.assert_close(one.log_density(z), torch.from_numpy(expected).float())
    torch.manual_seed(0)
    drawn = Normal(*(each.expand(200_000, 2) for each in one)).draw()
    sampled = (one.log_density(drawn) - other.log_density(drawn)).mean(0)
    torch.testing.assert_close(one.divergence(other), sampled, rtol=0.03, atol=0.01)
    # Precisions e^-.2 + e^.1 = .8187 + 1.1052 = 1.9239: the mean is (.8187 x .3 - 1.1052 x .5) / 1.9239 = -.1596.
    product = together(one, other)
    assert product.mean[0].item() == pytest.approx(-0.1596, abs=1e-4)
    assert product.log_variance[0].item() == pytest.approx(-math.log(1.9239), abs=1e-4)


def test_the_terms_of_a_ladder_by_hand() -> None:
    """The encoder says N(2, 1), the upper layer N(1, 1); the prior of the code is N(0, 1) whatever is above.

    q(z_2) = N(1, 1), as was said: kl_2 = 1 / 2;
    q(z_1) = N(2, 1) with N(0, 1), which is N(1, .5): kl_1 = (.5 + 1 - 1 + ln 2) / 2 = .5966.
    """
    neck = small(Ladder, above=(1.0, 0.0), below=(0.0, 0.0))
    code, terms = neck(torch.tensor([[2.0, 0.0]]))
    assert code.item() == 1.0
    assert terms["kl_1"].value.item() == pytest.approx(0.5966, abs=1e-4)
    assert terms["kl_2"].value.item() == pytest.approx(0.5, abs=1e-6)


def test_the_terms_of_a_hierarchy_by_hand() -> None:
    """At the mean z_1 = 2: ln q = -ln(2 pi) / 2, ln p = -(2 - 1)^2 / 2 - ln(2 pi) / 2, so kl_1 = 1 / 2; kl_2 = 2."""
    neck = small(Hierarchical, above=(2.0, 0.0), below=(1.0, 0.0))
    code, terms = neck(torch.tensor([[2.0, 0.0]]))
    assert code.item() == 2.0
    assert terms["kl_1"].value.item() == pytest.approx(0.5)
    assert terms["kl_2"].value.item() == pytest.approx(2.0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_likelihood_is_that_of_the_marginal(kind: type[Layered]) -> None:
    """Of x = z_1 + noise of variance 1/2, z_1 = 3 relu(z_2) / 4 + noise of variance 1, z_2 ~ N(0, 1), by quadrature."""
    neck = small(kind, above=(0.2, 0.0), below=(0.0, 0.0), slope=0.75)
    model = Modules(shape=(1,), encoder=nn.Linear(1, 2), decoder=nn.Identity(), bottleneck=lambda **_: neck).eval()
    with torch.no_grad():
        model.encoder[0].weight.copy_(torch.tensor([[0.7], [0.0]]))  # type: ignore[index, union-attr]
        model.encoder[0].bias.zero_()  # type: ignore[index, union-attr]
    x = torch.tensor([[1.3], [-0.4]])
    found = log_likelihood(model, x, MSE(reduction="sum"), draws=100_000, seed=0)
    z2 = torch.linspace(-8, 8, 20_001).double()
    weights = torch.from_numpy(norm.pdf(z2)) * (z2[1] - z2[0])
    expected = [
        (weights * torch.from_numpy(norm(0.75 * z2.relu(), 1.5**0.5).pdf(each))).sum().log() for each in (1.3, -0.4)
    ]
    torch.testing.assert_close(found, torch.stack(expected), atol=0.02, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_drawn_from_the_top(kind: type[Layered]) -> None:
    """z_1 = 5 + N(0, 1) whatever z_2 is: all draws lie around 5."""
    neck = small(kind, above=(0.0, 0.0), below=(5.0, 0.0))
    torch.manual_seed(0)
    drawn = neck.prior(10_000)
    assert drawn.mean().item() == pytest.approx(5, abs=0.05)
    assert drawn.std().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_the_bound_is_of_all_layers(kind: type[Layered]) -> None:
    """One draw of the densities is, in the mean, minus what the terms say."""
    torch.manual_seed(0)
    neck = kind(code_size=3, upper_sizes=[2, 2], width=4)
    a = torch.randn(5, 6)
    assert list(neck(a).losses) == ["kl_1", "kl_2", "kl_3"]
    draws = neck.draws(a, 20_000)
    terms = torch.stack([total(neck.as_trained(a.repeat(2000, 1)).losses) for _ in range(5)]).mean()
    torch.testing.assert_close((draws.log_posterior - draws.log_prior).mean(), terms, rtol=0.03, atol=0.02)
    assert neck.rates(a).shape == (5, 7)


@pytest.mark.parametrize("kind", KINDS)
def test_units_that_pad_a_stack_add_nothing(kind: type[Layered]) -> None:
    torch.manual_seed(0)
    neck = kind(code_size=3, upper_sizes=[2], width=4).eval()
    neck.active[1:] = 0
    a, other = torch.randn(2, 5, 6)
    other[:, [0, 3]] = a[:, [0, 3]]

    def everything(a: Tensor) -> list[Tensor]:
        torch.manual_seed(0)
        draws, bottled = neck.draws(a, 4), neck(a)
        return [*draws, bottled.code, total(bottled.losses), neck.rates(a)]

    for one, two in zip(everything(a), everything(other), strict=True):
        torch.testing.assert_close(one, two)


def test_beta_rises() -> None:
    neck = Ladder(code_size=2, upper_sizes=[2], width=4, beta=2.0, warmup_steps=4)
    weights = [neck(torch.zeros(3, 4)).losses["kl_2"].weight for _ in range(5)]
    assert [float(weight) for weight in weights] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert neck.settled


def test_what_is_no_layer_is_refused() -> None:
    for sizes, message in (([], "upper_sizes must list the units of one layer or more"), ([0], "upper_sizes")):
        with pytest.raises(ValueError, match=message):
            Ladder(code_size=2, upper_sizes=sizes)
