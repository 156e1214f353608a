"""Masked training: patches of a sample are hidden, and a net learns to make them of those that are left.

With V of the N patches of each sample drawn to be visible, z = f(x~_V) their tokens and r = g(z) of all places,

    min  L(r, x) over the hidden patches

x~ is the sample under the noise, where there is one; the target is the clean x, as ever.

The encoder never sees a hidden patch, so that its steps take a share of the time. What it learns is used without the
decoder: the code is the mean token of the whole sample.
"""

from typing import Protocol, Unpack, cast, runtime_checkable

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.losses import Term
from hourglass.models import Output
from hourglass.system.checks import check_level, check_share
from hourglass.training.minibatch import Minibatch, MinibatchArguments

__all__ = ["Masked", "OfPatches"]


@runtime_checkable
class OfPatches(Protocol):
    """A model that makes hidden patches of a sample of the visible ones."""

    patches: int
    """How many a sample has."""

    def seen(self, x: Tensor, visible: Tensor, known: Tensor) -> Output:
        """Inputs (B, *shape), and the numbers (B, V) of the patches that are seen, to an `Output`.

        Its reconstruction is `known`, (B, *shape), where patches were seen.
        """


class Masked(Minibatch):
    """Trains a model of patches on what it can't see.

    The reconstruction loss is that of the hidden patches; where patches were seen the reconstruction is the target
    itself, and there is nothing to learn, be the input noisy or not. Validation
    and test hide patches too, always the same: `val/loss` is of hidden patches, and `mse_as_trained` their squared
    error, over all values. So that codes can be decoded, the decoder besides learns to make the whole sample of the
    code alone, a term that doesn't change the encoder; `test/mse` and pictures are of that.

    Reference: Masked autoencoders are scalable vision learners (He et al., 2022).

    Args:
        share: of the patches that are hidden, above 0 and below 1.
        readout: weight of the term that teaches the decoder to decode the code, at least 0; 0: as in the paper, and
            what codes decode to means nothing.

    The other arguments and errors: `Minibatch`.

    Raises:
        ValueError: a model without patches; a code that isn't a function of its sample; a number out of its range.

    Example:
        >>> from hourglass.pipeline.compose import compose
        >>> from hourglass.configuration.composition import compose_config
        >>> config, _ = compose_config(["data=digits", "model=transformer", "model.patch_size=2", "training=masked"])
        >>> compose(config).learner.visible
        4
    """

    stackable = True
    any_target = False
    decodes_disturbed = False  # but the tokens, which no regularizer knows
    readout: Tensor

    def __init__(self, *, share: float, readout: float, **shared: Unpack[MinibatchArguments]) -> None:
        super().__init__(**shared)
        check_share("share", share)
        check_level("readout", readout)
        if not isinstance(self.model, OfPatches):
            raise ValueError(f"patches can be hidden of model=transformer, got {type(self.model).__name__}")
        if self.model.bottleneck.differs:
            raise ValueError("masked training leaves no draws to the code: set bottleneck=linear, or bottleneck=relu")
        patches = self.model.patches
        self.visible = round(patches * (1 - share))
        if not 1 <= self.visible < patches:
            raise ValueError(
                f"share must leave some of the {patches} patches, and hide some, got {share}: see model.patch_size"
            )
        self.register_buffer("readout", torch.tensor(readout), persistent=False)

    def _half_seen(self, x: Tensor, corrupted: Tensor) -> Output:
        """The output of targets and corrupted samples (B, *shape) of which patches are hidden at random."""
        model = cast(OfPatches, self.model)
        order = torch.rand(len(x), model.patches, device=x.device).argsort(dim=1)
        return model.seen(corrupted, order[:, : self.visible], self.data.filled(x))

    @override
    def terms(self, x: Tensor, corrupted: Tensor, y: Tensor | None = None) -> tuple[Output, dict[str, Term]]:
        output = self._half_seen(x, corrupted)
        return output, self.penalties.reweigh(self.terms_of(output, x, y), output)

    @override
    def terms_of(self, output: Output, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        """See `Learner.terms_of`; `readout` is the reconstruction loss of the code alone."""
        decoded = self.model.decode(output.code.detach())
        return {**super().terms_of(output, x, y), "readout": Term(self.loss(decoded, x), self.readout)}

    @override
    def as_trained(self, output: Output, x: Tensor, corrupted: Tensor) -> Output:
        return self._half_seen(x, corrupted)

    @override
    def step(self, x: Tensor, corrupted: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        return self.backpropagate(x, corrupted, y)
