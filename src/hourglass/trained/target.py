"""What a model makes of its samples, where that is not they themselves."""

from typing import NamedTuple

from hourglass.data.dataset import Dataset, Scaling

__all__ = ["Target"]


class Target(NamedTuple):
    """The shape and the units of what a model reconstructs."""

    shape: tuple[int, ...]
    """Of one."""
    scaling: Scaling | None
    """How they were scaled, where they were."""

    @classmethod
    def of(cls, data: Dataset) -> "Target | None":
        """That of a data set; None where the targets are its samples."""
        return None if data.targets is None else cls(data.targets.shape, data.targets.scaling)
