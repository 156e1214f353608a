"""Dropout on the code: what it drops, when, and that it stays with the model."""

from copy import deepcopy

import pytest
import torch

from hourglass.models import MLP
from hourglass.regularizers import Dropout, Penalties
from regularizers.small import gaussian, mlp


def with_dropout(share: float) -> tuple[MLP, Penalties]:
    model = mlp(inputs=6, code_size=50)
    penalties = Penalties(dropout=Dropout(share=share))
    penalties.attach(model, batch_size=32)
    return model, penalties


def test_dropout_by_hand() -> None:
    torch.manual_seed(0)
    code = Dropout(share=0.25).drop(torch.full((200, 50), 3.0))
    assert code.unique().tolist() == [0.0, 4.0]  # 3 / (1 - 1/4)
    assert (code == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_the_decoder_sees_what_is_left_and_there_is_no_term() -> None:
    model, penalties = with_dropout(0.5)
    x = torch.rand(40, 6)
    whole = model.eval()(x).code
    output = model.train()(x)
    dropped = output.code == 0
    assert 0.4 < dropped.float().mean() < 0.6
    torch.testing.assert_close(output.code, 2 * whole * ~dropped)
    assert torch.equal(output.reconstruction, model.decode(output.code))
    assert penalties(model, x, output) == {}


def test_outside_training_and_with_share_zero_nothing_is_dropped() -> None:
    plain, (model, _) = mlp(inputs=6, code_size=50), with_dropout(0.5)
    x = torch.rand(40, 6)
    assert torch.equal(model.eval()(x).reconstruction, plain(x).reconstruction)
    assert torch.equal(with_dropout(0.0)[0](x).reconstruction, plain(x).reconstruction)


def test_attached_twice_it_drops_once() -> None:
    model, penalties = with_dropout(0.5)
    penalties.attach(model, batch_size=32)
    Penalties(dropout=Dropout(share=0.5)).attach(model, batch_size=32)
    code = model(torch.rand(200, 6)).code
    assert (code == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)


def test_a_copy_drops_by_itself_and_weights_are_saved_as_without() -> None:
    model, _ = with_dropout(0.5)
    copy = deepcopy(model)
    copy.get_buffer("bottleneck.dropout.share").zero_()
    x = torch.rand(40, 6)
    assert not (copy(x).code == 0).any()
    assert (model(x).code == 0).any()
    assert model.state_dict().keys() == mlp(inputs=6, code_size=50).state_dict().keys()


def test_its_share_can_differ_between_the_members_of_a_stack() -> None:
    model, _ = with_dropout(0.5)
    x = torch.rand(40, 6)

    def off(share: torch.Tensor) -> torch.Tensor:
        code = torch.func.functional_call(model, {"bottleneck.dropout.share": share}, x).code
        return (code == 0).float().mean()

    shares = torch.tensor([0.0, 0.3, 0.8])
    assert torch.vmap(off, randomness="different")(shares).tolist() == pytest.approx(shares.tolist(), abs=0.05)


def test_it_drops_draws_too() -> None:
    model = gaussian(inputs=6, code_size=50)
    Penalties(dropout=Dropout(share=0.5)).attach(model, batch_size=32)
    output = model(torch.rand(40, 6))
    assert (output.code == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert output.losses.keys() == {"kl"}
