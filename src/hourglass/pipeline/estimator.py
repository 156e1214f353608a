"""An autoencoder as scikit-learn has its parts: it is fitted to rows, transforms them to codes and codes to rows.

    code = Hourglass(code_size=8).fit(x).transform(x)   is   hourglass.fit(x, code_size=8).encode(x)

It stands in a Pipeline as PCA does, and a GridSearchCV varies its arguments.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from typing_extensions import override

from hourglass.data.dataset import EVAL_BATCH
from hourglass.pipeline.fit import fit

GROUPS = (
    *(
        "experiment",
        "model",
        "bottleneck",
        "prior",
        "flow",
        "condition",
        "noise",
        "regularizer",
        "loss",
        "sampler",
        "optimizer",
    ),
    *("schedule", "training", "trainer", "callback"),
)
"""Arguments that are choices of groups."""
KEYS = {
    "code_size": "model.code_size",
    "depth": "model.depth",
    "epochs": "training.epochs",
    **{key: key for key in ("seed", "name", "study")},
}
"""Those that are values, and their keys."""

Choice = str | Sequence[str] | None

FEWEST = 3
"""Samples: one each to train on, to validate on and to test on."""


class Hourglass(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """An autoencoder with the methods of scikit-learn.

    Its arguments are those of `hourglass.fit`, and mean the same. They are checked by `fit`. Of what it is fitted to a
    test and a validation set are set apart; their sizes are `data.test_share` and `data.validation_size` in
    `overrides`.

    Any numbers go in and come out in their own units: columns are scaled as those of a csv file, `data.scaling=minmax`,
    and images by the one range of their values, `unit`; `overrides={"data.scaling": "none"}` takes them as they are.
    `uint8` are grey levels, seen and given back as 0 to 1; fitted to them it takes them, or floats from 0 to 1.

    Args:
        model: as all others a choice of its group, see `hourglass.fit`.
        bottleneck: a choice.
        prior: a choice, of a variational code.
        flow: a choice, of a variational code.
        condition: a choice; there is none but `none`, since `transform` is given no classes.
        noise: a choice, or several.
        regularizer: a choice, or several.
        loss: a choice.
        sampler: a choice.
        optimizer: a choice.
        schedule: a choice.
        training: a choice.
        trainer: a choice.
        callback: a choice, or several; `quick` measures and draws less, which searches gain by.
        experiment: a recipe.
        code_size: how many features a sample becomes.
        depth: `model.depth`.
        epochs: `training.epochs`.
        seed: of weights and noise; None: 0.
        overrides: every other value, by its key.
        sample_shape: (H, W) or (C, H, W): rows (N, D) are seen as such images, and given back as rows.
        tracking: None keeps nothing, since searches fit often; "mlflow" records each fit.
        folder: where files besides the run's own go.
        name: of the run.
        study: tag of the runs.

    Attributes:
        model_: the trained model, as `hourglass.load` gives it.
        metrics_: the last value of every metric, as `test/mse`.
        health_: the verdict on the run.
        run_id_: id of the run; None where nothing is kept.
        n_features_in_: columns of what it was fitted to.
        feature_names_in_: their names, where they had any.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        bottleneck: str | None = None,
        prior: str | None = None,
        flow: str | None = None,
        condition: str | None = None,
        noise: Choice = None,
        regularizer: Choice = None,
        loss: str | None = None,
        sampler: str | None = None,
        optimizer: str | None = None,
        schedule: str | None = None,
        training: str | None = None,
        trainer: str | None = None,
        callback: Choice = None,
        experiment: str | None = None,
        code_size: int | None = None,
        depth: int | None = None,
        epochs: int | None = None,
        seed: int | None = None,
        overrides: Sequence[str | Mapping[str, Any]] | Mapping[str, Any] = (),
        sample_shape: tuple[int, ...] | None = None,
        tracking: str | None = None,
        folder: str | PathLike[str] | None = None,
        name: str | None = None,
        study: str | None = None,
    ) -> None:
        # Each by itself and untouched: that is how scikit-learn clones and asks.
        self.model, self.bottleneck, self.condition = model, bottleneck, condition
        self.prior, self.flow = prior, flow
        self.noise, self.regularizer = noise, regularizer
        self.loss, self.sampler, self.optimizer, self.schedule = loss, sampler, optimizer, schedule
        self.training, self.trainer, self.callback, self.experiment = training, trainer, callback, experiment
        self.code_size, self.depth, self.epochs, self.seed = code_size, depth, epochs, seed
        self.overrides, self.sample_shape = overrides, sample_shape
        self.tracking, self.folder, self.name, self.study = tracking, folder, name, study

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002, N803 - scikit-learn's names
        """Train on samples.

        Args:
            X: rows (N, D), or images (N, H, W) or (N, C, H, W).
            y: not used; the measures by labels are those of `hourglass.fit`.

        Raises:
            ValueError: a mistake, in one line.
        """
        x = self._samples(X, reset=True)
        self._grey = x.dtype == np.uint8
        given = self.get_params(deep=False)
        fitted = fit(
            x,
            None,
            validation=None,
            test=None,
            choices={group: given[group] for group in GROUPS},
            values={key: given[name] for name, key in KEYS.items()},
            overrides=self._overrides(x),
            tracking=self.tracking,
            folder=self.folder,
            modules={},
        )
        self.model_ = fitted.in_own_units
        self.metrics_, self.health_ = fitted.metrics, fitted.health
        self.run_id_ = None if fitted.run is None else fitted.run.id
        self._n_features_out = self.model_.code_size
        return self

    def transform(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """Samples, as `fit` takes them, to codes (N, code_size)."""
        check_is_fitted(self)
        x = self._samples(X, reset=False)
        return self._in_batches(x, lambda batch: self.model_.encode(batch, range=self._range(x)))

    def inverse_transform(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """Codes (N, code_size) to samples, in the shape in which `fit` was given them."""
        check_is_fitted(self)
        codes = check_array(X, dtype=[np.float32, np.float64])
        return self._given_back(self._in_batches(codes, self.model_.decode))

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002, N803
        """The mean squared error of the reconstructions per value, scaled as `test/mse`; negative: more is better.

        Args:
            X: samples, as `fit` takes them.
            y: not used.
        """
        check_is_fitted(self)
        x = self._samples(X, reset=False)
        inputs, given = self.model_.inputs, self._range(x)
        taken = self._in_batches(x, lambda batch: inputs.samples(batch, name="X", given=given)[0])
        again = self._in_batches(x, lambda batch: self.model_(batch, range=given).reconstruction)
        both = [torch.from_numpy(each).double() for each in (taken, again)]
        seen, made = both if inputs.scaling is None else [inputs.scaling.apply(each) for each in both]
        return -(seen - made).square().mean().item()

    def _overrides(self, x: npt.NDArray[Any]) -> list[Any]:
        """Those of the person, after what scales any numbers."""
        given = [self.overrides] if isinstance(self.overrides, str | Mapping) else list(self.overrides)
        return given if x.dtype == np.uint8 else [f"data.scaling={'minmax' if x.ndim == 2 else 'unit'}", *given]

    def _samples(self, X: Any, *, reset: bool) -> npt.NDArray[Any]:  # noqa: N803
        """What `hourglass.fit` takes of what scikit-learn does."""
        x = validate_data(self, X, reset=reset, allow_nd=True, ensure_min_samples=FEWEST if reset else 1)
        if reset:
            self._shape_in = x.shape[1:]
        elif x.shape[1:] != self._shape_in:
            raise ValueError(f"X must have samples of shape {self._shape_in}, as in fit, got {x.shape[1:]}")
        if x.dtype.kind in "iub" and x.dtype != np.uint8:
            x = x.astype(np.float64)  # which keeps the seconds of a date
        if self.sample_shape is not None and x.ndim == 2:
            if np.prod(self.sample_shape) != x.shape[1]:
                raise ValueError(
                    f"sample_shape must hold {x.shape[1]} values, as X has columns, got {self.sample_shape}"
                )
            x = x.reshape(len(x), *self.sample_shape)
        return np.ascontiguousarray(x)

    def _range(self, x: npt.NDArray[Any]) -> str | None:
        """Floats are taken as they are, also far from what was trained on: other folds are others.

        Grey levels have one range for all folds, 0 to 1: what is none of them is refused, as by `hourglass.load`.
        """
        return None if self._grey or x.dtype == np.uint8 else "any"

    def _given_back(self, samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return samples.reshape(len(samples), *self._shape_in)

    @torch.no_grad()
    def _in_batches(self, x: npt.NDArray[Any], function: Any) -> npt.NDArray[Any]:
        blocks = [function(x[at : at + EVAL_BATCH]) for at in range(0, len(x), EVAL_BATCH)]
        found: npt.NDArray[Any] = torch.cat(blocks).numpy()
        return found

    @override
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
