"""Masked training: the loss is of hidden patches alone, the same in every validation, alone and in a stack."""

from typing import Any

import pytest
import torch

from hourglass.configuration.composition import compose_config
from hourglass.losses import logged, total
from hourglass.pipeline.compose import compose
from hourglass.system.errors import HourglassError
from hourglass.training.batches import Chunk
from hourglass.training.stacks.stack import Stack

WORDS = ["data=digits", "data.train_size=64", "trainer.accelerator=cpu", "model=transformer", "training=masked"]
WORDS += ["model.patch_size=2", "model.width=8", "model.heads=2", "model.depth=1", "model.decoder_width=8"]


def learner(*words: str) -> Any:
    config, _ = compose_config([*WORDS, *words])
    torch.manual_seed(config.seed)
    return compose(config).learner


def test_the_loss_is_of_hidden_patches() -> None:
    """With 12 of 16 patches hidden, and squared errors of those alone: 16 / 12 times the mean over all values."""
    masked = learner("loss=mse", "model.output_activation=linear")
    x = masked.data.scaled(masked.data.train.x[:8])
    torch.manual_seed(1)
    output, terms = masked.terms(x, x)
    hidden = (output.reconstruction != x).flatten(1)
    assert (hidden.sum(1) <= 12 * 4).all()
    expected = (output.reconstruction - x).square().flatten(1).sum(1).mean() / 64
    torch.testing.assert_close(terms["reconstruction"].value, expected)
    assert masked.visible == 4


def test_noise_on_visible_patches_costs_nothing() -> None:
    """Samples of 1 whose every value the noise took: what was seen would cost BCE's 16 nats a pixel, were it compared.

    So the loss is -ln r over the hidden patches alone, 12 of 16 with 4 pixels each.
    """
    masked = learner("loss=bce", "loss.reduction=sum", "noise=masking")
    x = torch.ones(8, 1, 8, 8)
    torch.manual_seed(1)
    output, terms = masked.terms(x, torch.zeros_like(x))
    hidden = output.reconstruction[output.reconstruction != 1]
    assert len(hidden) == 8 * 12 * 4
    torch.testing.assert_close(terms["reconstruction"].value, -hidden.log().sum() / 8, rtol=1e-4, atol=1e-4)
    trained = masked.as_trained(masked.model(x), x, torch.zeros_like(x))
    assert (trained.reconstruction == 1).sum() == 8 * 4 * 4  # and neither does it in a validation


def test_a_regularizer_that_changes_weights_has_its_way() -> None:
    """From one step to the next target_l0 multiplies the weight of l1 by exp(log_factor)."""
    masked = learner("bottleneck=relu", "regularizer=[l1,target_l0]", "regularizer.target_l0.l0=1").train()
    x = masked.data.scaled(masked.data.train.x[:8])
    first = masked.terms(x, x)[1]["l1"].weight.item()
    factor = masked.penalties.regularizers["target_l0"].log_factor.exp().item()
    assert factor != 1
    assert masked.terms(x, x)[1]["l1"].weight.item() == pytest.approx(first * factor)


def test_decoding_the_code_teaches_the_decoder_alone() -> None:
    masked = learner()
    x = masked.data.scaled(masked.data.train.x[:8])
    torch.autograd.backward(masked.terms(x, x)[1]["readout"].weighted)
    assert all(weight.grad is None for weight in masked.model.encoder.parameters())
    assert all(weight.grad.any() for weight in masked.model.decoder.parameters())
    masked.model.zero_grad()
    torch.autograd.backward(total(masked.terms(x, x)[1]))
    assert all(weight.grad.any() for weight in masked.model.parameters())


def test_validation_hides_the_same_patches_every_time() -> None:
    masked = learner()
    x = masked.data.scaled(masked.data.train.x[:8])
    output = masked.model.eval()(x)
    with masked.noise.seeded(0):
        one = masked.as_trained(output, x, x).reconstruction
    with masked.noise.seeded(0):
        two = masked.as_trained(output, x, x).reconstruction
    assert torch.equal(one, two)
    assert not torch.equal(one, output.reconstruction)


def test_it_learns_alone_and_in_a_stack() -> None:
    alone = learner("optimizer.lr=1e-2")
    x = alone.data.scaled(alone.data.train.x[:64])
    losses = []
    for _ in range(30):
        _, terms = alone.terms(x, x)
        alone.descend(total(terms), alone.optimizer)
        losses.append(logged(terms)["loss"].item())
    assert sum(losses[-5:]) < sum(losses[:5])
    members = [learner("optimizer.lr=1e-2", f"seed={seed}") for seed in range(2)]
    for member in members:
        member.configure_optimizers()
    stack = Stack(members=members, template=learner())
    before = [member.model.encoder[1].weight.clone() for member in members]
    chunk = Chunk(alone.data.train.x[:64], None)
    history = stack.advance([chunk, chunk])
    assert set(history[0]) >= {"loss", "reconstruction", "readout"}
    assert history[0]["loss"][0] != history[1]["loss"][0]
    assert all(not torch.equal(a, b.model.encoder[1].weight) for a, b in zip(before, members, strict=True))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=multilayer"], "patches can be hidden of model=transformer, got MLP"),
        (
            ["model.patch_size=8"],
            "share must leave some of the 1 patches, and hide some, got 0.75",
        ),
        (["bottleneck=gaussian", "model.code_size=4"], "masked training leaves no draws to the code: set bottleneck"),
        (["training.share=1"], "training.share must"),
        (["regularizer=[l1,dropout]"], "regularizer=dropout disturbs the code, and Masked decodes something else"),
        (["condition=labels", "model.code_size=4"], "patches can be hidden of model=transformer, got Conditional"),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(words: list[str], message: str) -> None:
    drop = [] if words == ["model=multilayer"] else WORDS[4:]
    base = ["data=digits", "training=masked", *(["model=transformer"] if drop else [])]
    sizes = [word for word in WORDS if word.startswith("model.")] if drop else []
    with pytest.raises(HourglassError) as refusal:
        compose(compose_config([*base, *sizes, *words])[0])
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
