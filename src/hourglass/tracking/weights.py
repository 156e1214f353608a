"""A state dict as a file: bit for bit, in safetensors, which holds numbers only and executes nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def encoded(state_dict: "Mapping[str, Tensor]", metadata: Mapping[str, str] | None = None) -> bytes:
    """The file of tensors of any device, with words about them."""
    from safetensors.torch import save

    # Safetensors takes no two names for one memory (tied weights) and no strides: each name gets a copy.
    whole = {key: value.detach().cpu().clone().contiguous() for key, value in state_dict.items()}
    return bytes(save(whole, dict(metadata or {})))


def read(path: Path) -> "dict[str, Tensor]":
    """The tensors of such a file, on the CPU."""
    from safetensors.torch import load_file

    return dict(load_file(path))
