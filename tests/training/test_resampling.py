"""Resampling: what a renewed unit is, that dead ones come back, and whom it refuses."""

import pytest
import torch

from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import Parts, compose
from hourglass.system.errors import HourglassError

WORDS = ("data=digits", "model=dictionary", "model.code_size=12", "bottleneck=relu", "training=resampling")


def make(*overrides: str) -> Parts:
    torch.manual_seed(0)
    return compose(compose_config([*WORDS, "trainer.accelerator=cpu", *overrides])[0])


def test_renewed_units_point_to_samples_and_have_no_past() -> None:
    parts = make("training.every=3", "training.after=2", "training.times=1")
    learner, model = parts.learner, parts.model
    with torch.no_grad():
        model.encoder[2].bias[[2, 7]] = -100.0  # type: ignore[index]
    x = parts.data.scaled(parts.data.train.x[:64])
    renewed = [learner.step(x, x, None)["resampled"].item() for _ in range(2)]  # type: ignore[attr-defined]
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    renewed += [learner.step(x, x, None)["resampled"].item()]  # type: ignore[attr-defined]
    assert renewed == [0, 0, 2]
    encoder, decoder = model.encoder[2], model.decoder[0]  # type: ignore[index]
    directions = torch.nn.functional.normalize(model.units(parts.data.scaled(parts.data.train.x).flatten(1)), dim=1)  # type: ignore[operator]
    others = [unit for unit in range(12) if unit not in (2, 7)]
    length = 0.2 * encoder.weight[others].norm(dim=1).mean()
    for unit in (2, 7):
        cosine = directions @ decoder.weight[:, unit]
        assert cosine.max().item() == pytest.approx(1, abs=1e-5)
        torch.testing.assert_close(encoder.weight[unit], length * directions[cosine.argmax()], atol=1e-5, rtol=1e-4)
        assert encoder.bias[unit] == 0
        for weight, place in ((encoder.weight, unit), (decoder.layer.weight, (slice(None), unit))):
            state = learner.optimizer.state[weight]
            assert not state["exp_avg"][place].any()
            assert not state["exp_avg_sq"][place].any()
            assert state["exp_avg"].any()
    assert (encoder.weight[others] - before["encoder.2.weight"][others]).abs().max() < 0.01  # a step's
    assert not learner.off[[2, 7]].any()  # type: ignore[index]
    again = [learner.step(x, x, None)["resampled"].item() for _ in range(3)]  # type: ignore[attr-defined]
    assert again == [0, 0, 0]  # that was the only time


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=vanilla"], "units can't begin anew in this model: set model=dictionary"),
        (["bottleneck=gaussian", "loss.reduction=sum"], "and a bottleneck that takes one value"),
        (["training.after=600"], "after must be at most every=500, got 600"),
    ],
)
def test_what_it_refuses(words: list[str], message: str) -> None:
    with pytest.raises(HourglassError, match=message):
        make(*words)
