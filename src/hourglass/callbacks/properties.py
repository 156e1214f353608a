"""Whether a code has the property that its type is for."""

import pytorch_lightning as pl
import torch

from hourglass.callbacks.recording import RunCallback
from hourglass.models.conditional import in_turn
from hourglass.training import Learner
from hourglass.training.batches import some, some_of

# Number of the batch whose random numbers are the prior's: one that no codes, which start at 0, and no training noise
# of the linear floor are drawn with. Draws of the same numbers would lie beside the codes, nearer than chance has them.
_DRAWS = 900_000


class Properties(RunCallback):
    """After the test: numbers that say of a generative and of a contractive code whether it is one.

    Logs, as `test/...`:

    - `prior_mmd`, `prior_mmd_null`: the distance of the codes, as they are trained, from the prior that the learner
      draws codes from, where it has one, and what chance alone gives (see `hourglass.measures.prior_distance`);
    - `class_agreement`: the share of drawn samples that a classifier takes for the class that was asked for, of a model
      that is told classes (see `hourglass.measures.class_agreement`);
    - `code_jacobian`: how much the code follows its input (see `hourglass.measures.code_jacobian`).
    """

    evaluates = True

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Measure; the model is still in evaluation mode."""
        with torch.autocast(pl_module.device.type, enabled=False):
            values = {**self._prior(pl_module), **self._agreement(pl_module), **self._jacobian(pl_module)}
        found = {f"test/{name}": value for name, value in values.items()}
        self.run(trainer).log_end_values(found, steps=pl_module.steps_done)

    def _prior(self, learner: Learner) -> dict[str, float]:
        from hourglass.measures.prior_distance import SAMPLES, prior_distance

        codes = learner.drawn_codes(*some_of(learner.data.test, SAMPLES))
        found = prior_distance(codes, learner.prior, seed=learner.noise.seed_of(_DRAWS))
        return {} if found is None else {"prior_mmd": found.mmd, "prior_mmd_null": found.null}

    @torch.no_grad()
    def _agreement(self, learner: Learner) -> dict[str, float]:
        from hourglass.measures.class_agreement import DRAWN, LEARNED_FROM, class_agreement

        x, y = some_of(learner.data.train, LEARNED_FROM)
        if not learner.model.classes or y is None or bool((y == y[:1]).all()):
            return {}
        with torch.random.fork_rng():
            torch.manual_seed(0)
            codes = learner.prior(DRAWN)
        if codes is None:
            return {}
        asked = in_turn(learner.model, DRAWN)
        assert asked is not None
        drawn = learner.model.decode(codes, asked).float().cpu()
        return {"class_agreement": class_agreement(learner.data.scaled(x), y, drawn, asked.cpu())}

    def _jacobian(self, learner: Learner) -> dict[str, float]:
        from hourglass.measures.code_jacobian import SAMPLES, code_jacobian

        if learner.model.classes:  # it follows the class as well
            return {}
        x = learner.data.scaled(some(learner.data.test.x, SAMPLES).to(learner.device))
        found = code_jacobian(learner.model, x)
        return {} if found is None else {"code_jacobian": found}
