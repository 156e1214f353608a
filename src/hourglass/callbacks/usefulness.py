"""What the code is good for."""

import pytorch_lightning as pl
import torch
from torch import Tensor

from hourglass.callbacks.encoding import encode
from hourglass.data import Dataset
from hourglass.data.dataset import EVAL_BATCH
from hourglass.measures.linear_probe import SAMPLES
from hourglass.tracking import Run
from hourglass.training import Learner

AUDITED = 2000
"""Test samples that are shuffled to see whether a model copies, the first ones."""


class Usefulness(pl.Callback):
    """After the test, all on clean data: what the code is good for, and whether simpler things are as good.

    Logs, as `test/...`:

    - `knn_accuracy`, `linear_accuracy`, `linear_samples`, `mlp_accuracy`, `cluster_ari`, `cluster_nmi` of the code
      where there are classes, and the same with `_pixels` and `_pca` (see `hourglass.measures.probes`);
    - `noise_mse`, `copy_ratio`: the error on shuffled samples, and the error over it (see `shuffled`, `copy_ratio`);
    - `log_likelihood`: nats per sample, where the code has a density (see `hourglass.measures.likelihood`);
    - `anomaly_auroc`: whether the error tells these data from those that the model knows.

    Args:
        run: where to log.
        data: what is measured.
        train_samples: training samples that k-NN and the perceptron learn from; the linear probe takes all, up to
            60,000.
        likelihood_draws: codes drawn for each sample's likelihood, at least 1; None: it is not estimated.
        likelihood_samples: test samples whose likelihood is estimated, the first ones, at least 1.
        normal: the data that the model was trained on, where `data` is something else; else None.
    """

    def __init__(
        self,
        *,
        run: Run,
        data: Dataset,
        train_samples: int,
        likelihood_draws: int | None,
        likelihood_samples: int,
        normal: Dataset | None,
    ) -> None:
        self.run = run
        self.data = data
        self.train_samples = train_samples
        self.likelihood_draws = likelihood_draws
        self.likelihood_samples = likelihood_samples
        self.normal = normal

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]  # noqa: ARG002
        """Measure; the model is still in evaluation mode."""
        values = {
            **self._probes(pl_module),
            **self._copying(pl_module),
            **self._likelihood(pl_module),
            **self._anomalies(pl_module),
        }
        self.run.log_metrics({f"test/{name}": value for name, value in values.items()}, step=pl_module.steps_done)

    def _probes(self, learner: Learner) -> dict[str, float]:
        from hourglass.measures import probes

        train, test, samples = self.data.train, self.data.test, self.train_samples
        if train.y is None or test.y is None or _classes(train.y[:samples]) < 2:
            return {}  # nothing to tell apart, or nothing to learn it from
        chooses = probes.choosing(self.data)
        validation = None if chooses is None else (encode(learner, chooses[0]), chooses[1])
        code, test_code = encode(learner, train.x[:SAMPLES]), encode(learner, test.x)
        return {
            **probes.probe(code, train.y[:SAMPLES], test_code, test.y, train_samples=samples, validation=validation),
            **probes.baselines(self.data, train_samples=samples, code_size=learner.model.code_size),
        }

    def _copying(self, learner: Learner) -> dict[str, float]:
        from hourglass.measures.probes import copy_ratio, shuffled

        x = self.data.test.x[:AUDITED]
        clean = squared_errors(learner, x).double().mean().item()
        noise = squared_errors(learner, shuffled(x, seed=0)).double().mean().item()
        return {"noise_mse": noise, "copy_ratio": copy_ratio(clean, noise)}

    def _likelihood(self, learner: Learner) -> dict[str, float]:
        from hourglass.measures.likelihood import log_likelihood

        if self.likelihood_draws is None:
            return {}
        x = learner.data.scaled(self.data.test.x[: self.likelihood_samples].to(learner.device))
        found = log_likelihood(learner.model, x, learner.loss, draws=self.likelihood_draws, seed=0)
        return {} if found is None else {"log_likelihood": found.mean().item()}

    def _anomalies(self, learner: Learner) -> dict[str, float]:
        from hourglass.measures.probes import anomaly_auroc

        if self.normal is None:
            return {}
        normal, anomalous = (squared_errors(learner, data.test.x) for data in (self.normal, self.data))
        return {"anomaly_auroc": anomaly_auroc(normal, anomalous)}


def _classes(y: Tensor) -> int:
    return len(torch.unique(y))


@torch.no_grad()
def squared_errors(learner: Learner, x: Tensor) -> Tensor:
    """Mean squared error (N,) per element of each clean sample (N, *shape), on the CPU."""
    blocks = []
    for block in torch.split(x, EVAL_BATCH):
        clean = learner.data.scaled(block.to(learner.device))
        blocks.append((learner.model(clean).reconstruction - clean).square().flatten(1).mean(1).float().cpu())
    return torch.cat(blocks)
