"""What a procedure would pass over in silence is refused in one line."""

import pytest

from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose
from hourglass.system.errors import HourglassError


@pytest.mark.parametrize("training", ["importance_weighted", "miwae", "ciwae", "piwae", "hamiltonian", "riemannian"])
def test_a_disturbance_of_a_code_that_is_not_decoded(training: str) -> None:
    """They decode draws of their own, so that dropout would do nothing."""
    words = ["data=digits", "model.code_size=4", "bottleneck=gaussian", "loss.reduction=sum", f"training={training}"]
    compose(compose_config(words)[0])
    with pytest.raises(HourglassError) as refusal:
        compose(compose_config([*words, "regularizer=dropout"])[0])
    procedure = {"hamiltonian": "Hamiltonian", "riemannian": "Riemannian"}.get(training, "ImportanceWeighted")
    assert str(refusal.value) == (
        f"regularizer=dropout disturbs the code, and {procedure} decodes something else while it trains: leave it out,"
        " or set training=backprop"
    )
