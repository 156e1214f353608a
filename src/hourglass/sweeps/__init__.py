"""Sweeps: many trainings, each in a process of its own, as many at once as there are slots."""

from hourglass.sweeps.settings import Settings, Slot
from hourglass.sweeps.slots import Outcome, execute

__all__ = ["Outcome", "Settings", "Slot", "execute"]
