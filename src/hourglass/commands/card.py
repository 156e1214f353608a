"""The model card that `hourglass push` writes: what the run itself says, as the Hub's README.md.

Its head is YAML that the Hub reads. The licence is left to the person: nobody else can give it.
"""

import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from omegaconf import OmegaConf

from hourglass.commands.summary import rows
from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import choices
from hourglass.configuration.identity import UNNAMED
from hourglass.configuration.trust import allowed
from hourglass.measures.health import told
from hourglass.measures.images import SSIM_WINDOW
from hourglass.pipeline.fit import words_of
from hourglass.system.errors import HourglassError
from hourglass.tracking.shared import PICTURE
from hourglass.trained.load import Trained
from hourglass.trained.sharing import shared_tags, without_paths

__all__ = ["card", "command_of"]

GROUPS = ("model", "bottleneck", "prior", "flow", "condition", "noise", "regularizer", "training", "sampler")
"""Whose choices say what kind of model it is."""
METRICS = ("mse", "psnr", "ssim", "explained_variance", "linear_accuracy", "knn_accuracy")
"""Of the test set, that the head names for the Hub's tables."""


def card(trained: Trained, *, address: str, licence: str | None, picture: bool) -> str:
    """The text of a model's README.md.

    Args:
        trained: the model with its run.
        address: where it will be, a folder or `hf:USER/REPO`.
        licence: as the Hub calls it, `mit`; None: the person writes it in.
        picture: whether the run's picture goes along.
    """
    run, config = trained.run, OmegaConf.create(without_paths(trained))
    tags, metrics, data = shared_tags(run), run.metrics, run.data_set
    kinds = [f"{group}={tags[group]}" for group in GROUPS if tags.get(group, "none") not in ("none", "default")]
    place = address if address.startswith("hf:") else f"./{address.rstrip('/').rpartition('/')[2]}"
    table = rows(metrics, stage="test")
    sizes = ", ".join(f"{count:,} {split}" for split, count in data.sizes.items())
    shape = "x".join(map(str, trained.model.shape))
    outside = _outside(config)
    beside = ", y" if trained.model.classes else ""
    lines = [
        "---",
        yaml.safe_dump(_head(trained, tags, metrics, data.name, licence), sort_keys=False, allow_unicode=True).strip(),
        "---",
        "",
        f"# {run.name}",
        "",
        f"An autoencoder: samples of {shape} to a code of {trained.model.code_size} units and back"
        f" ({', '.join(kinds)}). Trained with Hourglass"
        f" {tags.get('hourglass_version', '')}.",
        *(["", f"![Test samples and what the model makes of them]({PICTURE})"] if picture else []),
        "",
        "## Use",
        "",
        "```python",
        "import hourglass",
        "",
        f'model = hourglass.load("{place}")',
        f"code = model.encode(x{beside})  # " + _units(trained),
        f"x_again = model.decode(code{beside})",
        "```",
        "",
        *([f"It has parts of {', '.join(outside)}: `hourglass.load(..., trust={outside!r})`.", ""] if outside else []),
        "## How good it is",
        "",
        f"On the {data.sizes.get('test', 0):,} test samples, in the range of the data as the model sees them"
        f" ({trained.range[0]:g} to {trained.range[1]:g}):",
        "",
        "| measure | value |",
        "|---|---|",
        *(f"| {label.strip()} | {value} |" for label, value in table),
        "",
        f"Health, as the numbers tell it: {told(tags['health']) if tags.get('health') else 'not asked'}.",
        "",
        "## How it was trained",
        "",
        f"Data: {data.name} ({sizes}), digest `{data.digest}`.",
        "",
        "```",
        command_of(config, tags),
        "```",
        "",
        "## Licence",
        "",
        licence or "Not stated by whoever shared it: name one here, and as `license:` in the head of this file.",
        "",
    ]
    return "\n".join(lines)


def _head(
    trained: Trained, tags: Mapping[str, str], metrics: Mapping[str, float], data: str, licence: str | None
) -> Any:
    image = len(trained.model.shape) == 3
    task = "image-feature-extraction" if image else "feature-extraction"
    found = [
        {"type": name, "value": value, "name": f"test/{name}" + (f", {SSIM_WINDOW}" if name == "ssim" else "")}
        for name in METRICS
        if math.isfinite(value := metrics.get(f"test/{name}", math.nan))
    ]
    kinds = [
        tags[group] for group in GROUPS if tags.get(group, "none") not in ("none", "normal", "default", "backprop")
    ]
    head: dict[str, Any] = {} if licence is None else {"license": licence}
    head |= {
        "library_name": "hourglass",
        "pipeline_tag": task,
        "tags": list(dict.fromkeys(["autoencoder", "representation-learning", *kinds, data])),
    }
    if found:
        result = {"task": {"type": task}, "dataset": {"name": data, "type": data}, "metrics": found}
        head["model-index"] = [{"name": trained.run.name, "results": [result]}]
    return head


def _units(trained: Trained) -> str:
    shape = ", ".join(map(str, trained.model.shape))
    if trained.scaling is not None:
        return f"rows (N, {shape}) in the table's own units" + (
            f": {', '.join(trained.columns[:8])}{', ...' if len(trained.columns) > 8 else ''}"
            if trained.columns
            else ""
        )
    low, high = trained.range
    return f"(N, {shape}), floats from {low:g} to {high:g}" + (", or uint8" if len(trained.model.shape) == 3 else "")


def command_of(config: Any, tags: Mapping[str, str]) -> str:
    """The command that trains what a configuration says, by choices and the values that are not theirs.

    Args:
        config: the whole configuration, as recorded.
        tags: the choices of the groups.
    """
    first = [f"experiment={tags['experiment']}"] if "experiment" in tags else []
    known = {key: value for key, value in tags.items() if key in choices() and key != "experiment"}
    recorded = {key: value for key, value in _leaves(config).items() if key.partition(".")[0] not in UNNAMED}
    try:
        made = compose_config(first)[1]
        words = first + [_word(group, choice) for group, choice in known.items() if made.get(group, "none") != choice]
        for refers in (False, True):  # what refers to another value may follow it
            composed = compose_config(words)[0]
            written, values = _leaves(composed, resolve=False), _leaves(composed)
            words += words_of(
                {
                    key: value
                    for key, value in recorded.items()
                    if key in values and values[key] != value and str(written[key]).startswith("${") == refers
                }
            )
    except HourglassError:  # choices that this place hasn't
        words = first + [_word(group, choice) for group, choice in known.items()]
    if tags.get("data") == "arrays":
        return f"hourglass.fit(x, overrides={[word for word in words if not word.startswith('data')]})"
    return shlex.join(["hourglass", "train", *words])


def _word(group: str, choice: str) -> str:
    return f"{group}=[{choice}]" if "," in choice else f"{group}={choice}"


def _leaves(config: Any, *, resolve: bool = True) -> dict[str, Any]:
    """Every value of a configuration by its dotted key."""
    return dict(_below(OmegaConf.to_container(config, resolve=resolve), ""))


def _below(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for name, value in node.items():
            yield from _below(value, f"{key}.{name}".removeprefix("."))
    else:
        yield key, node


def _outside(config: Any) -> tuple[str, ...]:
    """The packages that its parts are of, besides those that every installation may build."""
    ours = set().union(*allowed().values())
    named = {str(value) for key, value in _leaves(config).items() if key.endswith("_target_")}
    return tuple(sorted({name.partition(".")[0] for name in named - ours if not name.startswith("hourglass.")}))
