"""The linear floor beside the model."""

import pytorch_lightning as pl

from hourglass.callbacks.recording import RunCallback
from hourglass.training import Learner


class Floor(RunCallback):
    """After the test: what the best linear code of as many units makes of the same input.

    Logs `test/linear_mse`, the floor's error, and `test/mse_over_linear`, the model's over it, where the two can be
    compared (see `hourglass.measures.linear_floor`); the tag `linear_floor` says which floor it is. A code as large as
    the sample has none.
    """

    evaluates = True

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Fit, or read an earlier fit, and measure."""
        from hourglass.measures import linear_floor

        run, data, k = self.run(trainer), pl_module.data, pl_module.model.code_size
        if not k < data.wanted.test.x[0].numel() or len(data.train) < 2:
            return
        floor = linear_floor.linear_floor(data, pl_module.noise)
        if floor is None:
            return
        goal = None if data.targets is None else data.targets.test.x
        errors = linear_floor.errors(floor, data.test.x, data, pl_module.noise, k=k, goal=goal)
        measured, activity = trainer.callback_metrics, pl_module.activity()
        ratio = linear_floor.ratio(
            float(measured["test/mse"]),
            errors,
            on=float(measured["test/code_active_fraction"]),
            dense=activity.dense if activity.switches else None,
        )
        values = {"test/linear_mse": errors.floor} | ({} if ratio is None else {"test/mse_over_linear": ratio})
        run.log_end_values(values, steps=pl_module.steps_done)
        run.set_tags({"linear_floor": floor.name})
