"""What is measured of the steps of a training, until a point is made of it."""

__all__ = ["Points"]


class Points:
    """Values of steps since the last point, which is their mean.

    Example:
        >>> points = Points()
        >>> for loss in (1.0, 3.0):
        ...     points.add("loss", loss)
        >>> points.taken(), points.taken()
        ({'train/loss': 2.0}, {})
    """

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}
        """By name, of the steps since the last point."""
        self.rates: dict[int, float] = {}
        """The learning rate of steps that are not recorded yet, counted from 0: a chunk's are set before it is."""

    def add(self, name: str, value: float) -> None:
        """Another step's value."""
        self.values.setdefault(f"train/{name}", []).append(value)

    def add_rate(self, step: int) -> None:
        """The learning rate of a step, where it was set here."""
        if step in self.rates:
            self.add("lr", self.rates.pop(step))

    def taken(self) -> dict[str, float]:
        """The means, from which on others are collected."""
        means = {name: sum(values) / len(values) for name, values in self.values.items()}
        self.values = {}
        return means
