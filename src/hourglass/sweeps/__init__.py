"""Sweeps: many trainings, each in a process of its own, as many at once as there are slots.

The words of this package, and what they mean:

    override   a word of the command line, `model.code_size=8`; those that differ between jobs make the axes
    Job        one training: a resolved configuration, and the hash of it, its key
    Study      the run that is the parent of the jobs' runs; the same command again goes on with it
    stack      several jobs that train together, in one process (`fusion`)
    Slot       a place where one job or stack trains at a time: a GPU or a part of one, or some cores
    Task       what one process has to do: a job, or the jobs of a stack
    Outcome    how that process ended: what its function returned, or why it didn't
    End        how a job ended: its run and metrics, or why it failed

The walk of a job, from the command line into its run and back:

    hydra_jobs.launch     a batch of overrides comes from Hydra's sweeper
      composing, axes     they become Jobs
    sweep.train_all       leaves out what is finished; an engine (`slots`, `ray_engine`) takes the rest
      worker.refusals     1. does its configuration make sense?
      planning.plan       2. with which others does it share a stack?
      worker.run          3. it is claimed and trained: by `pipeline.train`, or in a stack by `fusion.train_fused`
    End                   comes back in the Outcome of its process; `display` says it, `studies` draws it

A search walks the same way batch after batch: `search.loop` stands in the place of `hydra_jobs`, and tells its sampler
the End of each.
"""

from hourglass.sweeps.settings import Settings, Slot
from hourglass.sweeps.slots import Outcome, execute

__all__ = ["Outcome", "Settings", "Slot", "execute"]
