"""Looking inside a trained model: which pictures it has, and the numbers that they show.

All are drawn from the first 2,000 test samples at most. Codes that no input gave come from quantiles: of the prior of
the code, exact where it has a formula and else of draws, of draws from the fitted density, or else of the test codes,
so that the decoder is asked for what it knows. A model that is told classes decodes draws as each class in turn, and
what is changed of a sample's code as that sample's.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from hourglass import figures
from hourglass.bottlenecks import HasQuantiles, Symbolic
from hourglass.callbacks.encoding import encode, told
from hourglass.figures.picture import Picture
from hourglass.models.conditional import in_turn
from hourglass.training import Learner
from hourglass.training.batches import blocks_of

_SAMPLES = 2000
_PRIOR_DRAWS = 10_000  # for quantiles that are right to two digits
_DRAWN = 64
_CURVES = 10
_UNITS = 8  # in a traversal
_LARGEST_CODE = 64  # that single units are turned of
_STEPS = 5
_STAGES = 8  # maps of a net of more are shown at the end of each resolution
_PLANE = 15  # odd: the middle is among them


class _Codes(NamedTuple):
    test: Tensor  # (n, code_size)
    draws: Tensor | None  # (count, code_size) of what codes are drawn from, where there is something
    source: str  # what that is
    quantiles: Callable[[Tensor], Tensor | None] | None  # (n,) shares to values (n,) of its every unit, by a formula


@torch.no_grad()
def inside(learner: Learner, *, code_map: Literal["pca", "tsne"]) -> dict[str, Picture]:
    """The pictures of a model by their key, in full precision, the same ones every time.

    The random numbers of the caller stay undisturbed.

    Which pictures apply is decided here and nowhere else: `feature_maps` need convolutions, `symbols` a code that is a
    map of them, `filters` weights, `samples` a prior or a density, `traversal` a code of at most 64 units, `manifold`
    images and a code of two.

    Args:
        learner: what was trained, in evaluation mode.
        code_map: how a code of more than two units becomes a plane.
    """
    data, model = learner.data, learner.model
    limits = data.range
    x = data.scaled(data.test.x[:_SAMPLES])
    y = None if data.test.y is None else data.test.y[:_SAMPLES]
    pictures: dict[str, Picture] = {}
    with torch.random.fork_rng(), torch.autocast(learner.device.type, enabled=False):
        torch.manual_seed(0)
        draws = learner.prior(_PRIOR_DRAWS if model.code_size <= _LARGEST_CODE else _DRAWN)
        source = "the density fitted to the codes" if learner.sampler.state_dict() else "the prior of the code"
        drawn = None if draws is None else draws.float().cpu()
        # A sampler that was fitted takes the prior's place, and so does the procedure's own.
        own = bool(learner.sampler.state_dict()) or type(learner).trained_prior is not Learner.trained_prior
        formula = model.bottleneck.prior_quantiles if isinstance(model.bottleneck, HasQuantiles) and not own else None
        codes = _Codes(encode(learner, data.test.x[:_SAMPLES], y), drawn, source, formula)
        if data.is_signal:
            return _of_signals(learner, codes, y, code_map=code_map)
        output = _as_tested(learner, x, y)

        weights = next((w.detach().float().cpu() for w in model.encoder.parameters() if w.ndim in (2, 4)), None)
        if weights is not None and (weights.ndim == 4 or weights.shape[1] == data.test.x[0].numel()):
            pictures["filters"] = figures.filters(weights, data.shape)
        if maps := _feature_maps(learner, x[:3], None if y is None else y[:3]):
            pictures["feature_maps"] = figures.feature_maps(x[:3], maps, value_range=limits)
        if symbols := _symbols(learner, x[:3], None if y is None else y[:3]):
            title = "Which symbol stands at each place of the code of 3 test samples, by its number"
            pictures["symbols"] = figures.feature_maps(x[:3], symbols, value_range=limits, title=title)
        pictures["code_map"] = figures.code_map(codes.test, y, method=code_map, names=data.classes)
        pictures["code_histogram"] = figures.code_histogram(codes.test, activity=learner.activity())
        pictures["most_activating"] = figures.most_activating(
            x, codes.test, count=min(4, len(x)), activity=learner.activity(), value_range=limits
        )
        if data.targets is not None:  # what is decoded isn't what samples are
            return pictures
        what = "The worst reconstructions" if y is None else "The worst reconstruction of each class"
        caption = f"{what} of {len(x):,} test samples: original, output, MSE"
        pictures["worst"] = figures.worst(x, output, y, value_range=limits, caption=caption, names=data.classes)
        if len(x) > 1:
            pictures["interpolation"] = _interpolation(learner, x, codes.test, y)
        if codes.draws is not None:
            caption = f"Decoded draws from {source}"
            images = _drawn(learner, codes.draws[: _DRAWN if data.is_image else _DRAWN // 2])
            pictures["samples"] = figures.samples(images, value_range=limits, caption=caption)
        if model.code_size <= _LARGEST_CODE:
            pictures["traversal"] = _traversal(learner, codes, y)
        if model.code_size == 2 and data.is_image:
            pictures["manifold"] = _manifold(learner, codes, y)
    return pictures


def _of_signals(
    learner: Learner, codes: _Codes, y: Tensor | None, *, code_map: Literal["pca", "tsne"]
) -> dict[str, Picture]:
    """What can be shown of signals: their codes, and decoded draws as curves."""
    names = learner.data.classes
    pictures = {
        "code_map": figures.code_map(codes.test, y, method=code_map, names=names),
        "code_histogram": figures.code_histogram(codes.test, activity=learner.activity()),
    }
    if codes.draws is not None:
        drawn = _drawn(learner, codes.draws[:_CURVES])
        pictures["samples"] = figures.signals(
            drawn, None, None, value_range=learner.data.range, caption=f"Decoded draws from {codes.source}"
        )
    return pictures


def _as_tested(learner: Learner, x: Tensor, y: Tensor | None) -> Tensor:
    """Reconstructions (n, *shape) of corrupted samples, on the CPU."""
    blocks = []
    with learner.noise.seeded():
        for block, classes in blocks_of(x, y):
            corrupted = learner.noise(block.to(learner.device))
            blocks.append(learner.model(corrupted, told(learner, classes)).reconstruction.float().cpu())
    return torch.cat(blocks)


def _decode(learner: Learner, codes: Tensor, y: Tensor | None = None) -> Tensor:
    """Codes (n, *leading, code_size), and classes (n,) or one, to what they stand for (n, *leading, *shape)."""
    if y is not None:
        y = y.view(-1, *[1] * (codes.ndim - 2)).expand(codes.shape[:-1]).flatten()
    decoded = learner.model.decode(codes.flatten(0, -2).to(learner.device), told(learner, y)).float().cpu().contiguous()
    return decoded.view(*codes.shape[:-1], *decoded.shape[1:])


def _drawn(learner: Learner, codes: Tensor) -> Tensor:
    """The same of codes (n, code_size) that no input gave: each class in turn, where the model is told one."""
    return _decode(learner, codes, in_turn(learner.model, len(codes)))


def _feature_maps(learner: Learner, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
    """What each convolution of the encoder leads to before the next one, pooled and activated: (n, C, h, w) by stage.

    A last one that is the code itself is activated by the bottleneck. Nothing for an encoder without convolutions.
    """
    stages: list[Tensor] = []

    def keep(module: nn.Module, _: object, output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            stages.append(output)
        elif stages and output.ndim == 4:
            stages[-1] = output

    leaves = [module for module in learner.model.encoder.modules() if not any(module.children())]
    hooks = [leaf.register_forward_hook(keep) for leaf in leaves]
    encoded = learner.model.encoded(x.to(learner.device), told(learner, y))
    for hook in hooks:
        hook.remove()
    if stages and stages[-1].numel() == encoded.numel():
        code = learner.model.bottleneck(encoded.flatten(1)).code
        if learner.model.code_shape is not None:
            stages[-1] = learner.model.mapped(code)
        elif code.numel() == encoded.numel():
            stages[-1] = code.view_as(stages[-1])
    if len(stages) > _STAGES:
        stages = list({maps.shape[2:]: maps for maps in stages}.values())
    return {f"stage {number}": maps.float().cpu() for number, maps in enumerate(stages, start=1)}


def _symbols(learner: Learner, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
    """The numbers of the symbols at each place of a code that is a map of them, (n, symbols, h, w); else nothing."""
    model = learner.model
    if model.code_shape is None or not isinstance(model.bottleneck, Symbolic):
        return {}
    choices = model.bottleneck.choices(model.encoded(x.to(learner.device), told(learner, y)))
    return {"the code": model.mapped(choices).float().cpu()}


def _interpolation(learner: Learner, x: Tensor, code: Tensor, y: Tensor | None) -> Picture:
    pairs = min(6 if learner.data.is_image else 4, len(x) // 2)
    first, last = slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2)
    t = torch.linspace(0, 1, _STEPS)[:, None]
    between = (1 - t) * code[first, None] + t * code[last, None]  # (pairs, steps, code_size)
    made = _decode(learner, between, None if y is None else y[first])
    return figures.interpolation(x[first], made, x[last], value_range=learner.data.range)


def _quantiles(codes: _Codes, units: Tensor, steps: int) -> tuple[Tensor, str]:
    """Values (len(units), steps) from the 5th to the 95th percentile of each unit, and of what they are."""
    shares = torch.linspace(0.05, 0.95, steps)
    exact = None if codes.quantiles is None else codes.quantiles(shares)
    if exact is not None:
        return exact.expand(len(units), steps), codes.source
    reference, name = (codes.test, "the test codes") if codes.draws is None else (codes.draws, codes.source)
    return torch.nanquantile(reference[:, units], shares, dim=0).T, name


def _traversal(learner: Learner, codes: _Codes, y: Tensor | None) -> Picture:
    """The units that vary most over the test codes, each between two percentiles, the others as for a test sample."""
    variance = codes.test.var(dim=0, correction=0).nan_to_num()
    units = variance.argsort(descending=True, stable=True)[:_UNITS]
    ends, name = _quantiles(codes, units, 2)
    values = torch.lerp(ends[:, :1], ends[:, 1:], torch.linspace(0, 1, _STEPS))
    moved = codes.test[0].repeat(len(units), _STEPS, 1)
    moved[torch.arange(len(units)), :, units] = values
    return figures.traversal(
        _decode(learner, moved, None if y is None else y[:1]),
        values,
        units=units.tolist(),
        value_range=learner.data.range,
        caption=(
            f"{len(units)} of {codes.test.shape[1]} code units, most variable first, from the 5th to the 95th"
            f" percentile of {name}; the others as in the first test sample's code"
        ),
    )


def _manifold(learner: Learner, codes: _Codes, y: Tensor | None) -> Picture:
    """The plane at evenly spaced quantiles, as in Kingma & Welling (2014)."""
    (horizontal, vertical), name = _quantiles(codes, torch.arange(2), _PLANE)
    grid = torch.stack(torch.meshgrid(horizontal, vertical, indexing="xy"), dim=-1)  # (vertical, horizontal, 2)
    return figures.manifold(
        _decode(learner, grid, None if y is None else y[:1]),
        horizontal,
        vertical,
        value_range=learner.data.range,
        caption=f"The plane of the code, decoded at evenly spaced quantiles, 5 to 95 %, of {name}",
    )
