"""Many trainings in one process, whose optimizer steps are made by one stack.

Each training is the whole of `hourglass.pipeline.train`: its own run, trainer, validation, pictures, checkpoints,
patience and end. They take turns (see `turns`); one that comes to a chunk of batches waits there until all have come,
the stack makes the steps of all, and each goes on with its own weights. A training that ends, well or not, leaves the
stack.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from hourglass.configuration.build import build
from hourglass.data import Dataset
from hourglass.pipeline.compose import Parts, compose
from hourglass.pipeline.train import Result, train
from hourglass.sweeps.fusion.grouping import WIDTHS, structure, why_not
from hourglass.sweeps.fusion.memory import is_lack
from hourglass.sweeps.fusion.turns import Strand
from hourglass.system import process
from hourglass.training.batches import Chunk
from hourglass.training.lightning_internals import step_precision
from hourglass.training.minibatch import Minibatch
from hourglass.training.stacks.graph import wanted
from hourglass.training.stacks.stack import Stack

log = logging.getLogger("hourglass")


class Member(NamedTuple):
    """One of the trainings: the arguments of `hourglass.pipeline.train.train`."""

    config: DictConfig
    choices: Mapping[str, str]
    folder: Path
    parent: str | None = None
    varied: Sequence[str] = ()
    words: Sequence[str] = ()
    callbacks: Sequence[pl.Callback] = ()


class Ended(NamedTuple):
    """How a training ended: one of the two is None."""

    result: Result | None
    error: Exception | None


class _Arrived(NamedTuple):
    """What a training waits with."""

    learner: Minibatch
    chunk: Chunk


def train_fused(jobs: Sequence[Member]) -> list[Ended]:
    """Train several jobs as one stack.

    Args:
        jobs: jobs of one group, as `fusable` finds them.

    Returns:
        how each ended; an error ends its own training only.

    Raises:
        ValueError: jobs that can't share a stack.
        KeyboardInterrupt, SystemExit: once every training has ended with it.
    """
    for job in jobs:
        if (reason := why_not(job.config)) is not None:
            raise ValueError(f"jobs must be fusable, got one that isn't: {reason}")
    if len({structure(job.config) for job in jobs}) != 1:
        raise ValueError("jobs must have one structure, see hourglass.sweeps.fusion.fusable")
    process.before_strands()
    # What the stack draws, the noise of all members above all, follows from their seeds, as `train` has it of one.
    mixed = np.random.SeedSequence([int(job.config.seed) for job in jobs]).generate_state(1, np.uint64)
    torch.manual_seed(int(mixed[0]))
    data: Dataset = build(jobs[0].config.data)
    strands = [_strand(number, job, data=data, size=len(jobs)) for number, job in enumerate(jobs)]
    with process.sigterm_raises():
        try:
            for strand in strands:
                strand.resume()
            _in_step(strands, jobs, data)
        except (KeyboardInterrupt, SystemExit) as end:
            code = 1 if isinstance(end, KeyboardInterrupt) else end.code
            for strand in strands:
                if strand.question is not None:
                    strand.resume(error=SystemExit(code))
            raise
    return [Ended(strand.value, cast(Exception | None, strand.error)) for strand in strands]


def _strand(number: int, job: Member, *, data: Dataset, size: int) -> Strand[Result]:
    def body(strand: Strand[Result]) -> Result:
        def make_parts(config: DictConfig) -> Parts:
            return compose(config, data=data, stepper=partial(_wait, strand))

        choices = {**job.choices, "fused": str(size)}
        return train(
            job.config,
            choices=choices,
            folder=job.folder,
            parent=job.parent,
            varied=job.varied,
            words=job.words,
            make_parts=make_parts,
            callbacks=job.callbacks,
        )

    return Strand(body, name=f"training {number}")


def _wait(strand: Strand[Result], learner: Minibatch, chunk: Chunk) -> dict[str, Tensor]:
    """In place of a training's own steps: those that the stack has made for it."""
    with learner.clock.stopped():  # while others take their turns
        share, terms = strand.pause(_Arrived(learner, chunk))
        learner.clock.add(share)
    return learner.own_steps(chunk) if terms is None else cast(dict[str, Tensor], terms)


def _in_step(strands: Sequence[Strand[Result]], jobs: Sequence[Member], data: Dataset) -> None:
    """Chunk after chunk, until all trainings have ended."""
    stacks = [list(range(len(jobs)))]  # one, unless memory is too small for it
    built: dict[tuple[int, ...], Stack] = {}
    alone: set[int] = set()  # for whom memory is too small even as a stack of one
    while stacks:
        members = stacks.pop(0)
        members = [number for number in members if strands[number].question is not None]
        if not members:
            continue
        arrived: list[_Arrived] = [strands[number].question for number in members]
        if len(members) == 1 and (members[0] in alone or not _pays_alone(arrived[0].chunk)):
            strands[members[0]].resume((0.0, None))
            stacks.append(members)
            continue
        key = tuple(members)
        began = time.perf_counter()
        try:
            if key not in built:
                built = {known: stack for known, stack in built.items() if not set(known) & set(key)}
                configs = [jobs[number].config for number in members]
                learners = [each.learner for each in arrived]
                built[key] = Stack(members=learners, template=template_of(learners, configs, data))
            with step_precision(arrived[0].learner.trainer):
                terms = built[key].advance([each.chunk for each in arrived])
        except Exception as error:
            built.pop(key, None)  # its members hold the weights that they came with
            if is_lack(error):
                torch.cuda.empty_cache()  # does nothing where CUDA was never started
                if len(members) > 1:
                    half = len(members) // 2
                    log.info("%d models don't fit the memory at once: going on with two stacks", len(members))
                    stacks = [members[:half], members[half:], *stacks]
                    continue
                alone.update(members)  # its own steps take less; where they lack memory too, it fails
            # Some operations refuse numbers that are none: whose those are shows when each makes these steps alone.
            log.warning("the stack stopped at %s: %d models make these steps one by one", error, len(members))
            for number in members:
                strands[number].resume((0.0, None))
            stacks.append(members)
            continue
        share = (time.perf_counter() - began) / len(members)
        for number, own in zip(members, terms, strict=True):
            strands[number].resume((share, own))
        stacks.append(members)


def _pays_alone(chunk: Chunk) -> bool:
    """Whether even a stack of one is faster than own steps: on a GPU, whose steps are noted once and played."""
    return chunk.x.is_cuda and wanted()


def template_of(learners: Sequence[Minibatch], configs: Sequence[DictConfig], data: Dataset) -> Minibatch:
    """A learner of the same structure that is as large as the largest of them in each size."""
    config = OmegaConf.create(OmegaConf.to_container(configs[0]))
    config.update(start=None, resume=None)
    if config.model.code_size is not None:
        config.model.code_size = max(learner.model.code_size for learner in learners)
    for key in WIDTHS & config.model.keys():
        sizes = [cast(list[int], getattr(learner.model, key)) for learner in learners]
        config.model[key] = [max(each) for each in zip(*sizes, strict=True)]
    some = next(learners[0].parameters())
    return cast(Minibatch, compose(config, data=data).learner).to(some.device, some.dtype)
