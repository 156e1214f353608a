"""Codes that are maps: the order of their values, what stands at a place, and what is refused."""

from functools import partial

import pytest
import torch

from hourglass.bottlenecks import FiniteScalar, Gaussian, ResidualQuantized, VectorQuantized
from hourglass.measures.codes import symbol_metrics
from hourglass.models import Conv, Residual
from hourglass.models.places import FromPlaces, ToPlaces, bottleneck_of_places
from hourglass.models.staged import stages_of

BOOK = partial(VectorQuantized, entries=4, dimension=2)


def test_values_of_a_place_stand_together_and_come_back_to_it() -> None:
    maps = torch.arange(2 * 3 * 2 * 5).view(2, 3, 2, 5)
    code = ToPlaces(blocks=1)(maps)
    assert code.view(2, 2, 5, 3)[1, 0, 4].tolist() == maps[1, :, 0, 4].tolist()
    assert torch.equal(FromPlaces(size=(2, 5))(code), maps)
    signals = torch.arange(2 * 3 * 4).view(2, 3, 4)
    assert torch.equal(FromPlaces(size=(4,))(ToPlaces(blocks=1)(signals)), signals)
    # Two values for each unit: the first of all units, then the second of all.
    both = ToPlaces(blocks=2)(torch.cat([maps, -maps], dim=1))
    assert torch.equal(both, torch.cat([code, -code], dim=1))


def test_a_codebook_serves_all_places() -> None:
    torch.manual_seed(0)
    model = Conv(shape=(1, 8, 8), code_channels=4, depth=2, bottleneck=BOOK).eval()
    assert (model.code_size, model.code_shape) == (16, (2, 2, 4))
    maps = torch.randn(3, 4, 2, 2)
    book = model.bottleneck.codebook
    a = ToPlaces(blocks=1)(maps)
    choices = model.mapped(model.bottleneck.choices(a))  # (3, 2, 2, 2): two symbols at each place
    assert choices.shape == (3, 2, 2, 2)
    for sample, down, across in ((0, 0, 0), (1, 0, 1), (2, 1, 0)):
        for half in range(2):
            group = maps[sample, 2 * half : 2 * half + 2, down, across]
            assert choices[sample, half, down, across] == torch.cdist(group[None], book).argmin()
    # The decoder is given the entries at their places.
    assert torch.equal(model.decoder[0](model.bottleneck(a).code)[1, :2, 0, 1], book[choices[1, 0, 0, 1]])
    # Eight parts with one codebook of four: 16 bits at most.
    measured = symbol_metrics(model.bottleneck.symbols(a), samples=3)
    shares = choices.flatten().bincount(minlength=4) / 24
    entropy = torch.special.entr(shares.double()).sum().item() / torch.log(torch.tensor(2.0)).item()
    assert measured["code_bits"] == pytest.approx(8 * entropy, rel=1e-6)
    assert measured["code_bits_capacity"] == 16


def test_the_code_at_a_place_is_of_what_the_encoder_sees_there() -> None:
    """Of an encoder without a stage: one convolution of 1x1 on the image."""
    torch.manual_seed(0)
    model = Conv(shape=(1, 3, 3), code_channels=2, depth=0, kernel_size=1, activation="linear").eval()
    x = torch.rand(1, 1, 3, 3)
    other = x.clone()
    other[0, 0, 1, 2] += 1
    changed = (model.mapped(model.encode(x)) != model.mapped(model.encode(other))).any(dim=1)[0]
    assert changed.nonzero().tolist() == [[1, 2]]


@pytest.mark.parametrize("family", [Conv, partial(Residual, widths=[8, 8], groups=4)])
def test_gaussian_maps_have_a_mean_and_a_variance_for_each_value(family: type[Conv]) -> None:
    torch.manual_seed(0)
    model = family(shape=(1, 8, 8), code_channels=3, depth=1, bottleneck=Gaussian).eval()
    x = torch.rand(2, 1, 8, 8)
    *layers, last = model.encoder
    maps = torch.nn.Sequential(*layers)(x)
    assert maps.shape == (2, 6, 4, 4)
    mean, log_variance = model.bottleneck.posterior(last(maps))
    assert torch.equal(model.mapped(mean), maps[:, :3])
    assert torch.equal(model.mapped(log_variance), maps[:, 3:])
    assert torch.equal(model.encode(x), mean)
    assert model.decode(model.bottleneck.prior(5)).shape == (5, 1, 8, 8)


def test_symbols_of_a_map_are_refused_where_they_would_be_of_several_places() -> None:
    with pytest.raises(ValueError, match=r"^code_channels must be a multiple of the values of a symbol, got 3: 12"):
        bottleneck_of_places(BOOK, channels=3, size=(2, 2))
    with pytest.raises(ValueError, match=r"^code_channels must be at least 1, got 0$"):
        Residual(shape=(1, 8, 8), code_channels=0)
    with pytest.raises(ValueError, match=r"^code_channels make the code a map: set code_size=null, got 8$"):
        Conv(shape=(1, 8, 8), code_channels=2, code_size=8)
    with pytest.raises(ValueError, match=r"^dense_widths need a dense code: set code_size, got null and \[4\]$"):
        Conv(shape=(1, 8, 8), code_channels=2, dense_widths=[4])
    for neck in (partial(FiniteScalar, levels=[3, 3]), partial(ResidualQuantized, dimension=2, entries=2)):
        assert bottleneck_of_places(neck, channels=4, size=(3,))[1] == 1


def test_a_map_is_a_stage_of_its_own() -> None:
    model = Conv(shape=(1, 9, 7), code_channels=2, depth=2, decoder_widths=[16, 4]).eval()
    z = x = torch.rand(3, 1, 9, 7)
    stages = stages_of(model)
    assert len(stages) == 3
    for stage in stages:
        z = stage.encode(z)
    torch.testing.assert_close(z, model.encode(x))
    for stage in reversed(stages):
        z = stage.decode(z)
    torch.testing.assert_close(z, model(x).reconstruction)
