"""A nested configuration as flat text, the form in which MLflow keeps params."""

from collections.abc import Mapping
from typing import Any

import yaml


def flatten(config: Mapping[str, Any]) -> dict[str, str]:
    """`{"model": {"widths": [8, 4], "bias": None}}` gives `{"model.widths": "[8, 4]", "model.bias": "null"}`.

    Keys are joined by dots. A value is written as YAML writes it on one line (`null`, `true`, `0.001`,
    `[a, b]`), except that text stands as it is. An empty mapping is `{}`.
    """
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= {f"{key}.{rest}": text for rest, text in flatten(value).items()}
        elif isinstance(value, str):
            flat[str(key)] = value
        else:
            text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), sort_keys=False)
            flat[str(key)] = text.removesuffix("...\n").strip()
    return flat
