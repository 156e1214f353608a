"""A loss that is scaled, so that small gradients don't vanish in 16 bits: Lightning's plugin, on whatever is here."""

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import Tensor

from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose
from hourglass.pipeline.trainer import make_trainer
from hourglass.system.errors import HourglassError
from hourglass.training.lightning_internals import scaler_of

SMALL = ("data=digits", "data.train_size=100", "training.batch_size=20", "training.epochs=2", "model.code_size=4")
QUIET = ("training.keep=last", "trainer.accelerator=cpu")
KIND = "cuda" if torch.cuda.is_available() else "cpu"


def fit(*words: str, scale: float | None) -> tuple[Any, pl.Trainer]:
    pl.seed_everything(0, verbose=False)
    config, _ = compose_config([*SMALL, *QUIET, *words])
    config.callback = {}
    learner = compose(config).learner
    if scale is None:
        trainer = make_trainer(config)
    else:
        scaler = torch.amp.GradScaler(KIND, init_scale=scale)  # type: ignore[attr-defined]
        trainer = pl.Trainer(
            accelerator="gpu" if KIND == "cuda" else "cpu",
            plugins=[MixedPrecision("16-mixed", KIND, scaler)],
            max_epochs=2,
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            inference_mode=False,
        )
    trainer.fit(learner)
    return learner, trainer


def weights(learner: Any) -> Tensor:
    return torch.cat([weight.detach().cpu().flatten() for weight in learner.model.parameters()])


@pytest.mark.parametrize("clip", ["null", "0.05"])
def test_a_scaled_loss_trains_as_one_of_32_bits(clip: str) -> None:
    words = (f"training.gradient_clip={clip}", "optimizer=sgd", "schedule=cosine")
    plain, _ = fit(*words, scale=None)
    scaled, trainer = fit(*words, scale=1024.0)
    assert scaler_of(trainer) is not None
    torch.testing.assert_close(weights(plain), weights(scaled), rtol=0, atol=3e-3)


def test_a_step_whose_gradient_is_infinite_is_left_out_and_the_scale_falls() -> None:
    learner, trainer = fit("training.max_steps=1", scale=2.0**126)
    pl.seed_everything(0, verbose=False)
    config, _ = compose_config([*SMALL, *QUIET])
    assert torch.equal(weights(learner), weights(compose(config).learner))
    scaler = scaler_of(trainer)
    assert scaler is not None
    assert scaler.get_scale() == 2.0**125
    assert trainer.precision_plugin.state_dict()["scale"] == 2.0**125  # which checkpoints keep


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_it_needs_a_gpu() -> None:
    with pytest.raises(HourglassError, match=r"trainer.precision=16-mixed needs a CUDA device; set trainer.precision="):
        compose(compose_config([*SMALL, "trainer.precision=16-mixed"])[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu() -> None:
    plain, _ = fit("trainer.accelerator=gpu", scale=None)
    half, trainer = fit("trainer.accelerator=gpu", "trainer.precision=16-mixed", scale=None)
    assert scaler_of(trainer) is not None
    torch.testing.assert_close(weights(plain), weights(half), rtol=0, atol=1e-2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_what_follows_no_gradient_is_refused() -> None:
    with pytest.raises(HourglassError, match="Recirculation goes by none"):
        compose(compose_config([*SMALL, "trainer.precision=16-mixed", "training=recirculation"])[0])
