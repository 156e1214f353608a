"""The types of the zoo, in the order of its page."""

from experiments.zoo.classical import CONTROLS, DENOISING, LOSSES, NETS, REGULARIZED
from experiments.zoo.discrete import DISCRETE
from experiments.zoo.kinds import Group, Type
from experiments.zoo.sparse import SPARSE
from experiments.zoo.variational import LIKELIHOOD, MATCHED, VARIATIONAL

GROUPS: tuple[Group, ...] = (
    CONTROLS,
    NETS,
    DENOISING,
    LOSSES,
    REGULARIZED,
    SPARSE,
    VARIATIONAL,
    LIKELIHOOD,
    MATCHED,
    DISCRETE,
)
TYPES: tuple[Type, ...] = tuple(kind for group in GROUPS for kind in group.types)
