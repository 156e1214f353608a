"""What only some models can: who lacks it is refused in one line, by who asks for it."""

from functools import partial

import pytest
import torch

from hourglass.bottlenecks import Deterministic
from hourglass.configuration.composition import compose_config
from hourglass.models import MLP, PCA, Solvable, Staged, stages_of
from hourglass.pipeline.compose import compose
from hourglass.training import ClosedForm
from regularizers.small import mlp


def test_a_model_without_stages_is_refused() -> None:
    model = PCA(shape=(4,), code_size=2, bottleneck=partial(Deterministic, activation="linear"))
    assert not isinstance(model, Staged)
    with pytest.raises(ValueError, match=r"^PCA can't be taken apart into stages$"):
        stages_of(model)


def test_a_model_of_one_layer_is_one_stage() -> None:
    model, x = mlp(inputs=4, code_size=2), torch.rand(3, 4)
    (stage,) = stages_of(model)
    torch.testing.assert_close(stage.decode(stage.encode(x)), model(x).reconstruction)


def test_a_model_without_a_closed_form_is_refused() -> None:
    learner = compose(compose_config(["data=digits", "model=pca", "model.code_size=2", "trainer.accelerator=cpu"])[0])[
        2
    ]
    given = {"noise": learner.noise, "penalties": learner.penalties, "loss": learner.loss, "data": learner.data}
    plain = mlp(inputs=4, code_size=2).requires_grad_(requires_grad=False)
    assert isinstance(learner.model, Solvable)
    assert isinstance(plain, MLP)
    with pytest.raises(ValueError, match=r"^MLP has no closed form, it is trained by gradients: training=backprop$"):
        ClosedForm(
            model=plain, optimizer=torch.optim.Adam, epochs=1, code_threshold=None, sampler=learner.sampler, **given
        )
