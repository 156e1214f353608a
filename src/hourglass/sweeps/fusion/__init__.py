"""Fusion: many runs trained as one stack.

Jobs that differ in sizes and scalars only make every optimizer step together, on weights W = (w_1, ..., w_n), stacked
and zero-padded to the largest; each is otherwise a training of its own, with its run, patience, checkpoints and end.

    fusable       sorts jobs into stacks
    train_fused   trains one of them

Law: after the same steps each member's weights are those of its unfused run, up to rounding; what is drawn at random
has the same distribution, and follows from the seeds of all members: the same stack repeats itself.
"""

from hourglass.sweeps.fusion.grouping import Group, fusable, not_worth, why_not
from hourglass.sweeps.fusion.lockstep import Ended, Member, train_fused

__all__ = ["Ended", "Group", "Member", "fusable", "not_worth", "train_fused", "why_not"]
