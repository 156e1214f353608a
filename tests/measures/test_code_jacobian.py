"""How much a code follows its input: where it is known."""

import pytest
import torch

from hourglass.bottlenecks import Binary, Deterministic
from hourglass.measures.code_jacobian import LARGEST, code_jacobian
from hourglass.models import MLP

X = torch.randn(600, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.1, 0.1])


def net(code_size: int, *, depth: int = 0, activation: str = "linear") -> MLP:
    torch.manual_seed(0)
    return MLP(
        shape=(6,),
        code_size=code_size,
        depth=depth,
        widths=None,
        decoder_widths=None,
        tied=False,
        unit_norm=False,
        activation="tanh",
        output_activation="linear",
        bottleneck=lambda code_size: Deterministic(code_size=code_size, activation=activation),
    ).eval()


def set_to(model: MLP, weight: torch.Tensor) -> MLP:
    with torch.no_grad():
        model.encoder[1].weight.copy_(weight)
    return model


def test_a_rotation_has_as_much_as_it_has_units() -> None:
    turned = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1))).Q
    assert code_jacobian(set_to(net(6), turned), X) == pytest.approx(6, rel=1e-5)
    assert code_jacobian(set_to(net(6), 0.01 * turned), X) == pytest.approx(6, rel=1e-5)  # small isn't contractive


def test_by_hand() -> None:
    # The first two coordinates, |J|^2 = 2, over their share of the variance.
    variance = X[:500].var(dim=0, correction=0)
    expected = 2 * variance.sum() / variance[:2].sum()
    assert code_jacobian(set_to(net(2), torch.eye(6)[:2]), X) == pytest.approx(expected.item(), rel=1e-5)
    # Below 1 where the code is flat at the samples: two clusters told apart by a steep sigmoid.
    clusters = torch.cat([X[:250], X[:250] + 1000])
    steep = set_to(net(1, activation="sigmoid"), torch.full((1, 6), 0.1))
    with torch.no_grad():
        steep.encoder[1].bias.fill_(-0.1 * 6 * 500)
    found = code_jacobian(steep, clusters)
    assert found is not None
    assert found < 1e-6


def test_without_a_closed_form_it_is_exact() -> None:
    deep = net(3, depth=1)
    assert not deep.has_closed_jacobian
    x = X[:400]  # as many as are differentiated
    jacobian = torch.stack([torch.autograd.functional.jacobian(lambda s: deep.encode(s[None])[0], row) for row in x])
    expected = jacobian.square().sum(dim=(1, 2)).mean() * x.var(dim=0).sum() / deep.encode(x).var(dim=0).sum()
    assert code_jacobian(deep, x) == pytest.approx(expected.item(), rel=1e-4)


def test_where_it_would_take_long_or_says_nothing() -> None:
    assert net(LARGEST + 1).has_closed_jacobian
    assert code_jacobian(net(LARGEST + 1), X) is not None
    assert code_jacobian(net(LARGEST + 1, depth=1), X) is None
    assert code_jacobian(set_to(net(2), torch.zeros(2, 6)), X) is None
    assert code_jacobian(net(2), X[:1]) is None
    # Collapsed onto .5: what is left of the variance is the rounding of .5.
    collapsed = set_to(net(2, activation="sigmoid"), torch.full((2, 6), 1e-7))
    assert 0 < collapsed.encode(X).double().var(0).sum() < 1e-13
    assert code_jacobian(collapsed, X) is None
    # Small isn't collapsed: the same code without its offset has a number.
    assert code_jacobian(set_to(net(2), torch.full((2, 6), 1e-7)), X) is not None
    symbols = net(2)
    symbols.bottleneck = Binary(code_size=2, deviation=None).eval()
    assert code_jacobian(symbols, X) is None
