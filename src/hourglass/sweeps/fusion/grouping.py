"""Which jobs can be trained as one stack.

Jobs share a stack if their steps are the same program on the same batches: the same data, model, noise, penalties,
loss, optimizer and training procedure, but for

- the seed, and the weights that training starts from;
- the code size and the widths of hidden layers, not their number;
- whatever the constructor's class declares as a tensor: noise levels, penalty weights, beta, temperature;
- the learning rate, its schedule, weight decay, clipping, and what only chooses or records: patience, thresholds.
"""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any, NamedTuple

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from hourglass.configuration.identity import callbacks_of_others, noise_order
from hourglass.configuration.schema import declared_tensors

Config = DictConfig | Mapping[str, Any]
"""The configuration of a job, as Hydra composes it or plain and resolved."""

FREE = {
    "": ("seed", "name", "study", "start", "resume", "tracking", "sweep", "sampler", "schedule"),
    "noise": ("seed",),
    "optimizer": ("lr", "weight_decay"),
    "training": (
        "warmup_steps",
        "gradient_clip",
        "keep",
        "patience",
        "code_threshold",
        "log_every_n_steps",
    ),
}
"""Keys that members of a stack have of their own without being a tensor, by the node that holds them."""


WIDTHS = {"widths", "decoder_widths", "dense_widths", "decoder_dense_widths"}
"""Keys of a model that list sizes: members differ in the sizes, not in how many there are."""


OPTIMIZERS = {f"torch.optim.{name}" for name in ("Adadelta", "Adam", "AdamW", "RMSprop", "SGD")}
"""Those whose step is an update of each weight by itself times the learning rate: see `training.stacks.update`."""


class Group(NamedTuple):
    """Jobs that go together."""

    jobs: tuple[int, ...]
    """Their places among the configurations, smaller models first; a job that goes alone is a group of one."""
    reason: str | None
    """Why a single job goes alone, in one line; None for a stack."""


def fusable(configs: Sequence[Config], *, largest: int | None = None, places: int = 1) -> list[Group]:
    """Sort jobs into stacks, larger models first, so that the last to end are small.

    Args:
        configs: whole configurations; plain ones, resolved, spare the work of resolving them.
        largest: the most jobs of a stack, at least 1; None: no limit. A larger group is cut into stacks of about equal
            size, with models of like size together, so that little is padded.
        places: stacks that train at a time, at least 1; a group is cut into as many or a multiple, so that none idles.
    """
    if largest is not None and largest < 1:
        raise ValueError(f"largest must be at least 1, got {largest}")
    if places < 1:
        raise ValueError(f"places must be at least 1, got {places}")
    alone: list[Group] = []
    alike: dict[str, list[int]] = {}
    for number, config in enumerate(configs):
        reason = why_not(config)
        if reason is not None:
            alone.append(Group((number,), reason))
        else:
            alike.setdefault(structure(config), []).append(number)
    groups: list[Group] = []
    for members in alike.values():
        members.sort(key=lambda number: _size(configs[number]))
        single = "no other job has its structure" if len(members) == 1 else None
        fewest = -(-len(members) // (largest or len(members)))
        count = min(places * -(-fewest // places), len(members))
        if len(alike) > 1:  # other groups are there for the other places: no stacks of one for their sake
            count = max(fewest, min(count, len(members) // 2))
        cuts = [len(members) * each // count for each in range(count + 1)]
        groups += [Group(tuple(members[begin:end]), single) for begin, end in pairwise(cuts)]
    stacks = sorted(groups, key=lambda group: _size(configs[group.jobs[-1]]), reverse=True)
    return [*stacks, *alone]


def _size(config: Config) -> tuple[int, int]:
    """By which models are put in order: code size, then units of hidden layers."""
    model = config["model"]
    return model.get("code_size") or 0, sum(sum(model.get(key) or ()) for key in WIDTHS)


def why_not(config: Config) -> str | None:
    """Why a job can't be part of any stack, in one line; None if it can."""
    procedure = config["training"]["_target_"]
    if not getattr(get_object(procedure), "stackable", False):
        return f"{procedure.rpartition('.')[2]} makes steps of its own, a stack goes down one gradient"
    if (optimizer := str(config["optimizer"]["_target_"])) not in OPTIMIZERS:
        return f"{optimizer} isn't known to go weight by weight, in proportion to its learning rate"
    if config["resume"]:
        return "it goes on with a run from where that was cut off"
    if (devices := config["trainer"]["devices"]) != 1:
        return f"it takes trainer.devices={devices}, a stack one"
    if (precision := config["trainer"].get("precision")) in ("16-mixed", "16", 16):
        return f"trainer.precision={precision} scales the loss of each model by itself, a stack has one"
    return None


def not_worth(config: Config) -> str | None:
    """Why a job that could be part of a stack is faster alone on this machine, in one line; None if it isn't."""
    import torch

    on_cpu = config["trainer"]["accelerator"] == "cpu" or not torch.cuda.is_available()
    if on_cpu and {"kernel_size", "code_channels"} & set(config["model"]):
        return "on a CPU the convolutions of a stack are grouped convolutions, which are slower than one by one"
    return None


def structure(config: Config) -> str:
    """What jobs of a stack have in common, as text: the resolved configuration less what each has of its own."""
    plain: Any = OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config
    whole: dict[str, Any] = deepcopy(plain)
    for node, keys in FREE.items():
        held = whole[node] if node else whole
        for key in keys:
            held.pop(key, None)
    whole["callback"] = callbacks_of_others(whole)
    whole["noise order"] = noise_order(whole)
    model = whole["model"]
    if model.get("code_size") is not None:
        model["code_size"] = "any"
    pads = getattr(get_object(model["_target_"]), "pads_widths", True)
    for key in WIDTHS & model.keys() if pads else ():
        model[key] = "as many as it takes" if model[key] is None else len(model[key])
    return json.dumps(_without_tensors(whole), sort_keys=True)


def _without_tensors(node: Any) -> Any:
    """A node of the configuration, with its shape instead of each value that the node's class holds as a tensor."""
    if not isinstance(node, Mapping):
        return node
    tensors = declared_tensors(str(node.get("_target_", "")))
    return {
        key: f"tensor {len(value) if isinstance(value, list) else ''}" if key in tensors else _without_tensors(value)
        for key, value in node.items()
    }
