"""What a type of autoencoder is for, in numbers, and whether it has it: a sentence and a verdict from its runs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from statistics import mean

from typing_extensions import override

from hourglass.measures.paired import paired_difference

Runs = Sequence[dict[str, float]]
"""The metrics of one type's runs, one for each seed."""
LIKELIHOOD = "test/log_likelihood"
AS_TRAINED = "test/mse_as_trained"


class Property(ABC):
    """What a type is for."""

    metric: str | None = None
    """The one that it goes by, if it is one."""

    def told(self, runs: Runs, controls: Runs) -> str:
        """What it says, and of codes that are drawn or selected what else was measured, which decides nothing."""
        parts = [self.says(runs, controls), drawn(runs, nats=self.metric != LIKELIHOOD), as_trained(runs)]
        return "; ".join(dict.fromkeys(filter(None, parts)))  # `Generates` says the second itself

    @abstractmethod
    def says(self, runs: Runs, controls: Runs) -> str:
        """Its numbers, means over the seeds; `controls` are the runs without it, if there are any."""

    @abstractmethod
    def holds(self, run: dict[str, float], control: dict[str, float] | None) -> bool:
        """Whether one run has it; `control` is that of the same seed without it."""


def drawn(runs: Runs, *, nats: bool) -> str:
    """How far codes are from what new ones are drawn from, and the likelihood if asked; empty: neither was measured."""
    found = []
    if "test/prior_mmd" in runs[0]:
        distance, null = (mean(run[f"test/prior_mmd{end}"] for run in runs) for end in ("", "_null"))
        found.append(f"MMD from the prior {distance:.4f} (null {null:.4f})")
    if nats and LIKELIHOOD in runs[0]:
        found.append(f"{mean(run[LIKELIHOOD] for run in runs):.1f} nats")
    return ", ".join(found)


def as_trained(runs: Runs) -> str:
    """The error of the code as training draws or selects it; empty where that is the code in use."""
    if AS_TRAINED not in runs[0]:
        return ""
    return f"MSE as trained {mean(run[AS_TRAINED] for run in runs):.4f}"


class Below(Property):
    """An error below that of the best linear code of as many units on the same input.

    Args:
        most: the largest ratio that counts.
        words: what that is called.
        noisy: whether the input is corrupted, so that the floor is the best linear denoiser.
    """

    def __init__(self, most: float, words: str = "", *, noisy: bool = False) -> None:
        self.most, self.words, self.noisy = most, words, noisy

    @override
    def says(self, runs: Runs, controls: Runs) -> str:
        """See `Property.says`."""
        ratio = f"{mean(run['test/mse_over_linear'] for run in runs):.2f} times the best linear"
        if self.noisy:
            return f"{ratio} denoiser, {mean(run['test/psnr_gain'] for run in runs):+.1f} dB over its input"
        return f"{ratio} code{', ' + self.words if self.words else ''}"

    @override
    def holds(self, run: dict[str, float], control: dict[str, float] | None) -> bool:
        """See `Property.holds`."""
        return run["test/mse_over_linear"] < self.most and (not self.noisy or run["test/psnr_gain"] > 0)


class Learns(Property):
    """More than half of the variance, by a rule that knows no gradient."""

    @override
    def says(self, runs: Runs, controls: Runs) -> str:
        """See `Property.says`."""
        return f"{mean(run['test/explained_variance'] for run in runs):.0%} of the variance, without backpropagation"

    @override
    def holds(self, run: dict[str, float], control: dict[str, float] | None) -> bool:
        """See `Property.holds`."""
        return run["test/explained_variance"] > 0.5


class Sparse(Property):
    """At most a fifth of the units on for a digit, and at most one in twenty dead."""

    @override
    def says(self, runs: Runs, controls: Runs) -> str:
        """See `Property.says`."""
        on = f"{mean(run['test/code_l0'] for run in runs):.1f} of {runs[0]['model/code_size']:.0f} units on"
        return f"{on}, {mean(run['fit/dead_units'] for run in runs):.0f} dead"

    @override
    def holds(self, run: dict[str, float], control: dict[str, float] | None) -> bool:
        """See `Property.holds`."""
        size = run["model/code_size"]
        return run["test/code_l0"] <= size / 5 and run["fit/dead_units"] <= size / 20


class Contracts(Property):
    """A Jacobian at most half as large as without the penalty, in units of the code's own variance."""

    @override
    def says(self, runs: Runs, controls: Runs) -> str:
        """See `Property.says`."""
        found, without = (mean(run["test/code_jacobian"] for run in each) for each in (runs, controls))
        return f"Jacobian over variance {found:.0f}, without the penalty {without:.0f}"

    @override
    def holds(self, run: dict[str, float], control: dict[str, float] | None) -> bool:
        """See `Property.holds`."""
        return control is not None and run["test/code_jacobian"] <= control["test/code_jacobian"] / 2


class Generates(Property):
    """Codes that are distributed like what new ones are drawn from: no farther than draws that are a fifth too wide.

    Of 1.2 z instead of z, z ~ N(0, 1), the distance is .034 with 8 units and .039 with 32.
    """

    MOST = 0.04

    @override
    def says(self, runs: Runs, controls: Runs) -> str:
        """See `Property.says`."""
        return drawn(runs, nats=True)

    @override
    def holds(self, run: dict[str, float], control: dict[str, float] | None) -> bool:
        """See `Property.holds`."""
        return run["test/prior_mmd"] <= self.MOST


class Symbols(Property):
    """Nine tenths of the bits that the symbols could carry, and of the symbols in use."""

    @override
    def says(self, runs: Runs, controls: Runs) -> str:
        """See `Property.says`."""
        bits, most, used = (
            mean(run[f"test/code_{name}"] for run in runs) for name in ("bits", "bits_capacity", "usage")
        )
        return f"{bits:.1f} of {most:.0f} bits, {used:.0%} of the symbols"

    @override
    def holds(self, run: dict[str, float], control: dict[str, float] | None) -> bool:
        """See `Property.holds`."""
        return run["test/code_bits"] >= 0.9 * run["test/code_bits_capacity"] and run["test/code_usage"] >= 0.9


class Compared(Property):
    """A number beside that of the runs without what makes the type, seed by seed; that its mean differs says less.

    Args:
        metric: which.
        words: what it is called.
        form: how it is written.
    """

    metric: str

    def __init__(self, metric: str, words: str, form: str) -> None:
        self.metric, self.words, self.form = metric, words, form

    @override
    def says(self, runs: Runs, controls: Runs) -> str:
        """See `Property.says`; with the mean difference and its 95 % interval, where there are two seeds or more."""
        found, without = ([run[self.metric] for run in each] for each in (runs, controls))
        said = f"{self.words} {mean(found):{self.form}}, without {mean(without):{self.form}}"
        return f"{said}: {paired_difference(found, without).said('+' + self.form)}" if len(found) > 1 else said


class Less(Compared):
    """A number that is smaller than without what makes the type, seed by seed.

    Args:
        metric: which.
        words: what it is called.
        form: how it is written.
        share: of the other's that counts as smaller.
    """

    def __init__(self, metric: str, words: str, form: str, share: float = 1.0) -> None:
        super().__init__(metric, words, form)
        self.share = share

    @override
    def says(self, runs: Runs, controls: Runs) -> str:
        """See `Property.says`."""
        wished = "" if self.share == 1 else f"; wished below {self.share:.0%} of it"
        return f"{super().says(runs, controls)}{wished}"

    @override
    def holds(self, run: dict[str, float], control: dict[str, float] | None) -> bool:
        """See `Property.holds`."""
        return control is not None and run[self.metric] < self.share * control[self.metric]


class Nested(Less):
    """First units that reconstruct better than untrained ones, of a code that is as `Sparse` asks.

    With many units dead there is no large code whose first units these are. Arguments as of `Less`.
    """

    sparse = Sparse()

    @override
    def says(self, runs: Runs, controls: Runs) -> str:
        """See `Property.says`."""
        return f"{super().says(runs, controls)}; {self.sparse.says(runs, controls)}, wished at most 1 in 20 dead"

    @override
    def holds(self, run: dict[str, float], control: dict[str, float] | None) -> bool:
        """See `Property.holds`."""
        return super().holds(run, control) and self.sparse.holds(run, control)


class More(Compared):
    """A number that is larger than without what makes the type, seed by seed; arguments as of `Compared`."""

    @override
    def holds(self, run: dict[str, float], control: dict[str, float] | None) -> bool:
        """See `Property.holds`."""
        return control is not None and run[self.metric] > control[self.metric]


class Closer(Compared):
    """A number that is nearer to 1 than without what makes the type, seed by seed; arguments as of `Compared`.

    Of sharpness, say, which is that of the samples themselves at 1.
    """

    @override
    def says(self, runs: Runs, controls: Runs) -> str:
        """See `Property.says`; without an interval, since on both sides of 1 a difference doesn't tell."""
        found, without = (mean(run[self.metric] for run in each) for each in (runs, controls))
        return f"{self.words} {found:{self.form}}, without {without:{self.form}}; wished nearer to 1"

    @override
    def holds(self, run: dict[str, float], control: dict[str, float] | None) -> bool:
        """See `Property.holds`."""
        return control is not None and abs(run[self.metric] - 1) < abs(control[self.metric] - 1)


class Near(Property):
    """A number that was wished for.

    Args:
        metric: which.
        wished: what it should be.
        by: how far off it may be.
        words: what it is called.
    """

    def __init__(self, metric: str, wished: float, by: float, words: str) -> None:
        self.metric, self.wished, self.by, self.words = metric, wished, by, words

    @override
    def says(self, runs: Runs, controls: Runs) -> str:
        """See `Property.says`."""
        return f"{mean(run[self.metric] for run in runs):.1f} {self.words}, wished {self.wished:g} ± {self.by:g}"

    @override
    def holds(self, run: dict[str, float], control: dict[str, float] | None) -> bool:
        """See `Property.holds`."""
        return abs(run[self.metric] - self.wished) <= self.by


class Conditional(Property):
    """Nine of ten drawn samples that a judge takes for the class that was asked for."""

    @override
    def says(self, runs: Runs, controls: Runs) -> str:
        """See `Property.says`."""
        return f"{mean(run['test/class_agreement'] for run in runs):.1%} of the samples are of the class asked for"

    @override
    def holds(self, run: dict[str, float], control: dict[str, float] | None) -> bool:
        """See `Property.holds`."""
        return run["test/class_agreement"] >= 0.9
