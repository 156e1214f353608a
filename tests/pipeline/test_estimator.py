"""`hourglass.Hourglass`: it keeps scikit-learn's conventions, as scikit-learn itself checks them."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import hourglass
from hourglass import Hourglass
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run

QUICK: dict[str, Any] = {"epochs": 1, "callback": "quick", "overrides": {"trainer.accelerator": "cpu"}}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    return x[:300], y[:300]


# None of them is expected to fail; the one of other array libraries skips itself where these are not enabled.
@pytest.mark.long
@parametrize_with_checks([Hourglass(code_size=2, **QUICK)])
def test_it_is_an_estimator(estimator: Hourglass, check: Callable[..., None]) -> None:
    check(estimator)


def test_its_codes_are_those_of_fit(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x = digits[0] / 16
    estimator = Hourglass(code_size=4, seed=1, **{**QUICK, "overrides": "data.scaling=none"}).fit(x)
    fitted = hourglass.fit(x, code_size=4, seed=1, tracking=None, **QUICK)
    code = estimator.transform(x)
    assert code.dtype == np.float32
    assert np.array_equal(code, fitted.encode(x).numpy())
    assert np.array_equal(estimator.inverse_transform(code), fitted.reconstruct(x).numpy())
    assert estimator.score(x) == pytest.approx(-np.mean((x - estimator.inverse_transform(code)) ** 2), rel=1e-5)
    assert estimator.metrics_["test/mse"] == fitted.metrics["test/mse"]
    assert estimator.health_ == fitted.health
    assert estimator.run_id_ is None


def test_numbers_of_any_range_come_back_in_their_own_units(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x = 1000 * digits[0][:, np.ptp(digits[0], axis=0) > 15] - 7
    estimator = Hourglass(code_size=4, **QUICK).fit(x)
    again = estimator.inverse_transform(estimator.transform(x))
    assert again.shape == x.shape
    assert again.mean() == pytest.approx(x.mean(), rel=0.5)
    assert -1 < estimator.score(x) < 0
    assert np.isfinite(estimator.transform(5 * x)).all()
    whole = Hourglass(code_size=4, **QUICK).fit(x.astype(int))
    assert np.allclose(whole.transform(x.astype(int)), estimator.transform(x), atol=1e-5)


@pytest.mark.parametrize("kind", ["float64", "uint8"])
def test_images_and_rows_that_are_images(kind: str, digits: tuple[np.ndarray, np.ndarray]) -> None:
    images = digits[0].reshape(-1, 8, 8).astype(kind)
    rows = Hourglass(model="conv", code_size=4, sample_shape=(8, 8), **QUICK).fit(digits[0].astype(kind))
    shaped = Hourglass(model="conv", code_size=4, **QUICK).fit(images)
    code = shaped.transform(images)
    assert shaped.inverse_transform(code).shape[-2:] == (8, 8)
    assert rows.inverse_transform(code).shape == (300, 64)
    assert -1 < shaped.score(images) < 0
    with pytest.raises(ValueError, match="samples of shape"):
        shaped.transform(images[:, :, :4])
    with pytest.raises(ValueError, match=r"sample_shape must hold 64 values, .*got \(4, 4\)"):
        Hourglass(sample_shape=(4, 4), **QUICK).fit(digits[0])


def test_a_score_is_of_the_values_as_the_model_sees_them(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x = 16 * digits[0].clip(0, 15)
    x[:60:2], x[1:60:2] = 0, 240  # each column spans the same
    floats = Hourglass(code_size=4, **QUICK).fit(x)
    mean = -np.mean(((x - floats.inverse_transform(floats.transform(x))) / 240) ** 2)
    assert floats.score(x) == pytest.approx(mean, rel=1e-4)
    assert floats.score(x.astype(np.uint8)) == pytest.approx(mean, rel=1e-4)
    grey = x.astype(np.uint8)
    scaled = Hourglass(code_size=4, **{**QUICK, "overrides": {"trainer.accelerator": "cpu", "data.scaling": "minmax"}})
    made = scaled.fit(grey).inverse_transform(scaled.transform(grey))
    assert made.max() > 100
    assert scaled.score(grey) == pytest.approx(-np.mean(((x - made) / 240) ** 2), rel=1e-4)


def test_what_is_no_grey_level_is_refused_by_a_model_of_them(digits: tuple[np.ndarray, np.ndarray]) -> None:
    grey = (digits[0] * 255 / 16).astype(np.uint8)
    estimator = Hourglass(code_size=4, **QUICK).fit(grey)
    code = estimator.transform(grey)
    assert np.allclose(estimator.transform(grey / 255), code, atol=1e-5)
    for other in (grey.astype(int), grey.tolist(), grey.astype(np.float32)):
        for use in (estimator.transform, estimator.score):
            with pytest.raises(HourglassError, match="from 0 to 255, the model was trained on data from 0 to 1"):
                use(other)


def test_whole_numbers_keep_their_digits() -> None:
    seconds = 1_700_000_000 + np.arange(3600)  # float32 has steps of 128 there
    x = np.stack([seconds, np.arange(3600) % 7], axis=1)
    estimator = Hourglass(code_size=2, **QUICK).fit(x)
    assert estimator.model_.inputs.scaling.scale[0].item() == pytest.approx(3599, abs=10)
    assert len(np.unique(estimator._samples(x, reset=False)[:, 0])) == 3600
    assert len(np.unique(estimator.transform(x)[x[:, 1] == 0], axis=0)) > 400


def test_a_search_varies_it_in_a_pipeline(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = digits
    pipeline = make_pipeline(StandardScaler(), Hourglass(**QUICK), LogisticRegression(max_iter=200))
    search = GridSearchCV(pipeline, {"hourglass__code_size": [1, 16]}, cv=2).fit(x, y)
    assert search.best_params_ == {"hourglass__code_size": 16}
    assert search.predict(x).shape == y.shape
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert np.array_equal(again.predict(x), search.predict(x))
    alone = GridSearchCV(Hourglass(**QUICK), {"depth": [0, 1], "model": ["multilayer"]}, cv=2).fit(x)
    assert np.isfinite(alone.cv_results_["mean_test_score"]).all()


def test_it_is_cloned_pickled_and_named(digits: tuple[np.ndarray, np.ndarray]) -> None:
    frame = pd.DataFrame(digits[0][:, :20], columns=[f"c{number}" for number in range(20)])
    estimator = Hourglass(code_size=3, noise=["masking", "gaussian"], **QUICK)
    bare = clone(estimator)
    assert bare.get_params() == estimator.get_params()
    assert bare.set_params(code_size=2).code_size == 2
    code = estimator.set_output(transform="pandas").fit_transform(frame)
    assert list(code.columns) == list(estimator.get_feature_names_out()) == ["hourglass0", "hourglass1", "hourglass2"]
    assert list(estimator.feature_names_in_) == list(frame.columns)
    kept = pickle.dumps(estimator)
    assert len(kept) < 100_000  # the model, without what it was trained on
    pd.testing.assert_frame_equal(pickle.loads(kept).transform(frame), code)
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.transform(frame[frame.columns[::-1]])


def test_it_is_recorded_where_that_is_asked_for(
    digits: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Hourglass(**QUICK).fit(digits[0])
    for wrong, said in (({"model": "cnn"}, "model=cnn: no such choice"), ({"epochs": 0}, "training.epochs must be")):
        with pytest.raises(HourglassError, match=said):
            Hourglass(**{**QUICK, **wrong}).fit(digits[0])
    assert list(tmp_path.iterdir()) == []
    estimator = Hourglass(tracking="mlflow", code_size=2, name="mine", **QUICK).fit(digits[0])
    assert estimator.run_id_ == Run.find("mine", None).id
    assert np.allclose(hourglass.load("mine").encode(digits[0]).detach().numpy(), estimator.transform(digits[0]))


@pytest.mark.long
def test_the_package_imports_no_scikit_learn() -> None:
    code = "import sys, hourglass; assert 'sklearn' not in sys.modules; hourglass.Hourglass(code_size=2)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Sandglass'"):
        _ = hourglass.Sandglass
