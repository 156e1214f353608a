"""pythae's own trainer over its own dataset, with its AE and our encoder and decoder.

Its loss is the squared error summed over the pixels, 784 times the mean; Adam takes the same steps for both.
"""

import contextlib
import logging
import tempfile
from typing import Any

import torch
from measure import BATCH, RATE, Clock, arguments, report, train_images
from nets import count, halves, shape
from pythae.data.datasets import BaseDataset
from pythae.models import AE, AEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn

logging.disable(logging.WARNING)
PIXELS = 784


class Encoder(BaseEncoder):
    """The net's first half, as pythae wants it."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> ModelOutput:
        """Samples to codes."""
        return ModelOutput(embedding=self.layers(x))


class Decoder(BaseDecoder):
    """The net's second half, as pythae wants it."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, z: Tensor) -> ModelOutput:
        """Codes to reconstructions."""
        return ModelOutput(reconstruction=self.layers(z))


class MeasuredAE(AE):
    """pythae's AE, which also keeps its last loss."""

    last: Tensor

    def loss_function(self, recon_x: Tensor, x: Tensor) -> Tensor:
        """pythae's loss."""
        loss = super().loss_function(recon_x, x)
        self.last = loss.detach()
        return loss


class Enough(Exception):  # noqa: N818
    """Ends the training: pythae's trainer has no other way to stop within an epoch."""


class Stop(TrainingCallback):
    """Ends the training when the clock has enough."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_step_end(self, *_: Any, **__: Any) -> None:
        """Count the step."""
        if self.clock.tick():
            raise Enough


args = arguments()
images = torch.from_numpy(train_images(args.data)).reshape(-1, *shape(args.net)).float() / 255
torch.manual_seed(0)
encoder, decoder = halves(args.net)
model = MeasuredAE(AEConfig(input_dim=shape(args.net), latent_dim=64), Encoder(encoder), Decoder(decoder))
clock = Clock(args.seconds)
with tempfile.TemporaryDirectory() as folder:
    config = BaseTrainerConfig(
        output_dir=folder,
        num_epochs=1_000_000,
        learning_rate=RATE,
        per_device_train_batch_size=BATCH,
        no_cuda=True,
    )
    dataset = BaseDataset(images, torch.zeros(len(images)))
    trainer = BaseTrainer(model, train_dataset=dataset, training_config=config, callbacks=[Stop(clock)])
    with contextlib.suppress(Enough):
        trainer.train()

report(
    steps=clock.steps,
    seconds=clock.elapsed,
    all_steps=clock.all_steps,
    parameters=count(model),
    loss=model.last.item() / PIXELS,
    versions=f"pythae 0.1.2 on torch {torch.__version__}",
)
