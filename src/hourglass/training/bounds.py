"""What a procedure needs that trains on a bound of the likelihood: densities of code and data, in nats, unweighted."""

from hourglass.bottlenecks import HasDensity
from hourglass.losses import Likelihood
from hourglass.training.learner import Learner

__all__ = ["check_bound"]


def check_bound(learner: Learner) -> None:
    """ValueError where what is trained would be no bound."""
    bottleneck, reduction = learner.model.bottleneck, learner.loss.reduction
    if not isinstance(bottleneck, HasDensity):
        raise ValueError("the bound needs a code with a density; set bottleneck=gaussian")
    if reduction != "sum":
        raise ValueError(f"the bound is in nats per sample: set loss.reduction=sum, got {reduction}")
    # In a bound the divergence has weight 1; any other would be passed over in silence.
    for key, neutral in (("beta", 1), ("warmup_steps", 0)):
        given = float(getattr(bottleneck, key, neutral))
        if given != neutral:
            raise ValueError(f"the bound has no weights: set model.bottleneck.{key}={neutral}, got {given:g}")
    if not isinstance(learner.loss, Likelihood):
        raise ValueError(f"the bound is of a density, which {type(learner.loss).__name__} has none of; set loss=mse")
