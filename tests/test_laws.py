"""Laws: what holds for every model, noise, regularizer, loss and optimizer that conf/ offers.

A new component is found here by its yaml file alone.
"""

import inspect
import re
from copy import deepcopy
from functools import cache
from itertools import combinations, cycle, product
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from torch import Tensor

from hourglass.bottlenecks import HasDensity, HasPrior, Symbolic
from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import conf_dir
from hourglass.configuration.schema import located
from hourglass.losses import Term, logged, total
from hourglass.measures.restorations import METHODS
from hourglass.models import Autoencoder, Output, Solvable, stages_of
from hourglass.noise import Corruption
from hourglass.pipeline.compose import Parts, compose
from hourglass.regularizers import Penalties
from hourglass.system.errors import HourglassError


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


#: But for the one whose parts are a person's own: tests/models/test_modules.py.
MODELS = [name for name in names("model") if name != "modules"]
NOISES, REGULARIZERS = names("noise"), names("regularizer")
LOSSES, OPTIMIZERS = names("loss"), names("optimizer")
#: With what each prior and each flow makes of a gaussian code, whose own are `normal` and `none`.
BOTTLENECKS = [
    *names("bottleneck"),
    *(f"gaussian prior={name}" for name in names("prior") if name != "normal"),
    *(f"gaussian flow={name}" for name in names("flow") if name != "none"),
]


def chosen(bottleneck: str) -> list[str]:
    """The words of a choice in `BOTTLENECKS`."""
    return f"bottleneck={bottleneck}".split()


SHAPES = [(1, 28, 28), (1, 8, 8), (1, 9, 7), (3, 10, 13), (13,)]
IDENTITY = {"share": 0, "sigma": 0, "count": 0, "amount": 0, "factor": 1, "length": 1}
"""The keys of a noise that say how strong it is, and at what value it changes nothing; a noise has one."""


@cache
def config(*overrides: str) -> Any:
    data = [] if any(override.startswith("data=") for override in overrides) else ["data=digits"]
    return compose_config([*data, "trainer.accelerator=cpu", *overrides])[0]


def is_convolutional(name: str) -> bool:
    return "code_channels" in config(f"model={name}").model


LIGHT = {"residual": ("model.widths=[16,16,16]",)}
"""Overrides that make a model small enough for many laws."""


def make_model(name: str, shape: tuple[int, ...], *overrides: str, seed: int = 0) -> Autoencoder:
    """A model; one without weights for gradients is solved, with a code that any shape here has room for."""
    torch.manual_seed(seed)
    room = () if name in TRAINED else code_of(name, 8)
    model: Autoencoder = build(config(f"model={name}", *LIGHT.get(name, ()), *room, *overrides).model, shape=shape)
    if isinstance(model, Solvable):
        model.solve(torch.rand(100, *shape))
    return model


def code_of(name: str, size: int) -> tuple[str, ...]:
    """The override that gives a model a code of that size, if its size is free."""
    return (f"model.code_size={size}",) if "code_size" in config(f"model={name}").model else ()


def variants(name: str) -> list[tuple[str, ...]]:
    """Overrides for each set of a model's options, the keys that are false unless told otherwise."""
    options = [key for key, value in config(f"model={name}").model.items() if value is False]
    on = [
        [f"model.{key}=true" for key in chosen] for n in range(len(options) + 1) for chosen in combinations(options, n)
    ]
    return [(*each, *code_of(name, 8)) if each else () for each in on]


TRAINED = [name for name in MODELS if list(build(config(f"model={name}").model, shape=(1, 8, 8)).parameters())]
"""The models with weights for gradients; the others have a closed form."""
VARIANTS = [(name, each) for name in MODELS for each in variants(name)]


def make_noise(
    name: str, *overrides: str, shape: tuple[int, ...] = (1, 8, 8), bounds: tuple[float, float] = (0.0, 1.0)
) -> Corruption:
    noise: Corruption = build(config(f"noise={name}", *overrides).noise, bounds=bounds, shape=shape)
    return noise


@cache
def takes(noise: str, shape: tuple[int, ...]) -> bool:
    """Whether the noise doesn't refuse samples of this shape."""
    try:
        make_noise(noise, shape=shape)
    except HourglassError:
        return False
    return True


def suited_shape(name: str) -> tuple[int, ...]:
    """A small shape that the noise takes."""
    return next(shape for shape in ((1, 8, 8), (3, 10, 13)) if takes(name, shape))


def make_penalties(name: str) -> Penalties:
    penalties: Penalties = build(config(f"regularizer={name}").regularizer)
    return penalties


CODES = (
    ("model.bottleneck.activation=sigmoid",),
    ("model.bottleneck.activation=linear",),
    ("bottleneck=gaussian",),
    ("bottleneck=gaussian", "model.bottleneck.beta=0"),
    ("bottleneck=top_k", "model.bottleneck.k=3"),
    ("bottleneck=jump_relu",),
)
"""Codes of which every regularizer suits at least one."""


@cache
def suited(regularizer: str, model: str) -> tuple[str, ...]:
    """Overrides that give the model a code which the regularizer doesn't refuse."""
    for code in CODES:
        overrides = (*code, "model.code_size=6")
        if suits(regularizer, make_model(model, (1, 8, 8), *overrides)):
            return overrides
    raise AssertionError(f"{regularizer} refuses every code of {model}")


def suits(regularizer: str, model: Autoencoder) -> bool:
    """Whether the regularizer doesn't refuse the model."""
    try:
        make_penalties(regularizer).attach(model, batch_size=32)
    except HourglassError:
        return False
    return True


def long_off(model: Autoencoder) -> None:
    """Make a bottleneck that counts how long its units have been off believe that all have been for long."""
    if model.bottleneck.idle is not None:
        model.bottleneck.idle.fill_(1_000_000)


def level_off(name: str) -> list[str]:
    """Overrides that set the level of a noise to where it changes nothing."""
    processes = {key: node for key, node in config(f"noise={name}").noise.items() if hasattr(node, "_target_")}
    return [
        f"noise.{key}.{level}={off}"
        for key, node in processes.items()
        for level, off in IDENTITY.items()
        if level in node
    ]


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
        loss = total(terms)
        parts.learner.optimizer.zero_grad()
        loss.backward()
        parts.learner.optimizer.step()
        losses.append(loss.item())
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


@pytest.mark.parametrize("name", [name for name in MODELS if code_of(name, 1)])
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


@pytest.mark.parametrize("bottleneck", BOTTLENECKS)
def test_in_bfloat16_a_bottleneck_still_works_with_32_bits(bottleneck: str) -> None:
    model = make_model("multilayer", (1, 8, 8), *chosen(bottleneck), "model.code_size=16")
    x = torch.rand(6, 1, 8, 8)
    same = deepcopy(model.bottleneck)
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(x)
    torch.manual_seed(1)
    expected = same(output.encoded)
    assert output.code.dtype == output.reconstruction.dtype == torch.float32
    torch.testing.assert_close(output.code, expected.code, rtol=0, atol=0)
    torch.testing.assert_close(output.losses, expected.losses, rtol=0, atol=0)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_save_and_load_are_exact(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    model, other = (make_model(name, (1, 9, 7), *options, seed=seed) for seed in (0, 1))
    x = torch.rand(5, 1, 9, 7)
    assert not model.state_dict() or not torch.equal(model(x).reconstruction, other(x).reconstruction)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, tmp_path / "weights")
    other.load_state_dict(load_file(tmp_path / "weights"))
    for key, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
    assert torch.equal(model(x).reconstruction, other(x).reconstruction)
    assert torch.equal(model.encode(x), other.encode(x))


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_a_copy_is_a_model_of_its_own(name: str, options: tuple[str, ...]) -> None:
    model, x = make_model(name, (1, 8, 8), *options), torch.rand(5, 1, 8, 8)
    before = model(x).reconstruction
    copied = deepcopy(model)
    assert torch.equal(copied(x).reconstruction, before)
    with torch.no_grad():
        for weight in copied.state_dict().values():
            weight.add_(1)
    assert torch.equal(model(x).reconstruction, before)
    assert not model.state_dict() or not torch.equal(copied(x).reconstruction, before)


@pytest.mark.parametrize(("name", "options"), [each for each in VARIANTS if each[0] in TRAINED], ids=str)
def test_a_stack_of_models_is_each_of_them(name: str, options: tuple[str, ...]) -> None:
    """And every parameter of the stack has the gradient that it has alone."""
    models = [make_model(name, (1, 8, 8), *options, seed=seed) for seed in range(3)]
    x = torch.rand(5, 1, 8, 8)
    parameters, buffers = torch.func.stack_module_state(models)
    base = deepcopy(models[0]).to("meta")

    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        output: Output = torch.func.functional_call(base, (parameters, buffers), (x,))
        return (output.reconstruction - x).square().mean()

    gradients = torch.func.vmap(torch.func.grad(loss))(parameters, buffers)
    for at, model in enumerate(models):
        (model(x).reconstruction - x).square().mean().backward()
        for key, weight in model.named_parameters():
            assert weight.grad.any(), key
            torch.testing.assert_close(gradients[key][at], weight.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_stages_put_together_are_the_model(name: str, options: tuple[str, ...]) -> None:
    model = make_model(name, (1, 9, 7), *options).eval()
    try:
        stages = stages_of(model)
    except ValueError as refusal:
        pytest.skip(str(refusal))
    z = x = torch.rand(5, 1, 9, 7)
    for stage in stages:
        assert stage.decode(stage.encode(z)).shape == z.shape
        z = stage.encode(z)
    torch.testing.assert_close(z, model.encode(x))
    for stage in reversed(stages):
        z = stage.decode(z)
    torch.testing.assert_close(z, model(x).reconstruction)
    assert sorted(id(p) for stage in stages for p in stage.parameters) == sorted(map(id, model.parameters()))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_either_solved_or_trained(name: str) -> None:
    model, x = make_model(name, (1, 8, 8)), torch.rand(100, 1, 8, 8)
    assert isinstance(model, Solvable) == (name not in TRAINED)
    if not isinstance(model, Solvable):
        return
    model.solve(x)
    solved = deepcopy(model.state_dict())
    model.solve(x.flip(0))  # the order of the samples has no say
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value.abs(), solved[key].abs(), rtol=1e-3, atol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize(("name", "regularizer"), product(TRAINED, REGULARIZERS), ids=str)
def test_the_gradient_reaches_every_parameter(name: str, regularizer: str) -> None:
    parts = fresh_parts(f"model={name}", *suited(regularizer, name), *LIGHT.get(name, ()), regularizer=regularizer)
    x = parts.data.scaled(parts.data.train.x[:32])
    _, terms = parts.learner.terms(x, x)
    total(terms).backward()
    for key, parameter in parts.model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


@pytest.mark.parametrize(("name", "code"), product(TRAINED, CODES), ids=str)
def test_inactive_units_have_no_say(name: str, code: tuple[str, ...]) -> None:
    """Whatever the encoder puts out for them: not in the reconstruction, the code or any penalty."""
    model = make_model(name, (1, 8, 8), *code, "model.code_size=6").eval()
    off = torch.tensor([0, 0, 1, 0, 1, 1])
    model.bottleneck.active.copy_(1 - off)
    x = torch.rand(5, 1, 8, 8)
    long_off(model)
    penalties = [make_penalties(each).eval() for each in REGULARIZERS if suits(each, model)]

    def everything() -> dict[str, Tensor]:
        torch.manual_seed(0)
        output = model(x)
        terms = output.losses | {key: term for each in penalties for key, term in each(model, x, output).items()}
        return {"reconstruction": output.reconstruction, "code": output.code, **logged(terms)}

    before = everything()
    assert not before["code"][:, off == 1].any()
    values = model.bottleneck.inputs // len(off)  # that a unit takes from the encoder
    model.encoder.register_forward_hook(lambda _module, _given, out: out + 3.0 * off.repeat(values))
    after = everything()
    for key, value in before.items():
        assert torch.equal(value, after[key]), key
    model.bottleneck.active.fill_(1)
    assert not torch.equal(everything()["reconstruction"], after["reconstruction"])


# -- noise -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shape"), product(NOISES, SHAPES), ids=str)
def test_noise_keeps_shape_and_type_and_its_input(name: str, shape: tuple[int, ...]) -> None:
    if not takes(name, shape):
        reason = rf"^noise.{name} needs .*images .*, got samples of shape {re.escape(str(shape))}$"
        with pytest.raises(HourglassError, match=reason):
            make_noise(name, shape=shape)
        return
    noise = make_noise(name, shape=shape)
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
        shape = suited_shape(name)
        noise = make_noise(name, shape=shape, bounds=bounds)
        x = bounds[0] + (bounds[1] - bounds[0]) * torch.rand(100, *shape)
        # Flat images too, of any level: an average must not leave them by a last bit.
        x[50:] = x[50:].flatten(1)[:, :1].view(-1, *[1] * len(shape))
        x[:50:5], x[1:50:5] = bounds[0], bounds[1]
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
    x = torch.rand(4, *suited_shape(name))
    assert torch.equal(make_noise(name, *overrides, shape=suited_shape(name))(x), x)


@pytest.mark.parametrize("name", NOISES)
def test_a_noise_names_restorations_that_there_are(name: str) -> None:
    assert set(make_noise(name, shape=suited_shape(name)).baselines) <= set(METHODS)


@pytest.mark.parametrize("name", NOISES)
def test_fixed_noise_repeats_itself_and_disturbs_nothing(name: str) -> None:
    shape = suited_shape(name)
    x = torch.rand(4, *shape)
    noise, other_seed = make_noise(name, shape=shape), make_noise(name, "noise.seed=1", shape=shape)
    torch.manual_seed(7)
    drawn = not torch.equal(noise(x), noise(x))  # a blur for example is the same every time
    assert not (drawn and name == "none")
    state = torch.get_rng_state()

    def draw(corruption: Corruption, batch: int) -> Tensor:
        with corruption.seeded(batch):
            return corruption(x)

    first = draw(noise, 0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(8)
    assert torch.equal(draw(noise, 0), first)
    for another in (draw(noise, 1), draw(other_seed, 0)):
        assert torch.equal(another, first) != drawn


def test_fixed_noise_leaves_the_random_state_alone_when_something_fails_within() -> None:
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="size"), make_noise("gaussian").seeded():
        torch.rand(3) + torch.rand(2)
    assert torch.equal(torch.get_rng_state(), state)


# -- regularizers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "model_name"), product(REGULARIZERS, TRAINED), ids=str)
def test_penalties_are_positive_and_linear_in_their_weight(name: str, model_name: str) -> None:
    model = make_model(model_name, (1, 8, 8), *suited(name, model_name))
    penalties = make_penalties(name)
    penalties.attach(model, batch_size=32)
    x = torch.rand(5, 1, 8, 8)
    output = model(x)
    long_off(model)

    def terms(factor: float) -> dict[str, Tensor]:
        torch.manual_seed(0)  # some compare the code with draws
        scaled = make_penalties(name)
        for penalty in scaled.regularizers.values():
            for buffer in (buffer for key, buffer in penalty.named_buffers() if key == "weight"):
                buffer.mul_(factor)
        return {key: term.weighted for key, term in scaled(model, x, output).items()}

    weighted = {key: each for key, each in penalties.regularizers.items() if "weight" in dict(each.named_buffers())}
    assert terms(1.0).keys() == weighted.keys()  # what has no weight adds no term
    for key, value in terms(1.0).items():
        assert value.shape == ()
        assert value.item() > 0 or weighted[key].signed
        assert terms(0.0)[key] == 0.0
        assert terms(4.0)[key] == 4 * value  # a power of two, so exactly
        assert terms(3.0)[key].item() == pytest.approx(3 * value.item(), rel=1e-6)


def means_over_samples(penalties: Penalties, model: Autoencoder) -> None:
    """Assert that of a code in use the terms of 24 samples are the means of those of 8, 8 and 8."""
    model.eval()
    penalties.eval()
    x = torch.rand(24, 1, 8, 8)

    def terms(part: Tensor) -> dict[str, Tensor]:
        output = model(part)
        return logged({**output.losses, **penalties(model, part, output), "zero": Term(x.new_zeros(()))})

    with torch.no_grad():
        parts = [terms(part) for part in x.split(8)]
        for name, value in terms(x).items():
            assert value.item() == pytest.approx(sum(part[name].item() for part in parts) / 3, rel=1e-4, abs=1e-7), name


@pytest.mark.parametrize("name", REGULARIZERS)
def test_a_penalty_that_mixes_no_samples_is_the_mean_over_them(name: str) -> None:
    """Which is what validation takes it for; one that does is measured in batches of about the training's size."""
    model, penalties = make_model("multilayer", (1, 8, 8), *suited(name, "multilayer")), make_penalties(name)
    if not any(each.mixes_samples for each in penalties.regularizers.values()):
        penalties.attach(model, batch_size=8)
        means_over_samples(penalties, model)


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_terms_of_a_bottleneck_that_mixes_no_samples_are_means_over_them(name: str) -> None:
    model = with_bottleneck(name).model
    if not any(getattr(module, "mixes_samples", False) for module in model.modules()):
        means_over_samples(Penalties(), model)


@pytest.mark.parametrize(("name", "bottleneck"), product(REGULARIZERS, BOTTLENECKS), ids=str)
def test_every_regularizer_goes_with_every_bottleneck_or_says_why_not(name: str, bottleneck: str) -> None:
    """In a step of the training, with 32 bits and in bfloat16, and outside training."""
    model = make_model("multilayer", (1, 8, 8), *chosen(bottleneck), "model.code_size=16", "model.widths=null")
    penalties = make_penalties(name)
    if not suits(name, model):
        with pytest.raises(HourglassError, match=rf"^regularizer {name} needs a .*[;:] (set|choose) [^\n]*$"):
            penalties.attach(model, batch_size=32)
        return
    penalties.attach(model, batch_size=32)
    x = torch.rand(32, 1, 8, 8)
    for training, bfloat16 in product((True, False), (False, True)):
        model.train(training).zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            terms = penalties(model, x, model(x))
        for value in (term.weighted for term in terms.values()):
            assert value.isfinite()
            assert value.dtype == torch.float32
            if value.requires_grad:  # a one-hot code outside training has no gradient
                value.backward()
        assert model.bottleneck.training == training
        for key, weight in model.named_parameters():
            assert weight.grad is None or weight.grad.isfinite().all(), key


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


@pytest.mark.parametrize(("name", "optimizer"), product(TRAINED, OPTIMIZERS), ids=str)
def test_twenty_steps_at_the_configured_rate_lower_the_loss(name: str, optimizer: str) -> None:
    losses = descend(fresh_parts(f"model={name}", *LIGHT.get(name, ()), optimizer=optimizer), 20)
    assert losses[-1] < losses[0]


EACH_ONCE = set(zip(NOISES, cycle(LOSSES), strict=False))  # there are fewer losses


@pytest.mark.parametrize(
    ("noise", "loss"),
    [pytest.param(*pair, marks=() if pair in EACH_ONCE else pytest.mark.slow) for pair in product(NOISES, LOSSES)],
)
def test_twenty_steps_lower_the_loss_under_every_noise(noise: str, loss: str) -> None:
    data = [] if takes(noise, (1, 8, 8)) else ["data=patches", "data.colour=true", "data.size=8", "data.count=300"]
    losses = descend(fresh_parts(*data, f"noise={noise}", "optimizer.lr=0.01", loss=loss), 20)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", TRAINED)
def test_same_seed_same_loss_and_another_seed_another(name: str) -> None:
    overrides = [f"model={name}", "noise=masking", *LIGHT.get(name, ())]
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

ROOM = {"conv": "model.depth=1", "conv_dae": "model.depth=1", "multilayer": "model.depth=1"}


def combined(model: str, bottleneck: str, *overrides: str) -> Any:
    """The configuration of a model with a bottleneck, which is put in afterwards: faster than to compose every pair."""
    whole, made = config(f"model={model}", *overrides).copy(), config(*chosen(bottleneck))
    whole.model.bottleneck, whole.loss.reduction = made.model.bottleneck, made.loss.reduction
    return whole


def with_bottleneck(name: str, model: str = "vanilla") -> Parts:
    widths = LIGHT.get(model, ["model.widths=null"] if "widths" in config(f"model={model}").model else ())
    whole = combined(model, name, "model.code_size=16", *widths, *([ROOM[model]] if model in ROOM else []))
    torch.manual_seed(whole.seed)
    return compose(whole)


@pytest.mark.parametrize(("name", "model"), [("relu", "dictionary"), (BOTTLENECKS[-1], "conv")])
def test_a_bottleneck_that_is_put_in_is_one_that_is_chosen(name: str, model: str) -> None:
    assert combined(model, name) == config(f"model={model}", *chosen(name))


@pytest.mark.parametrize("name", BOTTLENECKS, ids=str)
def test_a_code_as_it_is_trained_is_that_of_a_training_step(name: str) -> None:
    """And asking for it changes nothing; where it is no other code, the bottleneck says so."""
    model = with_bottleneck(name, TRAINED[0]).model.train()
    x = torch.rand(32, 1, 8, 8)
    torch.manual_seed(0)
    step = model(x)
    model.eval()
    held = {key: value.clone() for key, value in model.state_dict(keep_vars=True).items()}
    output = model(x)
    torch.manual_seed(0)
    trained = model.as_trained(output)
    if not hasattr(model.bottleneck, "codebook"):  # which the step has moved
        assert torch.equal(trained.code, step.code)
        assert torch.equal(trained.reconstruction, step.reconstruction)
    assert model.bottleneck.differs == (not torch.equal(trained.code, output.code))
    for key, value in model.state_dict().items():
        assert torch.equal(value, held[key]), key


@pytest.mark.parametrize(("name", "model"), product(BOTTLENECKS, TRAINED), ids=str)
def test_every_bottleneck_works_in_every_model(name: str, model: str) -> None:
    parts = with_bottleneck(name, model)
    x = parts.data.scaled(parts.data.train.x[:32])
    parts.model.train()
    output, terms = parts.learner.terms(x, x)
    assert output.reconstruction.shape == x.shape
    assert output.code.shape == (32, 16)
    low, high = parts.model.bottleneck.code_range
    assert low <= output.code.min() <= output.code.max() <= high
    assert all(value.shape == () and value.isfinite() for value in logged(terms).values())
    total(terms).backward()
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


@pytest.mark.parametrize(("name", "model"), product(BOTTLENECKS, [name for name in MODELS if name not in TRAINED]))
def test_a_model_in_closed_form_takes_a_linear_code_only(name: str, model: str) -> None:
    if config(*chosen(name)).model.bottleneck.get("activation") == "linear":
        build(combined(model, name, *code_of(model, 8)).model, shape=(1, 8, 8))
        return
    # Or it can't be built for the code at all: that of `mean` has one unit.
    refusal = (
        r"^model(\.bottleneck( must be linear .*: set bottleneck=linear|\.\w+ must .* code_size=1, got (\d+|\[.*\]))"
        r"|: code_size must be at least 2, got 1)$"
    )
    with pytest.raises(HourglassError, match=refusal):
        build(combined(model, name, *code_of(model, 16)).model, shape=(1, 8, 8))


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_what_is_drawn_from_a_prior_is_a_code(name: str) -> None:
    model = with_bottleneck(name).model.eval()
    model.bottleneck.active[8:] = 0
    if not isinstance(model.bottleneck, HasPrior):
        return
    code = model.bottleneck.prior(50)
    assert code.shape == (50, 16)
    assert not code[:, 8:].any()
    assert code[:, :8].any(dim=0).all()
    low, high = model.bottleneck.code_range
    assert low <= code.min() <= code.max() <= high
    assert model.decode(code).shape == (50, *model.shape)


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_draws_have_finite_densities_and_pass_gradients(name: str) -> None:
    parts = with_bottleneck(name)
    x = parts.data.scaled(parts.data.train.x[:6])
    if not isinstance(parts.model.bottleneck, HasDensity):
        return
    draws = parts.model.bottleneck.draws(parts.model.encoder(x), 5)
    assert draws.code.shape == (5, 6, 16)
    assert not torch.equal(draws.code[0], draws.code[1])
    for density in (draws.log_prior, draws.log_posterior):
        assert density.shape == (5, 6)
        assert density.isfinite().all()
    (draws.log_prior - draws.log_posterior).mean().backward()
    assert all(weight.grad.any() for weight in parts.model.encoder.parameters())


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_symbols_are_counted_once_for_each_sample_and_place(name: str) -> None:
    model, x = with_bottleneck(name).model.eval(), torch.rand(30, 1, 8, 8)
    if not isinstance(model.bottleneck, Symbolic):
        return
    a = model.encoder(x)
    symbols = model.bottleneck.symbols(a)
    assert symbols.ndim == 2
    assert symbols.min() >= 0
    assert (symbols.sum(dim=1) == symbols[0].sum()).all()
    assert symbols[0].sum() % 30 == 0
    assert torch.equal(symbols, sum(model.bottleneck.symbols(part) for part in a.split(10)))
    choices = model.bottleneck.choices(a)
    assert choices.shape == (30, symbols.sum() // 30)  # no unit is inactive here: as many as are counted
    assert 0 <= choices.min() <= choices.max() < symbols.shape[1]


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_units_that_are_on_are_not_idle(name: str) -> None:
    model, x = with_bottleneck(name).model.train(), torch.rand(30, 1, 8, 8)
    if model.bottleneck.idle is None:
        return
    for step in range(1, 4):
        on = (model(x).code != 0).any(dim=0)
        assert torch.equal(model.bottleneck.idle == 0, on)
        assert model.bottleneck.idle.max() <= step
    counted = model.bottleneck.idle.clone()
    model.eval()(x)
    assert torch.equal(model.bottleneck.idle, counted)


def test_a_divergence_in_nats_needs_a_reconstruction_in_nats() -> None:
    with pytest.raises(HourglassError, match=r"nats per sample: set loss\.reduction=sum, got mean"):
        fresh_parts("bottleneck=gaussian", "loss.reduction=mean")


# -- defaults -----------------------------------------------------------------------------------------------------


def plain(node: dict[str, Any]) -> dict[str, Any]:
    """What a node of a yaml says without referring to anything: no object, no other key, nothing that must be given."""
    return {
        key: value
        for key, value in node.items()
        if not key.startswith("_") and not isinstance(value, dict) and "${" not in str(value)
    }


def as_written(path: Path, group: str) -> dict[str, Any]:
    """The node of a class in a yaml, before anything is composed; empty where there is none."""
    node: Any = OmegaConf.to_container(OmegaConf.load(path))
    for key in (*group.split("."), path.stem):
        node = node.get(key, node)
    return node if "_target_" in node else {}


def constructed() -> dict[str, dict[str, Any]]:
    """Each class that the choices make, with its node.

    Where several choices make one class, that of the choice which the whole pipeline begins with.
    """
    whole = conf_dir() / "config.yaml"
    first = {key: value for each in OmegaConf.load(whole).defaults if each != "_self_" for key, value in each.items()}
    found = {"hourglass.noise.Corruption": as_written(whole, "noise")}
    places = {"model": "model", "bottleneck": "model.bottleneck", "prior": "", "flow": "flow"}
    for group, where in {**places, "noise": "", "regularizer": ""}.items():
        for name in sorted(names(group), key=lambda name: name != first.get(group)):
            node = as_written(conf_dir() / group / f"{name}.yaml", where)
            if node:
                found.setdefault(node["_target_"], node)
    return found


CONSTRUCTED = constructed()
PARTS = {"bottleneck": ("linear", ""), "prior": ("normal", ""), "flow": ("iaf", "flow")}
"""What constructors are given to build, by the choice that they build unless told otherwise, and where it stands."""


@pytest.mark.parametrize("target", CONSTRUCTED)
def test_a_constructor_has_the_defaults_of_the_yaml(target: str) -> None:
    parameters = inspect.signature(located(target, "")).parameters
    defaults = {
        key: list(each.default) if isinstance(each.default, tuple) else each.default
        for key, each in parameters.items()
        if each.default is not inspect.Parameter.empty
    }
    for part, (first, where) in PARTS.items():
        if part in parameters:
            assert defaults.pop(part) is located(as_written(conf_dir() / part / f"{first}.yaml", where)["_target_"], "")
    assert defaults.pop("target_shape", None) is None  # which the data set says, as it says the shape
    assert defaults == plain(CONSTRUCTED[target])


def test_constructors_are_found() -> None:
    assert len(CONSTRUCTED) >= 40
    assert CONSTRUCTED["hourglass.models.MLP"]["depth"] == 0  # of vanilla
    assert CONSTRUCTED["hourglass.bottlenecks.Deterministic"]["activation"] == "linear"
