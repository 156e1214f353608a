"""What the code is good for."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from hourglass.callbacks.encoding import encode, squared_errors, told
from hourglass.callbacks.recording import RunCallback
from hourglass.measures.errors import copy_ratio, shuffled
from hourglass.measures.linear_probe import SAMPLES
from hourglass.measures.probes import PROBES, baselines, check_probes, choosing, probe
from hourglass.samplers import HasLogDensity
from hourglass.samplers.source import BringsDensity
from hourglass.training import Learner

AUDITED = 2000
"""Test samples that are shuffled to see whether a model copies, the first ones."""


class Usefulness(RunCallback):
    """After the test, all on clean data: what the code is good for, and whether simpler things are as good.

    Logs, as `test/...`:

    - `knn_accuracy`, `linear_accuracy`, `linear_samples`, `mlp_accuracy`, `cluster_ari`, `cluster_nmi` of the code
      where there are classes, and the same with `_pixels` and `_pca` (see `hourglass.measures.probes`);
    - `noise_mse`, `copy_ratio`: the error on shuffled samples, and the error over it (see `hourglass.measures.errors`);
    - `log_likelihood`: nats per sample, where the code has a density (see `hourglass.measures.likelihood`), `elbo`, the
      evidence lower bound of the same samples and draws, and `log_likelihood_sampler`, with the fitted density of a
      sampler in place of the prior;

    Args:
        probe_samples: training samples that k-NN and the perceptron learn from, at least 10; the linear probe takes
            all, up to 60,000.
        probes: which of `knn`, `linear`, `mlp` and `clusters`; of codes of hundreds of units they take longer than a
            short training.
        likelihood_draws: codes drawn for each sample's likelihood, at least 1; null: it is not estimated.
        likelihood_samples: test samples whose likelihood is estimated, the first ones, at least 1.

    Raises:
        ValueError: a number out of its range.
    """

    evaluates = True

    def __init__(
        self,
        *,
        probe_samples: int,
        likelihood_draws: int | None,
        likelihood_samples: int,
        probes: Sequence[str] = PROBES,  # runs of before the key have been asked all
    ) -> None:
        for key, value, lowest in (
            ("probe_samples", probe_samples, 10),
            ("likelihood_draws", likelihood_draws, 1),
            ("likelihood_samples", likelihood_samples, 1),
        ):
            if value is not None and value < lowest:
                raise ValueError(f"{key} must be at least {lowest}, got {value}")
        check_probes(probes)
        self.probe_samples = probe_samples
        self.probes = tuple(probes)
        self.likelihood_draws = likelihood_draws
        self.likelihood_samples = likelihood_samples

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Measure; the model is still in evaluation mode."""
        values = {**self._probes(pl_module), **self._copying(pl_module), **self._likelihood(pl_module)}
        found = {f"test/{name}": value for name, value in values.items()}
        self.run(trainer).log_end_values(found, steps=pl_module.steps_done)

    def _probes(self, learner: Learner) -> dict[str, float]:
        train, test, samples = learner.data.train, learner.data.test, self.probe_samples
        if not self.probes or train.y is None or test.y is None or _classes(train.y[:samples]) < 2:
            return {}  # nothing to tell apart, or nothing to learn it from
        chooses = choosing(learner.data)
        validation = None if chooses is None else (encode(learner, *chooses), chooses[1])
        pairs = ((train.x[:SAMPLES], train.y[:SAMPLES]), (test.x[:SAMPLES], test.y[:SAMPLES]))
        codes = [(encode(learner, x, y), y) for x, y in pairs]
        how: dict[str, Any] = {"train_samples": samples, "which": self.probes}
        return {
            **probe(*codes[0], *codes[1], validation=validation, **how),
            **baselines(learner.data, code_size=learner.model.code_size, **how),
        }

    def _copying(self, learner: Learner) -> dict[str, float]:
        if learner.data.targets is not None:  # there is nothing to copy
            return {}
        x, y = learner.data.test.x[:AUDITED], learner.data.test.y
        y = None if y is None else y[:AUDITED]
        clean = squared_errors(learner, x, y).double().mean().item()
        noise = squared_errors(learner, shuffled(x, seed=0), y).double().mean().item()
        values = learner.data.target(x).float().flatten(1)  # NaN where an entry is missing
        variance = (values - values.nanmean(0)).square().nanmean().item()
        return {"noise_mse": noise, "copy_ratio": copy_ratio(clean, noise, variance=variance)}

    def _likelihood(self, learner: Learner) -> dict[str, float]:
        from hourglass.measures.likelihood import bounds

        if self.likelihood_draws is None or learner.data.targets is not None:  # the density is that of the samples
            return {}
        target = learner.data.target(learner.data.test.x[: self.likelihood_samples].to(learner.device))
        x, sampler = learner.data.filled(target), learner.sampler
        classes = learner.data.test.y
        y = told(learner, None if classes is None else classes[: len(x)])
        how: dict[str, Any] = {"draws": self.likelihood_draws, "seed": 0, "target": target, "y": y}
        prior = learner.log_prior if isinstance(learner, BringsDensity) else None
        found = bounds(learner.model, x, learner.loss, log_prior=prior, **how)
        values = {} if found is None else found._asdict()
        if isinstance(sampler, HasLogDensity):
            fitted = bounds(learner.model, x, learner.loss, log_prior=sampler.log_density, **how)
            values |= {} if fitted is None else {"log_likelihood_sampler": fitted.log_likelihood}
        return {name: value.mean().item() for name, value in values.items()}


def _classes(y: Tensor) -> int:
    return len(torch.unique(y))
