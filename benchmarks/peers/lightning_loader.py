"""Plain Lightning over a DataLoader of torchvision's MNIST: what the tutorials show."""

import logging
import tempfile
import warnings
from typing import Any

import pytorch_lightning as pl
import torch
import torchvision
from measure import BATCH, RATE, Clock, arguments, report
from nets import count, halves, shape
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

warnings.filterwarnings("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


class AutoEncoder(pl.LightningModule):
    """The net, its loss and its optimizer."""

    def __init__(self, net: str) -> None:
        super().__init__()
        self.shape = shape(net)
        self.model = nn.Sequential(*halves(net))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        """The loss of a batch."""
        x = batch[0].view(-1, *self.shape)
        loss = F.mse_loss(self.model(x), x)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=RATE)


class Stop(pl.Callback):
    """Ends the training when the clock has enough."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Count the step."""
        trainer.should_stop = self.clock.tick()


args = arguments()
pl.seed_everything(0, verbose=False)
data = torchvision.datasets.MNIST(args.data, transform=torchvision.transforms.ToTensor())
loader = DataLoader(data, batch_size=BATCH, shuffle=True, num_workers=2)
model, clock = AutoEncoder(args.net), Clock(args.seconds)
with tempfile.TemporaryDirectory() as folder:
    trainer = pl.Trainer(
        max_epochs=-1,
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=[Stop(clock)],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, loader)

report(
    steps=clock.steps,
    seconds=clock.elapsed,
    all_steps=clock.all_steps,
    parameters=count(model),
    loss=trainer.callback_metrics["train_loss"].item(),
    versions=f"pytorch-lightning {pl.__version__}, torchvision {torchvision.__version__}",
)
