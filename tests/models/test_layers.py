"""Layers with bound weights, by hand and under everything that moves weights about."""

import copy

import pytest
import torch
from torch import nn

from hourglass.models.layers import TiedLinear, UnitNormLinear


def pair() -> nn.Sequential:
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    return nn.Sequential(layer, TiedLinear(layer))


def test_a_tied_layer_by_hand() -> None:
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    tied = TiedLinear(layer)
    with torch.no_grad():
        tied.bias.copy_(torch.tensor([0.5, 0.0, 0.0]))
    # h = (1, 10): 1 (1, 2, 3) + 10 (4, 5, 6) + b
    assert tied(torch.tensor([[1.0, 10.0]])).tolist() == [[41.5, 52.0, 63.0]]
    assert tied.weight.tolist() == [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]


def test_a_tied_weight_is_one_parameter_with_the_gradient_of_both_places() -> None:
    model = pair().double()
    assert sorted(dict(model.named_parameters())) == ["0.bias", "0.weight", "1.bias"]
    x = torch.randn(5, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda w: torch.func.functional_call(model, {"0.weight": w}, (x,)), model[0].weight)


def test_a_tied_layer_follows_its_mirror_wherever_it_goes() -> None:
    model, x = pair(), torch.randn(5, 3)
    before = model(x)
    twin = copy.deepcopy(model)
    assert twin[1].weight.data_ptr() == twin[0].weight.data_ptr()
    with torch.no_grad():
        twin[0].weight.zero_()
    assert torch.equal(model(x), before)
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin(x), before)
    torch.testing.assert_close(model.double()(x.double()), before.double())


def test_a_stack_of_tied_layers() -> None:
    models, x = [pair() for _ in range(3)], torch.randn(5, 3)
    for factor, model in enumerate(models):
        nn.init.constant_(model[0].weight, float(factor))
    parameters, buffers = torch.func.stack_module_state(models)
    together = torch.func.vmap(lambda p, b: torch.func.functional_call(models[0], (p, b), (x,)))(parameters, buffers)
    for one, model in zip(together, models, strict=True):
        torch.testing.assert_close(one, model(x))


@pytest.mark.parametrize("tied", [False, True])
def test_unit_norm_by_hand(tied: bool) -> None:
    # columns (3, 4) and (0, 2) become (.6, .8) and (0, 1)
    weight = torch.tensor([[3.0, 0.0], [4.0, 2.0]])
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(weight.T if tied else weight)
    inner = TiedLinear(layer) if tied else layer
    nn.init.zeros_(inner.bias)
    unit = UnitNormLinear(inner)
    torch.testing.assert_close(unit(torch.tensor([[10.0, 1.0]])), torch.tensor([[6.0, 9.0]]))
    torch.testing.assert_close(unit.weight.norm(dim=0), torch.ones(2))


def test_the_length_of_a_weight_has_no_gradient_under_unit_norm() -> None:
    unit = UnitNormLinear(nn.Linear(2, 3))
    unit(torch.randn(4, 2)).square().sum().backward()
    weight = unit.layer.weight
    torch.testing.assert_close((weight.grad * weight).sum(dim=0), torch.zeros(2), atol=1e-5, rtol=0)
