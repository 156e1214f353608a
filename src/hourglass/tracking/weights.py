"""A state dict as a file: bit for bit, in safetensors, which holds numbers only and executes nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def write(state_dict: "Mapping[str, Tensor]", path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Stores tensors of any device, with words about them."""
    from safetensors.torch import save

    # Safetensors takes no two names for one memory (tied weights) and no strides: each name gets a copy.
    whole = {key: value.detach().cpu().clone().contiguous() for key, value in state_dict.items()}
    path.write_bytes(save(whole, dict(metadata or {})))


def read(path: Path) -> "dict[str, Tensor]":
    """What ``write`` stored, on the CPU."""
    from safetensors.torch import load_file

    return dict(load_file(path))
