"""Linear layers of a stack against each member's own, and within other transforms, as penalties use them."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hourglass.training.stacks.functions import StackedFunctions

MEMBERS, BATCH, INPUTS, OUTPUTS = 3, 7, 5, 4


def layers(*, shared: bool) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(BATCH, INPUTS) if shared else torch.randn(MEMBERS, BATCH, INPUTS)
    weight, bias = torch.randn(MEMBERS, OUTPUTS, INPUTS), torch.randn(MEMBERS, OUTPUTS)
    return x.double().requires_grad_(), weight.double().requires_grad_(), bias.double().requires_grad_()


@pytest.mark.parametrize("shared", [True, False])
def test_values_and_gradients_are_those_of_each_member(shared: bool) -> None:
    x, weight, bias = layers(shared=shared)
    with StackedFunctions():
        y = torch.func.vmap(F.linear, in_dims=(None if shared else 0, 0, 0))(x, weight, bias)
    expected = torch.stack([F.linear(x if shared else x[i], weight[i], bias[i]) for i in range(MEMBERS)])
    torch.testing.assert_close(y, expected)
    towards = torch.randn_like(y)
    got, wanted = (torch.autograd.grad((each * towards).sum(), (x, weight, bias)) for each in (y, expected))
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("shared", [True, False])
def test_it_can_be_differentiated_in_every_way_that_penalties_do(shared: bool) -> None:
    x, weight, bias = layers(shared=shared)

    def penalty(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        def layer(row: Tensor) -> Tensor:
            return F.linear(row.unsqueeze(0), weight, bias).sigmoid().squeeze(0)

        jacobians = torch.func.vmap(torch.func.jacrev(layer))(x)
        tangent = torch.func.jvp(lambda x, b: F.linear(x, weight, b).sigmoid(), (x, bias), (x.sin(), bias.cos()))[1]
        return jacobians.square().sum() + tangent.square().sum()

    def of_all() -> Tensor:
        return torch.func.vmap(penalty, in_dims=(None if shared else 0, 0, 0))(x, weight, bias)

    with StackedFunctions():
        values = of_all()
    expected = of_all()
    torch.testing.assert_close(values, expected)
    got, wanted = (torch.autograd.grad(each.sum(), (x, weight, bias)) for each in (values, expected))
    torch.testing.assert_close(got, wanted)


def test_without_a_bias_or_for_other_shapes_it_is_the_ordinary_one() -> None:
    x, weight, bias = layers(shared=True)
    with StackedFunctions():
        torch.testing.assert_close(torch.func.vmap(F.linear, in_dims=(None, 0))(x, weight), x @ weight.mT)
        cube = torch.func.vmap(F.linear, in_dims=(None, 0, 0))(x.expand(2, -1, -1), weight, bias)
    torch.testing.assert_close(cube[:, 0], x @ weight.mT + bias.unsqueeze(1))
