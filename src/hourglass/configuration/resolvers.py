"""What the yaml files compute: resolvers of OmegaConf."""

from typing import Any

from hourglass.system.torch_internals import cpu_has_bfloat16


def register_resolvers() -> None:
    """Make known what the yaml files compute.

    `${fast_precision:ACCELERATOR}`: bf16-mixed where the hardware has bfloat16, else 32-true.
    `${at_depth:DEPTH,N,WIDTHS}`: the widths where the depth is N, for which they are published, else null.
    """
    from omegaconf import OmegaConf

    def fast_precision(accelerator: str) -> str:
        import torch

        if accelerator != "cpu" and torch.cuda.is_available():
            return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
        return "bf16-mixed" if cpu_has_bfloat16() else "32-true"

    def at_depth(depth: Any, given: int, widths: Any) -> Any:
        return widths if depth == given else None

    OmegaConf.register_new_resolver("fast_precision", fast_precision, replace=True)
    OmegaConf.register_new_resolver("at_depth", at_depth, replace=True)
