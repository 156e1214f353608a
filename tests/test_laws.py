"""Laws: what holds for every model, noise, regularizer, loss and optimizer that conf/ offers.

A new component is found here by its yaml file alone.
"""

from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hourglass.compose import Parts, compose
from hourglass.config import build, compose_config, conf_dir
from hourglass.errors import HourglassError
from hourglass.models import Autoencoder
from hourglass.noise import Corruption
from hourglass.regularizers import Penalties


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


MODELS, NOISES, REGULARIZERS = names("model"), names("noise"), names("regularizer")
LOSSES, OPTIMIZERS = names("loss"), names("optimizer")

SHAPES = [(1, 28, 28), (1, 8, 8), (1, 9, 7), (3, 10, 13), (13,)]
LEVELS = ("share", "sigma", "count")
"""The keys of a noise that say how strong it is; a noise has one."""


@cache
def config(*overrides: str) -> Any:
    return compose_config(["data=digits", "trainer.accelerator=cpu", *overrides])[0]


def is_convolutional(name: str) -> bool:
    return "kernel_size" in config(f"model={name}").model


def make_model(name: str, shape: tuple[int, ...], *overrides: str, seed: int = 0) -> Autoencoder:
    torch.manual_seed(seed)
    model: Autoencoder = build(config(f"model={name}", *overrides).model, shape=shape)
    return model


def make_noise(name: str, *overrides: str, bounds: tuple[float, float] = (0.0, 1.0)) -> Corruption:
    noise: Corruption = build(config(f"noise={name}", *overrides).noise, bounds=bounds)
    return noise


def make_penalties(name: str) -> Penalties:
    penalties: Penalties = build(config(f"regularizer={name}").regularizer)
    return penalties


def level_off(name: str) -> list[str]:
    """Overrides that set every level of a noise to zero."""
    processes = {key: node for key, node in config(f"noise={name}").noise.items() if hasattr(node, "_target_")}
    return [f"noise.{key}.{level}=0" for key, node in processes.items() for level in LEVELS if level in node]


def fresh_parts(*overrides: str, **choices: str) -> Parts:
    """The parts of a configuration; `choices` are put in afterwards, which is faster than to compose every pair."""
    whole = config(*overrides).copy()
    for group, name in choices.items():
        whole[group] = config(f"{group}={name}")[group]
    torch.manual_seed(whole.seed)
    return compose(whole)


def descend(parts: Parts, steps: int, rows: int = 128) -> list[float]:
    """The loss at every step of a plain loop on one batch."""
    x = parts.data.scaled(parts.data.train.x[:rows])
    losses = []
    for _ in range(steps):
        _, terms = parts.learner.terms(x, parts.learner.noise(x))
        total = torch.stack(list(terms.values())).sum()
        parts.learner.optimizer.zero_grad()
        total.backward()
        parts.learner.optimizer.step()
        losses.append(total.item())
    return losses


# -- models ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shape"), product(MODELS, SHAPES), ids=str)
def test_reconstruction_has_the_shape_of_the_input_and_code_its_size(name: str, shape: tuple[int, ...]) -> None:
    if is_convolutional(name) and len(shape) == 1:
        with pytest.raises(HourglassError, match=r"^model: a convolution needs images .*, got rows of shape \(13,\)"):
            make_model(name, shape)
        return
    model = make_model(name, shape)
    x = torch.rand(3, *shape)
    output = model(x)
    assert output.reconstruction.shape == x.shape
    assert output.reconstruction.dtype == x.dtype
    assert output.code.shape == (3, model.code_size)
    assert model.bottleneck.active.shape == (model.code_size,)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("code_size", [1, 2, 7])
def test_code_size_is_what_was_asked_for(name: str, code_size: int) -> None:
    model = make_model(name, (1, 8, 8), f"model.code_size={code_size}")
    assert model.code_size == code_size
    assert model.encode(torch.rand(3, 1, 8, 8)).shape == (3, code_size)


@pytest.mark.parametrize("name", MODELS)
def test_encode_then_decode_is_forward(name: str) -> None:
    model = make_model(name, (1, 8, 8)).eval()
    x = torch.rand(5, 1, 8, 8)
    output = model(x)
    assert torch.equal(model.encode(x), output.code)
    assert torch.equal(model.decode(output.code), output.reconstruction)


@pytest.mark.parametrize("name", MODELS)
def test_values_stay_in_the_ranges_that_are_promised(name: str) -> None:
    model = make_model(name, (1, 8, 8))
    output = model(10 * torch.randn(50, 1, 8, 8))
    for values, (low, high) in (
        (output.reconstruction, model.output_range),
        (output.code, model.bottleneck.code_range),
    ):
        assert values.min() >= low
        assert values.max() <= high


@pytest.mark.parametrize("name", MODELS)
def test_a_sample_does_not_depend_on_the_others_of_its_batch(name: str) -> None:
    model = make_model(name, (1, 8, 8)).eval()
    x = torch.rand(6, 1, 8, 8)
    together = model(x).reconstruction
    alone = torch.cat([model(sample).reconstruction for sample in x.split(1)])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", MODELS)
def test_save_and_load_are_exact(name: str, tmp_path: Path) -> None:
    model, other = make_model(name, (1, 9, 7), seed=0), make_model(name, (1, 9, 7), seed=1)
    x = torch.rand(5, 1, 9, 7)
    assert not torch.equal(model(x).reconstruction, other(x).reconstruction)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, tmp_path / "weights")
    other.load_state_dict(load_file(tmp_path / "weights"))
    for key, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
    assert torch.equal(model(x).reconstruction, other(x).reconstruction)
    assert torch.equal(model.encode(x), other.encode(x))


@pytest.mark.parametrize(("name", "regularizer"), product(MODELS, REGULARIZERS), ids=str)
def test_the_gradient_reaches_every_parameter(name: str, regularizer: str) -> None:
    parts = fresh_parts(f"model={name}", "model.bottleneck.activation=sigmoid", regularizer=regularizer)
    x = parts.data.scaled(parts.data.train.x[:32])
    _, terms = parts.learner.terms(x, x)
    torch.stack(list(terms.values())).sum().backward()
    for key, parameter in parts.model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


@pytest.mark.parametrize("name", MODELS)
def test_inactive_units_have_no_say(name: str) -> None:
    """Whatever the encoder puts out for them: not in the reconstruction, the code or any penalty."""
    model = make_model(name, (1, 8, 8), "model.bottleneck.activation=sigmoid", "model.code_size=6").eval()
    off = torch.tensor([0, 0, 1, 0, 1, 1])
    model.bottleneck.active.copy_(1 - off)
    x = torch.rand(5, 1, 8, 8)

    def everything() -> dict[str, Tensor]:
        output = model(x)
        terms = {key: value for each in REGULARIZERS for key, value in make_penalties(each)(model, x, output).items()}
        return {"reconstruction": output.reconstruction, "code": output.code, **terms, **output.losses}

    before = everything()
    assert not before["code"][:, off == 1].any()
    model.encoder.register_forward_hook(lambda _module, _given, out: out + 3.0 * off)
    after = everything()
    for key, value in before.items():
        assert torch.equal(value, after[key]), key
    model.bottleneck.active.fill_(1)
    assert not torch.equal(everything()["reconstruction"], after["reconstruction"])


# -- noise -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shape"), product(NOISES, SHAPES), ids=str)
def test_noise_keeps_shape_and_type_and_its_input(name: str, shape: tuple[int, ...]) -> None:
    noise = make_noise(name)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        x = torch.rand(4, *shape).to(dtype)
        kept = x.clone()
        noisy = noise(x)
        assert noisy.shape == x.shape
        assert noisy.dtype == dtype
        assert torch.equal(x, kept)
        assert noisy.isfinite().all()
        assert (name == "none") == torch.equal(noisy, x)


@pytest.mark.parametrize("name", NOISES)
def test_noise_stays_in_the_range_of_the_data_unless_told_otherwise(name: str) -> None:
    for bounds in ((0.0, 1.0), (-3.0, 5.0)):
        noise = make_noise(name, bounds=bounds)
        x = bounds[0] + (bounds[1] - bounds[0]) * torch.rand(100, 1, 8, 8)
        assert noise(x).min() >= bounds[0]
        assert noise(x).max() <= bounds[1]


def test_unclipped_gaussian_leaves_the_range() -> None:
    noisy = make_noise("gaussian", "noise.gaussian.clip=false")(torch.rand(100, 1, 8, 8))
    assert noisy.min() < 0
    assert noisy.max() > 1


@pytest.mark.parametrize("name", NOISES)
def test_noise_of_level_zero_is_the_identity(name: str) -> None:
    overrides = level_off(name)
    assert overrides or name == "none"
    x = torch.rand(4, 1, 8, 8)
    assert torch.equal(make_noise(name, *overrides)(x), x)


@pytest.mark.parametrize("name", NOISES)
def test_fixed_noise_repeats_itself_and_disturbs_nothing(name: str) -> None:
    x = torch.rand(4, 1, 8, 8)
    noise, other_seed = make_noise(name), make_noise(name, "noise.seed=1")
    torch.manual_seed(7)
    state = torch.get_rng_state()

    def draw(corruption: Corruption, batch: int) -> Tensor:
        with corruption.fixed(batch):
            return corruption(x)

    first = draw(noise, 0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(8)
    assert torch.equal(draw(noise, 0), first)
    for another in (draw(noise, 1), draw(other_seed, 0)):
        assert torch.equal(another, first) == (name == "none")


def test_fixed_noise_leaves_the_random_state_alone_when_something_fails_within() -> None:
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="size"), make_noise("gaussian").fixed():
        torch.rand(3) + torch.rand(2)
    assert torch.equal(torch.get_rng_state(), state)


# -- regularizers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "model_name"), product(REGULARIZERS, MODELS), ids=str)
def test_penalties_are_positive_and_linear_in_their_weight(name: str, model_name: str) -> None:
    model = make_model(model_name, (1, 8, 8), "model.bottleneck.activation=sigmoid")
    penalties = make_penalties(name)
    x = torch.rand(5, 1, 8, 8)
    output = model(x)

    def values(factor: float) -> dict[str, float]:
        scaled = make_penalties(name)
        for penalty in scaled.regularizers.values():
            penalty.get_buffer("weight").mul_(factor)
        return {key: value.item() for key, value in scaled(model, x, output).items()}

    terms = penalties(model, x, output)
    assert (name == "none") == (terms == {})
    for key, value in terms.items():
        assert value.shape == ()
        assert value.item() > 0
        assert values(0.0)[key] == 0.0
        assert values(4.0)[key] == 4 * value.item()  # a power of two, so exactly
        assert values(3.0)[key] == pytest.approx(3 * value.item(), rel=1e-6)


# -- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "reduction"), product(LOSSES, ["mean", "sum"]))
def test_a_loss_is_a_scalar_and_least_at_the_target(name: str, reduction: str) -> None:
    loss = build(config(f"loss={name}", f"loss.reduction={reduction}").loss, data_range=(0.0, 1.0))
    x = torch.rand(4, 1, 8, 8)
    floor = loss(x, x)
    assert floor.shape == ()
    assert floor.item() >= 0
    for change in (0.01, -0.01):
        assert loss((x + change).clamp(0, 1), x) > floor
    # No sample weighs more for standing elsewhere in the batch.
    torch.testing.assert_close(loss(x.flip(0).sqrt(), x.flip(0)), loss(x.sqrt(), x))


# -- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "optimizer"), product(MODELS, OPTIMIZERS), ids=str)
def test_twenty_steps_at_the_configured_rate_lower_the_loss(name: str, optimizer: str) -> None:
    losses = descend(fresh_parts(f"model={name}", optimizer=optimizer), 20)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("noise", NOISES)
def test_twenty_steps_lower_the_loss_under_every_noise(noise: str, loss: str) -> None:
    losses = descend(fresh_parts(f"noise={noise}", "optimizer.lr=0.01", loss=loss), 20)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", MODELS)
def test_same_seed_same_loss_and_another_seed_another(name: str) -> None:
    overrides = [f"model={name}", "noise=masking"]
    first, second = (descend(fresh_parts(*overrides), 3, rows=32) for _ in range(2))
    assert first == second
    assert descend(fresh_parts(*overrides, "seed=1"), 3, rows=32) != first


def test_a_linear_autoencoder_becomes_pca() -> None:
    """Its error is PCA's and its decoder spans the same space (Baldi & Hornik, 1989)."""
    size = 4
    parts = fresh_parts(
        "loss=mse",
        "loss.reduction=sum",
        f"model.code_size={size}",
        "model.output_activation=linear",
        "model.bottleneck.activation=linear",
        "optimizer.lr=0.1",
    )
    x = parts.data.scaled(parts.data.train.x).flatten(1)
    centred = (x - x.mean(dim=0)).double()
    _, values, directions = torch.linalg.svd(centred, full_matrices=False)
    floor = (values[size:].square().sum() / len(x)).item()  # squared error per sample

    descend(parts, 400, rows=len(x))
    parts.learner.optimizer.param_groups[0]["lr"] = 0.01
    error = descend(parts, 100, rows=len(x))[-1]
    assert floor < error < 1.001 * floor

    spanned = torch.linalg.qr(parts.model.decoder[0].weight.detach().double())[0]  # type: ignore[index]
    cosines = torch.linalg.svdvals(directions[:size] @ spanned)  # of the principal angles between the two spaces
    assert cosines.min() > 0.999


class Seen(pl.Callback):
    """The first values of every chunk, by epoch."""

    def __init__(self) -> None:
        self.epochs: list[list[Tensor]] = []

    def on_train_epoch_start(self, *_: Any) -> None:
        self.epochs.append([])

    def on_train_batch_start(self, _trainer: Any, _module: Any, chunk: Any, _index: int) -> None:
        self.epochs[-1].append(chunk.x.clone())


def order(*overrides: str) -> list[Tensor]:
    """The training samples in the order of three epochs."""
    seen = Seen()
    given = ["training.epochs=3", "data.train_size=300", "model.code_size=2", *overrides]
    trainer = build(config(*given).trainer, logger=False, callbacks=[seen])
    trainer.fit(fresh_parts(*given).learner)
    return [torch.cat(chunks) for chunks in seen.epochs]


@pytest.fixture(scope="module")
def default_order() -> list[Tensor]:
    return order()


def test_the_order_of_batches_is_new_in_every_epoch(default_order: list[Tensor]) -> None:
    x = fresh_parts("data.train_size=300").data.train.x
    for epoch in default_order:
        # every sample once: the same multiset of images
        assert torch.equal(epoch.flatten(1).unique(dim=0), x.flatten(1).unique(dim=0))
        assert len(epoch) == len(x)
    assert not torch.equal(default_order[0], default_order[1])
    assert not torch.equal(default_order[1], default_order[2])


@pytest.mark.parametrize("overrides", [["seed=1"], ["model=multilayer", "noise=masking"], ["training.batch_size=50"]])
def test_the_order_of_batches_depends_on_nothing_else(default_order: list[Tensor], overrides: list[str]) -> None:
    for one, other in zip(default_order, order(*overrides), strict=True):
        assert torch.equal(one, other)


def test_the_order_of_batches_depends_on_its_seed(default_order: list[Tensor]) -> None:
    for one, other in zip(default_order, order("data.order_seed=1"), strict=True):
        assert not torch.equal(one, other)


# -- bottlenecks -----------------------------------------------------------------------------------------------------

BOTTLENECKS = names("bottleneck")
ROOM = {"conv": "model.depth=1", "conv_dae": "model.depth=1", "multilayer": "model.depth=1"}


def with_bottleneck(name: str, model: str = "vanilla") -> Parts:
    overrides = [f"model={model}", f"bottleneck={name}", "model.code_size=16", "model.widths=null"]
    return fresh_parts(*overrides, *([ROOM[model]] if model in ROOM else []))


@pytest.mark.parametrize(("name", "model"), product(BOTTLENECKS, MODELS), ids=str)
def test_every_bottleneck_works_in_every_model(name: str, model: str) -> None:
    parts = with_bottleneck(name, model)
    x = parts.data.scaled(parts.data.train.x[:32])
    parts.model.train()
    output, terms = parts.learner.terms(x, x)
    assert output.reconstruction.shape == x.shape
    assert output.code.shape == (32, 16)
    low, high = parts.model.bottleneck.code_range
    assert low <= output.code.min() <= output.code.max() <= high
    assert all(term.shape == () and term.isfinite() for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()
    for key, weight in parts.model.named_parameters():
        assert weight.grad is not None, key
        assert weight.grad.isfinite().all(), key
        assert weight.grad.any(), key


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_outside_training_a_code_is_a_function_of_its_sample(name: str) -> None:
    parts = with_bottleneck(name)
    descend(parts, 2)
    model = parts.model.eval()
    x = parts.data.scaled(parts.data.test.x[:20])
    with torch.no_grad():
        output = model(x)
        torch.testing.assert_close(model.encode(x[3:5]), output.code[3:5], rtol=1e-5, atol=1e-6)
        assert torch.equal(model.encode(x), model.encode(x))
        assert torch.equal(model.decode(model.encode(x)), output.reconstruction)


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_a_model_with_any_bottleneck_is_saved_and_loaded_exactly(name: str, tmp_path: Path) -> None:
    parts, other = with_bottleneck(name), with_bottleneck(name)
    descend(parts, 3)
    save_file(parts.model.state_dict(), tmp_path / "weights.safetensors")
    other.model.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    x = parts.data.scaled(parts.data.test.x[:20])
    with torch.no_grad():
        assert torch.equal(other.model.eval()(x).reconstruction, parts.model.eval()(x).reconstruction)


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_forty_steps_lower_the_loss_with_any_bottleneck(name: str) -> None:
    losses = descend(with_bottleneck(name), 40)
    assert sum(losses[-5:]) < sum(losses[:5])  # some codes are drawn, so single steps tell little


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_units_that_pad_a_stack_have_no_say_in_any_bottleneck(name: str) -> None:
    parts = with_bottleneck(name)
    parts.model.bottleneck.active[8:] = 0
    x = parts.data.scaled(parts.data.train.x[:32])
    output, _ = parts.learner.terms(x, x)
    assert not output.code[:, 8:].any()
    assert output.code[:, :8].any()


def test_a_divergence_in_nats_needs_a_reconstruction_in_nats() -> None:
    with pytest.raises(HourglassError, match=r"nats per sample: set loss\.reduction=sum, got mean"):
        fresh_parts("bottleneck=gaussian", "loss.reduction=mean")
