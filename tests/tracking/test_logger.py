from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from hourglass.tracking import Run, RunLogger


class Line(pl.LightningModule):
    """y = w x with w = 1 and a learning rate of 0: the loss of the k-th batch is (k + 1) ** 2."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(1))

    def training_step(self, batch: Tensor) -> Tensor:
        loss = (self.w * batch).square().mean()
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def test_what_lightning_logs_is_in_the_run_and_the_run_stays_open(run: Run, tmp_path: Path) -> None:
    data = torch.arange(1.0, 7.0).unsqueeze(1)
    trainer = pl.Trainer(
        max_epochs=1,
        log_every_n_steps=2,
        accelerator="cpu",
        logger=RunLogger(run=run),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Line(), torch.utils.data.DataLoader(data, batch_size=1))
    assert run.history("train/loss") == [(1, 4.0), (3, 16.0), (5, 36.0)]
    assert set(run.metrics) == {"train/loss"}  # no epoch
    assert run.status == "RUNNING"
    assert trainer.logger is not None
    assert (trainer.logger.name, trainer.logger.version) == ("hourglass", run.id)
