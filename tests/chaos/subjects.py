"""Subjects: what is disturbed. Each is a command that a person would give, with tiny jobs on the bundled digits."""

from dataclasses import dataclass

_TINY = (
    *("data=digits", "data.train_size=200", "training.batch_size=50", "trainer.accelerator=cpu"),
    *("callback=quick", "tracking.log_every_n_steps=1"),
)
_SIX = ("-m", "seed=0,1,2", "model.code_size=4,8", "training.epochs=24", "sweep.workers=2")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A command.

    Attributes:
        name: in the table.
        words: after `hourglass train`.
        jobs: trainings that it consists of.
        server: whether it records on a tracking server.
        resumed: whether the training was killed before, and it is its continuation that is disturbed.
        searches: whether a search says what its jobs are: a failed one is not tried again.
        stacks: whether its jobs share processes: one that is cut off is trained again alone, equal but for rounding.
    """

    name: str
    words: tuple[str, ...]
    jobs: int = 1
    server: bool = False
    resumed: bool = False
    searches: bool = False
    stacks: bool = False

    @property
    def command(self) -> list[str]:
        """The words of the whole command."""
        return ["train", *self.words, *_TINY]

    @property
    def several(self) -> bool:
        """Whether it is a sweep or a search."""
        return self.jobs > 1


_QUANTIZED = ("bottleneck=vector_quantized", "noise=masking", "schedule=cosine", "training.warmup_steps=20")
_ADVERSARIAL = ("bottleneck=linear", "training=adversarial", "training.prior=mixture", "noise=gaussian")

SUBJECTS = (
    Subject(name="training", words=(*_QUANTIZED, "training.epochs=60")),
    Subject(name="adversarial training", words=(*_ADVERSARIAL, "training.epochs=60")),
    Subject(name="resumed training", words=(*_QUANTIZED, "training.epochs=60"), resumed=True),
    Subject(name="sweep", words=(*_SIX, "noise=masking", "sweep.max_stack=1"), jobs=6),
    Subject(name="sweep in stacks", words=(*_SIX, "sweep.max_stack=3"), jobs=6, stacks=True),
    Subject(name="sweep on a server", words=(*_SIX, "noise=masking", "sweep.max_stack=1"), jobs=6, server=True),
    Subject(
        name="search",
        words=(
            *("-m", "hydra/sweeper=hourglass_optuna", "hydra.sweeper.n_trials=6", "hydra.sweeper.batch_size=2"),
            *("hydra.sweeper.startup_trials=2", "model.code_size=range(2,17)", "training.epochs=24"),
            *("optimizer.lr=tag(log,interval(1e-4,1e-2))", "sweep.workers=2", "sweep.max_stack=1"),
        ),
        jobs=6,
        searches=True,
    ),
)
