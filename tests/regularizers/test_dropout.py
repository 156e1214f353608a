"""Dropout on the code: what it drops, when, and that the model is left as it is."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from hourglass.models import MLP, Autoencoder, Output
from hourglass.regularizers import Dropout, Penalties
from regularizers.small import gaussian, mlp


class Training(nn.Module):
    """A model and its regularizers in a training step, as `Learner.terms` makes it."""

    def __init__(self, model: Autoencoder, penalties: Penalties) -> None:
        super().__init__()
        penalties.attach(model, batch_size=32)
        self.model, self.penalties = model, penalties

    def forward(self, x: Tensor) -> Output:
        output: Output = self.model(x, disturb=self.penalties.disturb)
        return output


def with_dropout(share: float, model: MLP | None = None) -> Training:
    return Training(model or mlp(inputs=6, code_size=50), Penalties(dropout=Dropout(share=share)))


def test_dropout_by_hand() -> None:
    torch.manual_seed(0)
    code = Dropout(share=0.25).disturb(torch.full((200, 50), 3.0))
    assert code.unique().tolist() == [0.0, 4.0]  # 3 / (1 - 1/4)
    assert (code == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_the_decoder_sees_what_is_left_and_there_is_no_term() -> None:
    step = with_dropout(0.5)
    x = torch.rand(40, 6)
    whole = step.eval()(x).code
    output = step.train()(x)
    dropped = output.code == 0
    assert 0.4 < dropped.float().mean() < 0.6
    torch.testing.assert_close(output.code, 2 * whole * ~dropped)
    assert torch.equal(output.reconstruction, step.model.decode(output.code))
    assert step.penalties(step.model, x, output) == {}


def test_outside_training_and_with_share_zero_nothing_is_dropped() -> None:
    plain, step = mlp(inputs=6, code_size=50), with_dropout(0.5)
    x = torch.rand(40, 6)
    assert torch.equal(step.eval()(x).reconstruction, plain(x).reconstruction)
    assert torch.equal(with_dropout(0.0)(x).reconstruction, plain(x).reconstruction)


def test_only_who_asks_for_it_gets_it_and_the_model_stays_as_it_is() -> None:
    """Also where it is attached to the same model again and again."""
    plain = mlp(inputs=6, code_size=50)
    step = with_dropout(0.5)
    with_dropout(0.5, step.model)
    x = torch.rand(200, 6)
    assert (step(x).code == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert torch.equal(step.model(x).code, plain(x).code)
    assert torch.equal(step.model.encode(x), plain.encode(x))
    assert [name for name, _ in step.model.named_modules()] == [name for name, _ in plain.named_modules()]
    assert step.state_dict().keys() == {f"model.{name}" for name in plain.state_dict()}


def test_a_copy_drops_by_itself() -> None:
    step = with_dropout(0.5)
    copy = deepcopy(step)
    copy.get_buffer("penalties.regularizers.dropout.share").zero_()
    x = torch.rand(40, 6)
    assert not (copy(x).code == 0).any()
    assert (step(x).code == 0).any()


def test_its_share_can_differ_between_the_members_of_a_stack() -> None:
    step, x = with_dropout(0.5), torch.rand(40, 6)

    def off(share: torch.Tensor) -> torch.Tensor:
        code = torch.func.functional_call(step, {"penalties.regularizers.dropout.share": share}, x).code
        return (code == 0).float().mean()

    shares = torch.tensor([0.0, 0.3, 0.8])
    assert torch.vmap(off, randomness="different")(shares).tolist() == pytest.approx(shares.tolist(), abs=0.05)


def test_it_drops_draws_too() -> None:
    output = with_dropout(0.5, gaussian(inputs=6, code_size=50))(torch.rand(40, 6))
    assert (output.code == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert output.losses.keys() == {"kl"}
