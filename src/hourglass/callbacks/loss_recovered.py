"""What a network makes of the reconstructions of its own activations."""

from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.callbacks.recording import RunCallback
from hourglass.data.dataset import EVAL_BATCH
from hourglass.measures.recovered import Losses, losses
from hourglass.system.errors import HourglassError
from hourglass.training import Learner

MEASURED = 10_000
"""Training samples, at most, whose mean stands in for the activations: the first ones, which lie in random order."""


class LossRecovered(RunCallback):
    """After the test, on clean samples: the loss of a network whose activations are replaced by reconstructions.

    Logs, as `test/...`, in nats over the test set: `host_loss`, `host_loss_reconstructed`, `host_loss_zero`,
    `host_loss_mean`, and of them `loss_recovered` (against zeros) and `loss_recovered_mean` (see
    `hourglass.measures.recovered`). It needs classes, the network's targets: `data.labels`.

    Args:
        host: the part of the network that follows the layer: `hourglass.measures.recovered.DenseHead`, or any callable
            of one's own from activations (B, D) to logits (B, K).

    Raises:
        HourglassError: a training on samples without labels, or of another width than the network takes.
    """

    evaluates = True

    def __init__(self, *, host: Any) -> None:
        if not callable(host):
            raise ValueError(f"host must be a callable from activations to logits, got {host!r}")
        self.host = host

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Ask before a training whether the network takes these samples."""
        if stage != "fit":
            return
        data = cast(Learner, pl_module).data
        if data.test.y is None:
            raise HourglassError(
                f"callback.loss_recovered needs classes, got data={data.name} without: see data.labels"
            )
        inputs = getattr(self.host, "inputs", None)
        shape = data.wanted.shape
        if len(shape) != 1 or inputs not in (None, shape[0]):
            raise HourglassError(
                f"callback.loss_recovered.host must take samples of shape {shape}, got one for ({inputs},)"
            )

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Measure; the model is still in evaluation mode. Other data that are measured anew may have no classes."""
        if pl_module.data.test.y is None:
            return
        found = {f"test/{name}": value for name, value in self._measured(pl_module).items()}
        self.run(trainer).log_metrics(found, step=pl_module.steps_done)

    @torch.no_grad()
    def _measured(self, learner: Learner) -> dict[str, float]:
        data, wanted, device, host = learner.data, learner.data.wanted, learner.device, cast(Any, self.host)
        if isinstance(host, nn.Module):
            host = host.to(device).eval()

        def raw(x: Tensor) -> Tensor:
            return wanted.unscaled(x).float()

        known = wanted.train.x if len(wanted.train) else wanted.test.x
        mean = raw(wanted.scaled(known[:MEASURED])).mean(0).to(device)
        sums = torch.zeros(4, dtype=torch.float64, device=device)
        assert data.test.y is not None
        with torch.autocast(device.type, enabled=False):
            parts = (torch.split(each, EVAL_BATCH) for each in (data.test.x, wanted.test.x, data.test.y))
            for x, goal, y in zip(*parts, strict=True):
                clean = wanted.scaled(goal.to(device))
                reconstruction = learner.model(data.scaled(x.to(device)), y.to(device)).reconstruction
                sums += losses(host, raw(clean), raw(reconstruction), y.to(device), mean)
        of = Losses(*(sums / len(data.test)).tolist())
        values = {
            "host_loss": of.clean,
            "host_loss_reconstructed": of.reconstructed,
            "host_loss_zero": of.zero,
            "host_loss_mean": of.mean,
            "loss_recovered": of.recovered(of.zero),
            "loss_recovered_mean": of.recovered(of.mean),
        }
        return {name: value for name, value in values.items() if value is not None}
