"""Factors: what the samples of generated data differ in, so that it is known what a code should find."""

from typing import NamedTuple


class Factor(NamedTuple):
    """A quantity with a few known values. `Dataset.factors` names them, `Split.factors` says which a sample has."""

    name: str
    values: tuple[float, ...]
    """The numbers that it takes, at least 2."""
