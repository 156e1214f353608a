"""What is measured of generative codes after the test, as the callback measures it."""

import statistics

import torch

from hourglass.callbacks.properties import Properties
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose


def test_a_code_that_is_the_prior_is_no_distance_away() -> None:
    """Encoder outputs of 0 are means of 0 and deviations of 1 for every sample: codes are draws of the prior itself."""
    words = ["data=digits", "model=multilayer", "model.widths=[8]", "model.code_size=4", "bottleneck=gaussian"]
    config, _ = compose_config([*words, "loss.reduction=sum", "trainer.accelerator=cpu"])
    learner = compose(config).learner.eval()
    for weight in learner.model.encoder[-1].parameters():  # type: ignore[index]
        torch.nn.init.zeros_(weight)
    found = []
    for seed in range(30):
        learner.noise.seed = seed
        measured = Properties()._prior(learner)
        found.append(measured["prior_mmd"])
    error = statistics.stdev(found) / len(found) ** 0.5
    assert abs(statistics.mean(found)) < 3 * error
    assert abs(found[0]) < 4 * statistics.stdev(found[1:])  # the seed that is the default
