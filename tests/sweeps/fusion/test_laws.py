"""Laws of fusion: a member of a stack is what it would have become alone, for every component that conf/ offers.

A new component is found here by its yaml file alone. Members differ in seed, code size, widths, learning rate and in
everything that the component's class holds as a tensor.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any, get_type_hints

import pytest
import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import conf_dir
from hourglass.configuration.moved import SCHEDULES
from hourglass.data import Dataset, Split
from hourglass.data.paired import paired
from hourglass.losses import logged
from hourglass.pipeline.compose import compose
from hourglass.sweeps.fusion.grouping import structure, why_not
from hourglass.sweeps.fusion.lockstep import template_of
from hourglass.system.errors import HourglassError
from hourglass.training.batches import Chunk
from hourglass.training.minibatch import Minibatch
from hourglass.training.stacks.stack import Stack

Values = Mapping[str, Any]


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


SMALL = (
    "data=digits",
    "data.train_size=100",
    "training.batch_size=20",
    "training.epochs=20",
    "trainer.accelerator=cpu",
)
COSINE = SCHEDULES["cosine"]
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
LENGTHS = [pytest.param((10, 5), id="short"), pytest.param((100, 20), id="whole", marks=pytest.mark.slow)]
"""Steps in float64 and in float32, for the laws with many cases: the whole of them with `make test-slow`."""
STEPS = 5
"""In a chunk: the whole of the training set."""


WEIGHTED = ("importance_weighted", "miwae", "ciwae", "piwae", "hamiltonian", "riemannian")
"""Procedures that draw codes in every measurement."""


@cache
def composed(*overrides: str) -> DictConfig:
    return compose_config([*SMALL, *overrides])[0]


@cache
def choice(group: str, name: str) -> DictConfig:
    """The configuration with a choice that the rest suits."""
    suiting = ["bottleneck=gaussian"] if name in (*WEIGHTED, "factor", "vae_gan") else []
    return compose_config(["data=digits", f"{group}={name}", *suiting])[0]


@cache
def digits() -> Dataset:
    return build(composed().data)


@cache
def with_choice(model: str, group: str, name: str) -> DictConfig:
    """A configuration with a choice put in afterwards, which is ten times faster than to compose every pair."""
    whole = composed(f"model={model}").copy()
    path = conf_dir() / group / f"{name}.yaml"
    node = OmegaConf.load(path)
    OmegaConf.set_struct(whole, False)
    if path.read_text().startswith("# @package _global_"):
        whole.model.bottleneck = {}
        whole.merge_with(node)
    elif group == "bottleneck":
        whole.model.bottleneck = node
    elif group in ("noise", "regularizer"):
        whole[group].merge_with(node)
    else:
        whole[group] = node
    return whole


def make(
    configs: Sequence[DictConfig], dtype: torch.dtype, data: Dataset | None = None, *, device: str = "cpu"
) -> list[Minibatch]:
    learners = []
    for each in configs:
        torch.manual_seed(each.seed)
        learner = compose(each, data=data or digits()).learner.to(device, dtype)
        learner.configure_optimizers()
        learners.append(learner)
    return learners


def stacked(members: Sequence[Minibatch], configs: Sequence[DictConfig], data: Dataset | None = None) -> Stack:
    return Stack(members=members, template=template_of(members, configs, data or digits()))


def chunks(members: Sequence[Minibatch]) -> list[Chunk]:
    """The training set for each member, frozen noise included."""
    found = []
    for member in members:
        some = next(member.parameters())
        chunk = next(iter(member.train_dataloader()))  # the same batches again and again
        x, corrupted, target = (
            None if part is None else part.to(some.device, some.dtype)
            for part in (member.data.scaled(chunk.x), chunk.corrupted, chunk.target)
        )
        found.append(Chunk(x, corrupted, None if chunk.y is None else chunk.y.to(some.device), target=target))
    return found


def alone(members: Sequence[Minibatch], given: Sequence[Chunk], steps: int) -> list[dict[str, Tensor]]:
    histories = []
    for member, chunk in zip(members, given, strict=True):
        parts = []
        for _ in range(steps // STEPS):
            parts.append(member.own_steps(chunk))
            member.steps_done += STEPS
        histories.append({name: torch.cat([part[name] for part in parts]) for name in parts[0]})
    return histories


def together(stack: Stack, given: Sequence[Chunk], steps: int) -> list[dict[str, Tensor]]:
    parts = []
    for _ in range(steps // STEPS):
        parts.append(stack.advance(given))
        for member in stack.members:
            member.steps_done += STEPS
    return [
        {name: torch.cat([part[row][name] for part in parts]) for name in parts[0][row]}
        for row in range(len(stack.members))
    ]


def differs(one: torch.nn.Module, other: torch.nn.Module) -> float:
    """The largest relative difference of two models' tensors, each by its norm."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max(((a - b).double().norm() / a.double().norm().clamp(min=1e-30)).item() for a, b in pairs)


def assert_law(
    configs: Sequence[DictConfig],
    *,
    data: Dataset | None = None,
    training: bool = True,
    double: int = 100,
    single: int = 20,
    biased: bool = False,
) -> None:
    """Fused and alone the members become the same, and report the same losses, on every device that is there."""
    assert len({structure(each) for each in configs}) == 1
    assert all(why_not(each) is None for each in configs)
    for device, (dtype, steps, tolerance) in product(
        DEVICES, ((torch.float64, double, 1e-8), (torch.float32, single, 1e-5))
    ):
        learners = make(configs, torch.float64, data, device=device)
        for each in learners if biased else ():
            each.model.encoder[-1].bias.data.fill_(0.1)
        single_runs, members = ([each.to(dtype) for each in deepcopy(learners)] for _ in range(2))
        stack = stacked(members, configs, data)
        for each in (*single_runs, *members, stack.terms):
            each.train(training)
        expected = alone(single_runs, chunks(single_runs), steps)
        got = together(stack, chunks(members), steps)
        for run, member, history, mine in zip(single_runs, members, expected, got, strict=True):
            assert differs(run.model, member.model) < tolerance
            assert history.keys() == mine.keys()
            for name, values in history.items():
                torch.testing.assert_close(mine[name], values.detach().cpu(), rtol=10 * tolerance, atol=10 * tolerance)


def held_as_tensors(node: DictConfig, path: str) -> dict[str, Any]:
    """The values below a node that its class holds as tensors, by their full key."""
    found: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, DictConfig):
            found |= held_as_tensors(value, f"{path}.{key}")
    target = str(node.get("_target_", ""))
    hints = get_type_hints(get_object(target)) if target.startswith("hourglass.") else {}
    return found | {f"{path}.{key}": node[key] for key in node if hints.get(key) is Tensor}


def halved(value: Any) -> Any:
    if isinstance(value, int):
        return max(1, value // 2)
    return [each / 2 for each in value] if not isinstance(value, float) else value / 2


def members_of(base: DictConfig, sizes: Sequence[Values]) -> list[DictConfig]:
    """Members of the given sizes; those after the first have half of everything that is held as a tensor."""
    tensors = {k: v for node in ("model", "noise", "regularizer") for k, v in held_as_tensors(base[node], node).items()}
    half = {key: halved(value) for key, value in tensors.items()}
    own = ({"optimizer.lr": 3e-3}, {"seed": 1, **half}, {"seed": 2, "optimizer.lr": 1e-2, **half})
    configs = []
    for each, size in zip(own, sizes, strict=False):
        configs.append(base.copy())
        for key, value in {**each, **size}.items():
            OmegaConf.update(configs[-1], key, value)
    return configs


BENT = [f"gaussian flow={name}" for name in names("flow") if name != "none"]
PRIORS = [f"gaussian prior={name}" for name in names("prior") if name != "normal"]
TOLD = [name for name in names("condition") if name != "none"]
CODES = tuple({"model.code_size": size} for size in (16, 8, 16))
PAIR = CODES[:2]


# -- models ----------------------------------------------------------------------------------------------------------

DEEP = tuple(
    {"model.widths": list(widths), **code} for widths, code in zip(((9, 5), (4, 12), (9, 5)), CODES, strict=True)
)
MAPS = tuple({"model.widths": widths} for widths in ([3, 2], [2, 4], [3, 2]))
MODELS = {
    "vanilla": (("model=vanilla",), CODES),
    "tied": (("model=vanilla", "model.tied=true", "model.unit_norm=true"), CODES),
    "unit_norm": (("model=vanilla", "model.unit_norm=true"), CODES),
    "multilayer": (("model=multilayer", "model.depth=2", "model.widths=[9,5]"), DEEP),
    "multilayer tied": (("model=multilayer", "model.depth=2", "model.widths=[9,5]", "model.tied=true"), DEEP),
    "dictionary": (("model=dictionary",), CODES),
    "conv": (("model=conv", "model.depth=2"), MAPS),
    "transformer": (
        ("model=transformer", "model.patch_size=4", "model.code_size=9"),
        tuple({"model.code_size": size} for size in (9, 5, 2)),
    ),
    "conv_dae": (("model=conv_dae", "model.depth=2"), MAPS),
    "residual": (
        ("model=residual", "model.depth=1", "model.widths=[8,8]", "model.groups=2", "model.code_size=9"),
        tuple({"model.code_size": size} for size in (9, 5, 2)),
    ),
    "conv dense": (
        ("model=conv", "model.depth=1", "model.code_size=9"),
        tuple({"model.widths": [width], "model.code_size": size} for width, size in ((2, 9), (3, 5), (3, 2))),
    ),
}


def test_every_model_that_is_trained_by_gradients_is_here() -> None:
    held = {each[0][0].removeprefix("model=") for each in MODELS.values()}
    whole = set(names("model")) - {"modules"}  # whose parts are a person's own
    assert {name for name in whole if why_not(choice("model", name)) is None} == held


LONG = {"residual": pytest.mark.slow}  # its many small convolutions, each grouped


@pytest.mark.long
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", [pytest.param(name, marks=LONG.get(name, ())) for name in MODELS])
def test_every_model_becomes_what_it_would_alone(name: str, length: tuple[int, int]) -> None:
    overrides, sizes = MODELS[name]
    smooth = [] if {"model=dictionary", "model=transformer"} & set(overrides) else ["model.activation=sigmoid"]
    # The bias of attention's keys changes nothing: its gradient is rounding, which Adam would make a step of.
    calm = ["optimizer.eps=1e-4"] if name == "transformer" else []
    assert_law(members_of(composed(*overrides, *smooth, *calm), sizes), double=length[0], single=length[1])


# -- bottlenecks, noises, regularizers -------------------------------------------------------------------------------


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", [*names("bottleneck"), *BENT])
def test_every_bottleneck_becomes_what_it_would_alone(name: str, length: tuple[int, int]) -> None:
    """One that draws its code is compared outside training, where it doesn't."""
    bent = composed("model=vanilla", *f"bottleneck={name}".split()) if name in BENT else None
    base = bent or with_choice("vanilla", "bottleneck", name)
    if "categories" in base.model.bottleneck:
        base.model.bottleneck.categories = 4  # the smaller code has no room for more
    # What is spread has no use for a bias: its gradient is rounding, which Adam would make a step of.
    spread = name == "finite_scalar"
    if spread:
        base.optimizer.eps = 1e-4
    configs = members_of(base, PAIR)
    assert_law(configs, training=not draws(configs[0]), double=length[0], single=length[1], biased=spread)


@pytest.mark.parametrize("model", ["multilayer", "conv dense"])
@pytest.mark.parametrize("name", TOLD)
def test_what_is_told_a_class_becomes_what_it_would_alone(name: str, model: str) -> None:
    overrides, sizes = MODELS[model]
    smooth = "model.activation=sigmoid"
    assert_law(members_of(composed(*overrides, smooth, f"condition={name}"), sizes), double=10, single=5)


def draws(whole: DictConfig, *, training: bool = True) -> bool:
    """Whether the loss depends on random numbers."""
    (learner,) = make([whole], torch.float32)
    learner.train(training)
    x, y = digits().scaled(digits().train.x[:20]), digits().train.y
    first, second = (logged(learner.terms(x, learner.noise(x), y if y is None else y[:20])[1]) for _ in range(2))
    return any(not torch.equal(first[name], second[name]) for name in first)


@cache
def coloured() -> Dataset:
    """The digits in three shades: what every noise suits."""
    data = digits()

    def colour(split: Split) -> Split:
        return replace(split, x=(split.x * torch.tensor([1.0, 0.5, 0.2]).view(3, 1, 1)).to(torch.uint8))

    splits = {name: colour(getattr(data, name)) for name in ("train", "validation", "test")}
    return replace(data, shape=(3, 8, 8), **splits)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", names("noise"))
def test_every_noise_that_is_frozen_makes_what_it_would_alone(name: str, length: tuple[int, int]) -> None:
    configs = members_of(with_choice("vanilla", "noise", name), PAIR)
    for each in configs:
        each.noise.frozen = True
    assert_law(configs, data=coloured(), double=length[0], single=length[1])


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("model", [pytest.param("vanilla", marks=pytest.mark.slow), "multilayer"])
@pytest.mark.parametrize("name", names("regularizer"))
def test_every_regularizer_does_what_it_would_alone(name: str, model: str, length: tuple[int, int]) -> None:
    """Those that draw are compared outside training, and if they draw there too, by what they draw (see below)."""
    configs = suited(name, model)
    training = not draws(configs[0])
    if training or not draws(configs[0], training=False):
        assert_law(configs, training=training, double=length[0], single=length[1])


def test_members_with_targets_do_what_they_would_alone() -> None:
    data = digits()
    goals = data.changed(lambda x: x[:, :, :4].float() / 255)
    base = with_choice("dictionary", "bottleneck", "gated").copy()
    base.regularizer.merge_with(with_choice("dictionary", "regularizer", "contractive").regularizer)
    assert_law(
        members_of(base, PAIR),
        data=paired(data, replace(goals, shape=(1, 4, 8)), key="target"),
        double=10,
        single=5,
    )


def suited(name: str, model: str = "vanilla") -> list[DictConfig]:
    """Two members with the first code that the regularizer doesn't refuse."""
    for code in ("linear", "relu", "gaussian", "gaussian without beta", "top_k", "jump_relu"):
        base = with_choice(model, "bottleneck", code.split()[0]).copy()
        base.regularizer.merge_with(with_choice(model, "regularizer", name).regularizer)
        if code == "relu":
            base.model.bottleneck.activation = "sigmoid"
        elif code == "gaussian without beta":
            base.model.bottleneck.beta = 0.0
        configs = members_of(base, PAIR)
        try:
            make(configs[:1], torch.float32)
        except HourglassError:
            continue
        return configs
    raise AssertionError(f"{name} refuses every code")


RANDOM = [
    # All draw in one place: the quick suite looks at three.
    *(
        pytest.param(f"noise={name}", marks=() if name in ("masking", "gaussian", "block") else pytest.mark.slow)
        for name in names("noise")
    ),
    *(f"bottleneck={name}" for name in ("binary", "categorical", "gaussian", "gamma", "hyperspherical", "poincare")),
    *(f"regularizer={name}" for name in ("dropout", "mmd", "sliced_wasserstein", "total_correlation")),
    *(pytest.param(f"training={name}", marks=pytest.mark.slow if name == "riemannian" else ()) for name in WEIGHTED),
    *("prior=vamp", "prior=mixture", "flow=iaf"),
]


@pytest.mark.long
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("component", RANDOM)
def test_what_is_drawn_has_the_same_distribution(component: str, device: str) -> None:
    """With weights that stand still, the loss of a batch is a draw; its mean is that of the draws alone."""
    group, _, name = component.partition("=")
    if name in WEIGHTED:
        base = composed(component, "bottleneck=gaussian")
        configs = [base.copy(), base.copy()]
        configs[0].model.code_size = 16
    elif group in ("prior", "flow"):
        configs = members_of(composed("bottleneck=gaussian", component), PAIR)
    else:
        configs = suited(name) if group == "regularizer" else members_of(with_choice("vanilla", group, name), PAIR)
    for each in configs:
        each.optimizer.lr = 0.0
    configs.append(configs[1].copy())  # twins
    single_runs, members = (make(configs, torch.float32, coloured(), device=device) for _ in range(2))
    torch.manual_seed(0)
    stack = stacked(members, configs, coloured())
    expected, got = alone(single_runs, chunks(single_runs), 60), together(stack, chunks(members), 60)
    for history, mine in zip(expected, got, strict=True):
        one, other = (each["loss"].cpu().double().view(-1, STEPS) for each in (history, mine))  # (rounds, batches)
        error = ((one.var(dim=0) + other.var(dim=0)) / len(one)).sqrt()
        assert ((one.mean(dim=0) - other.mean(dim=0)).abs() <= 5 * error + 1e-6).all()
    if component not in ("noise=none", "noise=blur", "noise=downsample", "noise=grayscale"):
        assert not torch.equal(got[1]["loss"], got[2]["loss"])


# -- optimizers ------------------------------------------------------------------------------------------------------

STACKED = [name for name in names("optimizer") if why_not(choice("optimizer", name)) is None]
OPTIMIZERS = {name: {} for name in STACKED} | {
    "sgd nesterov": {"optimizer.nesterov": True},
    "sgd plain": {"optimizer.momentum": 0.0},
    "rmsprop momentum": {"optimizer.momentum": 0.9},
}


@pytest.mark.long
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_makes_the_steps_that_it_would_alone(name: str) -> None:
    """Each member at its own rate, on its own schedule, with its own clipping and weight decay."""
    own = (
        {"training.gradient_clip": 1e-3, "training.warmup_steps": 30},
        {"schedule": COSINE, "optimizer.weight_decay": 0.1},
        {"training.gradient_clip": 0.05, "optimizer.weight_decay": 0.2},
    )
    configs = members_of(with_choice("vanilla", "optimizer", name.split()[0]), CODES)
    for each, values in zip(configs, own, strict=True):
        for key, value in {"optimizer.weight_decay": 0.0, **values, **OPTIMIZERS[name]}.items():
            OmegaConf.update(each, key, value, merge=False)
    assert_law(configs)


def test_every_optimizer_stacks_or_says_why_not() -> None:
    reasons = {name: why_not(choice("optimizer", name)) for name in names("optimizer")}
    assert {name for name, reason in reasons.items() if reason is not None} == {"nadam"}
    assert (
        reasons["nadam"] == "torch.optim.NAdam isn't known to go weight by weight, in proportion to its learning rate"
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", STACKED)
def test_a_stack_can_be_left_and_entered_at_any_time(name: str, device: str) -> None:
    """The members' own optimizers remember what the stack's did."""
    configs = members_of(with_choice("vanilla", "optimizer", name), CODES)
    single_runs, members = (make(configs, torch.float64, device=device) for _ in range(2))
    given = chunks(members)
    alone(single_runs, given, 60)
    together(stacked(members, configs), given, 20)
    together(stacked(members[1:], configs[1:]), given[1:], 20)
    alone(members[:1], given[:1], 20)
    together(stacked(members[::-1], configs[::-1]), given, 10)
    alone(members, given, 10)
    for run, member in zip(single_runs, members, strict=True):
        assert differs(run.model, member.model) < 1e-8
        theirs, ours = run.optimizer.state_dict()["state"], member.optimizer.state_dict()["state"]
        for number, state in theirs.items():
            for key, value in state.items():
                if value is not None:
                    torch.testing.assert_close(ours[number][key], value, rtol=1e-8, atol=1e-12)


# -- members ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
def test_the_order_of_members_does_not_matter(device: str) -> None:
    configs = members_of(with_choice("multilayer", "regularizer", "l1"), CODES)
    first, second = (make(configs, torch.float64, device=device) for _ in range(2))
    given = chunks(first)
    one = together(stacked(first, configs), given, 20)
    other = together(stacked(second[::-1], configs[::-1]), given, 20)[::-1]
    for number in range(3):
        torch.testing.assert_close(one[number], other[number], rtol=1e-12, atol=1e-12)
        assert differs(first[number].model, second[number].model) < 1e-12


@pytest.mark.parametrize("device", DEVICES)
def test_numbers_that_are_none_stay_with_their_member(device: str) -> None:
    configs = members_of(composed("loss=mse", "model.output_activation=linear"), CODES)
    single_runs, members = (make(configs, torch.float64, device=device) for _ in range(2))
    with torch.no_grad():
        next(members[1].parameters())[0, 0] = torch.nan
    given = chunks(members)
    alone(single_runs, given, 20)
    histories = together(stacked(members, configs), given, 20)
    assert histories[1]["loss"].isnan().all()
    for number in (0, 2):
        assert differs(single_runs[number].model, members[number].model) < 1e-8


def test_padding_stays_empty() -> None:
    configs = members_of(with_choice("multilayer", "bottleneck", "gaussian"), CODES)
    members = make(configs, torch.float64)
    stack = stacked(members, configs)
    together(stack, chunks(members), 20)
    weight = stack.weights["model.encoder.3.weight"]  # means and log variances of 16 units, of 8 in the second member
    assert weight.shape == (3, 32, 128)
    filled = weight[1].abs().sum(dim=1) > 0
    assert filled.view(2, 16).sum(dim=1).tolist() == [8, 8]
    assert filled.view(2, 16)[:, :8].all()
    assert stack.others["model.bottleneck.active"].sum(dim=1).tolist() == [16, 8, 16]


@pytest.mark.parametrize("name", names("training"))
def test_every_training_procedure_fuses_or_says_why_not(name: str) -> None:
    suited = ["model=transformer", "model.patch_size=4"] if name == "masked" else []
    reason = why_not(composed(*suited, f"training={name}") if suited else choice("training", name))
    assert reason is None or "makes steps of its own" in reason
    if reason is None and name not in (*WEIGHTED, "masked"):  # which draw, always: see above
        assert_law(members_of(composed(*suited, f"training={name}"), PAIR), double=20, single=10)
