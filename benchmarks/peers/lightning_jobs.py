"""A sweep as the tutorials write it: plain Lightning jobs over a DataLoader, one after another, tracked in MLflow.

One process for all jobs, so that libraries are imported once. Each job trains 784-N-784, validates once per epoch,
logs its losses by Lightning's MLFlowLogger and ends with a picture of test images and their reconstructions.
"""

import argparse
import json
import logging
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch
import torchvision
from measure import BATCH, RATE
from pytorch_lightning.loggers import MLFlowLogger
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, random_split

warnings.filterwarnings("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


class AutoEncoder(pl.LightningModule):
    """784-N-784, its loss and its optimizer."""

    def __init__(self, code_size: int) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = nn.Sequential(
            nn.Flatten(), nn.Linear(784, code_size), nn.ReLU(), nn.Linear(code_size, 784), nn.Sigmoid()
        )

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        """The loss of a batch."""
        loss = F.mse_loss(self.model(batch[0]), batch[0].flatten(1))
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:  # noqa: ARG002
        """The loss of a validation batch."""
        self.log("val_loss", F.mse_loss(self.model(batch[0]), batch[0].flatten(1)))

    test_step = validation_step

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=RATE)


def main() -> None:
    """Train the jobs and print the last one's test loss."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="a torchvision root, holding MNIST/raw")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--jobs", nargs="+", required=True, help="code size and seed of each, 8:0")
    options = parser.parse_args()
    transform = torchvision.transforms.ToTensor()
    whole = torchvision.datasets.MNIST(options.data, transform=transform)
    test = torchvision.datasets.MNIST(options.data, train=False, transform=transform)
    train, validation = random_split(whole, [55_000, 5_000], torch.Generator().manual_seed(0))
    loss = 0.0
    for job in options.jobs:
        code_size, seed = map(int, job.split(":"))
        pl.seed_everything(seed, verbose=False)
        logger = MLFlowLogger("peer", tracking_uri="sqlite:///mlflow.db")
        trainer = pl.Trainer(
            max_epochs=options.epochs,
            accelerator="cpu",
            logger=logger,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        model = AutoEncoder(code_size)
        loaders = [
            DataLoader(each, batch_size=BATCH, shuffle=each is train, num_workers=2)
            for each in (train, validation, test)
        ]
        trainer.fit(model, *loaders[:2])
        (tested,) = trainer.test(model, loaders[2], verbose=False)
        loss = tested["val_loss"]
        x = torch.stack([test[index][0] for index in range(10)])
        with torch.no_grad():
            picture = torch.cat([x, model.model(x).view_as(x)])
        grid = torchvision.utils.make_grid(picture, nrow=10).permute(1, 2, 0).numpy()
        logger.experiment.log_image(logger.run_id, grid, key="reconstructions", step=0)
    print(json.dumps({"test_mse": loss}))


if __name__ == "__main__":
    main()
