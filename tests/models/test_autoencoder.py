"""The contract: what is given is taken as it is, what the families build starts anew."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hourglass.bottlenecks import Deterministic
from hourglass.bottlenecks.bottleneck import Bottled
from hourglass.models import MLP, Autoencoder, Conv
from hourglass.models.autoencoder import initialise


class Own(Deterministic):
    """A bottleneck with weights."""

    def __init__(self, *, code_size: int) -> None:
        super().__init__(code_size=code_size, activation="linear")
        self.mix = nn.Linear(code_size, code_size)
        nn.init.constant_(self.mix.weight, 0.5)

    def forward(self, a: Tensor) -> Bottled:
        return super().forward(self.mix(a))


def trained(*sizes: int) -> nn.Linear:
    layer = nn.Linear(*sizes)
    nn.init.constant_(layer.weight, 0.25)
    nn.init.constant_(layer.bias, 0.75)
    return layer


def test_weights_that_are_given_stay() -> None:
    encoder = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), trained(72, 3))
    decoder = nn.Sequential(trained(3, 64), nn.Unflatten(1, (1, 8, 8)))
    before = {name: value.clone() for name, value in nn.ModuleList([encoder, decoder]).state_dict().items()}
    model = Autoencoder(
        shape=(1, 8, 8), encoder=encoder, bottleneck=Own(code_size=3), decoder=decoder, output_activation="sigmoid"
    )
    after = nn.ModuleList([model.encoder, model.decoder]).state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert bool((model.bottleneck.get_submodule("mix").weight == 0.5).all())
    assert model(torch.rand(2, 1, 8, 8)).reconstruction.shape == (2, 1, 8, 8)


COMMON: dict[str, Any] = {"shape": (1, 8, 8), "depth": 1, "widths": None, "decoder_widths": None, "unit_norm": True}
COMMON |= {"activation": "relu", "output_activation": "sigmoid", "bottleneck": Own, "code_size": 4}
IMAGES: dict[str, Any] = {"dense_widths": [6], "decoder_dense_widths": None, "kernel_size": 3}
IMAGES |= {"downsampling": "stride", "upsampling": "transposed", "decoder_padding": None}


@pytest.mark.parametrize(("family", "others"), [(MLP, {"tied": False}), (Conv, IMAGES)])
def test_a_family_starts_its_own_layers_and_leaves_the_bottleneck(family: Any, others: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = family(**COMMON, **others)
    assert bool((model.bottleneck.mix.weight == 0.5).all())
    layers = [
        each for part in (model.encoder, model.decoder) for each in part.modules() if hasattr(each, "in_channels")
    ]
    layers += [
        each for part in (model.encoder, model.decoder) for each in part.modules() if isinstance(each, nn.Linear)
    ]
    assert len(layers) >= 4
    assert all(bool((layer.bias == 0).all()) for layer in layers)


def test_layers_start_within_glorots_bound() -> None:
    layer = trained(30, 20)
    initialise(nn.Sequential(layer))
    bound = (6 / 50) ** 0.5
    assert 0.9 * bound < float(layer.weight.detach().abs().max()) <= bound
    assert bool((layer.bias == 0).all())
