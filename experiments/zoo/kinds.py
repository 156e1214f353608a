"""What a row of the zoo is: a type of autoencoder, what makes it, what it is for, and what it is compared with."""

from typing import NamedTuple

from experiments.zoo.properties import Property

CODE = "model=multilayer model.code_size=32"  # 784-128-32-128-784
SMALL = "model=vanilla model.code_size=32"  # 784-32-784
ATOMS = "model=dictionary model.code_size=256"  # 784-256-784, centred and scaled: sparse codes have room
WIDE = "model=vanilla model.code_size=256"  # 784-256-784
BINARY = "data.binarize=static"  # digits of 0 and 1, whose Bernoulli likelihood is one
EPOCHS = 10
"""Of 215 batches of 256, the budget of every type whose step doesn't cost many times that of the others."""


class Type(NamedTuple):
    """A type of autoencoder and what makes it."""

    name: str
    reference: str
    words: str
    """What makes it, as `hourglass train` takes it."""
    property: Property | None = None
    """What it is for."""
    control: str | None = None
    """The type that differs in nothing but what makes this one, with which it is compared seed by seed."""
    epochs: int = EPOCHS
    """0: a formula of the training set, whatever the seed."""


class Group(NamedTuple):
    """Types that have something in common."""

    name: str
    types: tuple[Type, ...]
