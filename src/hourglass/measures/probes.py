"""How useful is a code: can something simple that sees only the code tell the classes?

    knn_accuracy     share of test samples whose class wins the vote of the 5 nearest training codes (of all, if fewer)
    linear_accuracy  share that a multinomial logistic regression on standardised codes gets right, its strength chosen
                     on validation (see `hourglass.measures.linear_probe`)
    linear_samples   training codes that it learned from
    mlp_accuracy     the same of a perceptron with one hidden layer of 128 units
    cluster_ari      agreement of k-means clusters of test codes with the classes, as many clusters as classes:
                     adjusted Rand index, 0 by chance, 1 when equal (Hubert & Arabie, 1985)
    cluster_nmi      the same as mutual information over the mean of both entropies, from 0 to 1

The classifiers are fitted on codes of training samples, with the encoder frozen, and scored on codes of test samples.
They measure what an encoder without labels has kept, not what a classifier could reach (Coates, Lee & Ng, 2011;
Alain & Bengio, 2016). `baselines` says the same of the samples themselves and of their principal components: a code
that is not above them is good for compression at best.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hourglass.data import Dataset
from hourglass.measures.linear_probe import SAMPLES, linear_probe
from hourglass.models.principal_components import LARGEST, pca_for
from hourglass.system.cache import cache_dir, kept

Floats = npt.NDArray[np.float32]

PROBES = ("knn", "linear", "mlp", "clusters")
"""What can be asked of a code."""
CLUSTERED = 5000
"""Test samples that are clustered, the first ones."""

_CONSTANT = 1e-30  # deviation of a code unit

_VERSION = 4  # of the probes: to be raised when one changes, so that baselines of the older ones are not read again


def probe(
    train_code: Tensor,
    train_y: Tensor,
    test_code: Tensor,
    test_y: Tensor,
    *,
    train_samples: int,
    validation: tuple[Tensor, Tensor] | None,
    which: Sequence[str] = PROBES,
) -> dict[str, float]:
    """The three accuracies and the two agreements of the module docstring, or those that are asked for.

    Args:
        train_code: (N, code_size), any device.
        train_y: (N,) integer classes.
        test_code: (M, code_size); the accuracies are of all of it, the agreements of the first `CLUSTERED`.
        test_y: (M,) integer classes.
        train_samples: how many training codes k-NN and the perceptron learn from, a random subset that is the same in
            every run with the same N; all of them where there are no more. At least 1. The linear probe costs less and
            learns from all, up to 60,000. With MNIST, 10,000 and 64 units the probes take about 3 s on one core.
        validation: codes and classes that the strength of the linear probe is chosen by; None: of the training codes.
        which: of `PROBES`; what is not among them costs nothing.

    Raises:
        ValueError: see `knn_accuracy`, `linear_probe` and `check_probes`.
    """
    if train_samples < 1:
        raise ValueError(f"train_samples must be at least 1, got {train_samples}")
    check_probes(which)
    chosen = torch.randperm(len(train_code), generator=torch.Generator().manual_seed(0))[:train_samples]
    code, y = train_code.cpu()[chosen], train_y.cpu()[chosen]
    found: dict[str, float] = {}
    if "knn" in which:
        found["knn_accuracy"] = knn_accuracy(code, y, test_code, test_y, k=min(5, len(code)))
    if "linear" in which:
        linear = linear_probe((train_code, train_y), validation, (test_code, test_y))
        found |= {"linear_accuracy": linear.accuracy, "linear_samples": float(linear.samples)}
    if "mlp" in which:
        found["mlp_accuracy"] = mlp_accuracy(code, y, test_code, test_y)
    if "clusters" in which:
        found |= cluster_agreement(test_code[:CLUSTERED], test_y[:CLUSTERED])
    return found


def check_probes(which: Sequence[str]) -> None:
    """Refuse a probe that there is not.

    Raises:
        ValueError: with what there is.
    """
    if isinstance(which, str) or not set(which) <= set(PROBES):
        raise ValueError(f"probes must be a list of some of {', '.join(PROBES)}, got {which}")


def baselines(data: Dataset, *, train_samples: int, code_size: int, which: Sequence[str] = PROBES) -> dict[str, float]:
    """What `probe` gives for the samples themselves, `..._pixels`, and for principal components, `..._pca`.

    There are as many components as code units, but never more than values in a sample; none for samples of more
    than `LARGEST` values. Kept in the data folder, because they depend on nothing but the data set and the arguments:
    for MNIST and 10,000 samples they take about 25 s once.

    Args:
        data: with classes.
        train_samples: see `probe`.
        code_size: number of components, at least 1.
        which: see `probe`.
    """
    train, test = data.train, data.test
    assert train.y is not None  # the callers ask for classes first
    assert test.y is not None
    x, y, test_x, test_y = train.x[:SAMPLES], train.y[:SAMPLES], test.x[:SAMPLES], test.y[:SAMPLES]
    chooses = choosing(data)
    elements = math.prod(data.shape)

    @cache  # of what nobody has asked before: for all of its probes at once
    def pixels() -> Callable[..., dict[str, float]]:
        def flat(x: Tensor) -> Tensor:
            return data.scaled(x).flatten(1)

        validation = None if chooses is None else (flat(chooses[0]), chooses[1])
        return partial(probe, flat(x), y, flat(test_x), test_y, validation=validation)

    @cache
    def components() -> Callable[..., dict[str, float]]:
        pca, k = pca_for(data), min(code_size, elements)
        validation = None if chooses is None else (pca.encode(chooses[0], k), chooses[1])
        return partial(probe, pca.encode(x, k), y, pca.encode(test_x, k), test_y, validation=validation)

    stem = cache_dir() / f"probes-{_VERSION}" / f"{data.digest}-{train_samples}"
    ways = [("pixels", "pixels", pixels)]
    if elements <= LARGEST:
        ways.append(("pca", f"pca{min(code_size, elements)}", components))

    def value_of(asked: Callable[[], Callable[..., dict[str, float]]], each: str) -> dict[str, float]:
        return asked()(train_samples=train_samples, which=[each])

    found: dict[str, float] = {}
    for of, part, asked in ways:
        for each in which:
            values = _kept(Path(f"{stem}-{part}-{each}.json"), partial(value_of, asked, each))
            found |= {f"{key}_{of}": value for key, value in values.items()}
    return found


def choosing(data: Dataset) -> tuple[Tensor, Tensor] | None:
    """The samples and classes of the validation set, the first `SAMPLES`.

    None where it is the test set, which chooses nothing, or has no classes.
    """
    split = data.validation
    return None if split is data.test or split.y is None or not len(split) else (split.x[:SAMPLES], split.y[:SAMPLES])


def _kept(path: Path, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
    return kept(
        path,
        read=lambda path: json.loads(path.read_text()),
        compute=compute,
        write=lambda path, values: path.write_text(json.dumps(values)),
    )


def knn_accuracy(train_code: Tensor, train_y: Tensor, test_code: Tensor, test_y: Tensor, *, k: int) -> float:
    """Accuracy of a vote of the k nearest training codes (Euclidean; ties go to the smallest class).

    Codes are taken as they are: a unit that the encoder made large counts for more. NaN or infinite codes
    have no neighbours: the result is NaN. Constant codes leave an arbitrary vote, so chance.

    Raises:
        ValueError: shapes that don't fit together, or k outside [1, N].
    """
    from sklearn.neighbors import KNeighborsClassifier

    _check(train_code, train_y, test_code, test_y)
    if not 1 <= k <= len(train_code):
        raise ValueError(f"k must be between 1 and {len(train_code)}, the number of training codes, got {k}")
    train, test = _array(train_code), _array(test_code)
    if not (np.isfinite(train).all() and np.isfinite(test).all()):
        return math.nan
    classifier = KNeighborsClassifier(n_neighbors=k, algorithm="brute").fit(train, train_y.cpu().numpy())
    return float(classifier.score(test, test_y.cpu().numpy()))


def mlp_accuracy(train_code: Tensor, train_y: Tensor, test_code: Tensor, test_y: Tensor) -> float:
    """Accuracy of a perceptron with 128 hidden ReLU units, on codes standardised by the training codes.

    Trained by 20 epochs of Adam at 0.001 in batches of 200, from one fixed seed. NaN or infinite codes: NaN.

    Raises:
        ValueError: shapes that don't fit together, or fewer than 2 classes to tell apart.
    """
    from sklearn.neural_network import MLPClassifier

    classifier = MLPClassifier(128, batch_size=min(200, len(train_code)), max_iter=20, random_state=0)
    return _standardised(classifier, train_code, train_y, test_code, test_y)


def cluster_agreement(code: Tensor, y: Tensor) -> dict[str, float]:
    """`cluster_ari` and `cluster_nmi` of codes (N, code_size) with their integer classes (N,).

    k-means, the best of 4 starts from fixed seeds. Codes are taken as they are, as in `knn_accuracy`: to standardise
    them would blow up the units that carry nothing, which a variational code has. NaN or infinite codes: NaN.

    Raises:
        ValueError: shapes that don't fit together.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    _check(code, y, code, y)
    points, labels = _array(code), y.cpu().numpy()
    if not np.isfinite(points).all():
        return {"cluster_ari": math.nan, "cluster_nmi": math.nan}
    with _unwarned():  # fewer distinct codes than classes: the agreement says so
        clusters = KMeans(len(np.unique(labels)), n_init=4, random_state=0).fit_predict(points)
    return {
        "cluster_ari": float(adjusted_rand_score(labels, clusters)),
        "cluster_nmi": float(normalized_mutual_info_score(labels, clusters)),
    }


def _standardised(classifier: Any, train_code: Tensor, train_y: Tensor, test_code: Tensor, test_y: Tensor) -> float:
    """Accuracy of a classifier of scikit-learn's on codes standardised by the training codes."""
    from sklearn.preprocessing import StandardScaler

    _check(train_code, train_y, test_code, test_y)
    classes = len(torch.unique(train_y))
    if classes < 2:
        raise ValueError(f"train_y must hold at least 2 classes, got {classes}")
    train, test = _array(train_code), _array(test_code)
    if not (np.isfinite(train).all() and np.isfinite(test).all()):
        return math.nan
    scaler = StandardScaler().fit(train)
    # As constant as a unit that stays the same: a component of no variance, say. Times 1e40 a test code is infinite.
    scaler.scale_[scaler.scale_ < _CONSTANT] = 1.0
    with _unwarned():  # the docstrings say when a classifier stops
        classifier.fit(scaler.transform(train), train_y.cpu().numpy())
    return float(classifier.score(scaler.transform(test), test_y.cpu().numpy()))


@contextmanager
def _unwarned() -> Iterator[None]:
    """Without scikit-learn's warning that something has not converged."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _check(train_code: Tensor, train_y: Tensor, test_code: Tensor, test_y: Tensor) -> None:
    for name, code, y in (("train", train_code, train_y), ("test", test_code, test_y)):
        if code.ndim != 2 or y.shape != code.shape[:1] or not len(code):
            raise ValueError(
                f"{name}_code must be (N, code_size) and {name}_y (N,) with N at least 1, "
                f"got {tuple(code.shape)} and {tuple(y.shape)}"
            )
    if train_code.shape[1] != test_code.shape[1]:
        raise ValueError(
            f"train and test codes must have equal width, got {train_code.shape[1]} and {test_code.shape[1]}"
        )


def _array(code: Tensor) -> Floats:
    return code.detach().cpu().float().numpy()
