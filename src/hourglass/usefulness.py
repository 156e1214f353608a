"""How useful is a code: can a simple classifier that sees only the code tell the classes?

    knn_accuracy     share of test samples whose class wins the vote of the 5 nearest training codes
    linear_accuracy  share that a multinomial logistic regression on standardised codes gets right

Both are fitted on codes of training samples, with the encoder frozen, and scored on codes of test samples.
They measure what an encoder without labels has kept, not what a classifier could reach (Coates, Lee and Ng,
2011; Alain and Bengio, 2016).
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float32]


def probe(
    train_code: Tensor, train_y: Tensor, test_code: Tensor, test_y: Tensor, *, train_samples: int
) -> dict[str, float]:
    """`knn_accuracy` and `linear_accuracy`, both in [0, 1], from a subset of the training codes.

    Args:
        train_code: (N, code_size), any device.
        train_y: (N,) integer classes.
        test_code: (M, code_size); all of it is scored.
        test_y: (M,) integer classes.
        train_samples: how many training codes are used, a random subset that is the same in every run with
            the same N; all of them where there are no more. At least 1. With 10,000 of MNIST and 64 units
            both probes take about 1.5 s on two cores.

    Raises:
        ValueError: see `knn_accuracy` and `linear_accuracy`.
    """
    if train_samples < 1:
        raise ValueError(f"train_samples must be at least 1, got {train_samples}")
    chosen = torch.randperm(len(train_code), generator=torch.Generator().manual_seed(0))[:train_samples]
    code, y = train_code.cpu()[chosen], train_y.cpu()[chosen]
    return {
        "knn_accuracy": knn_accuracy(code, y, test_code, test_y, k=5),
        "linear_accuracy": linear_accuracy(code, y, test_code, test_y),
    }


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


def linear_accuracy(train_code: Tensor, train_y: Tensor, test_code: Tensor, test_y: Tensor) -> float:
    """Accuracy of a multinomial logistic regression, C = 1, on codes standardised by the training codes.

    A constant unit stays 0 and says nothing; when all are constant the most frequent training class is
    predicted. NaN or infinite codes: NaN. L-BFGS stops after 200 steps, where the accuracy has settled to
    about 0.001.

    Raises:
        ValueError: shapes that don't fit together, or fewer than 2 classes to tell apart.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    _check(train_code, train_y, test_code, test_y)
    classes = len(torch.unique(train_y))
    if classes < 2:
        raise ValueError(f"train_y must hold at least 2 classes, got {classes}")
    train, test = _array(train_code), _array(test_code)
    if not (np.isfinite(train).all() and np.isfinite(test).all()):
        return math.nan
    scaler = StandardScaler().fit(train)
    classifier = LogisticRegression(max_iter=200, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the docstring says what the limit costs
        classifier.fit(scaler.transform(train), train_y.cpu().numpy())
    return float(classifier.score(scaler.transform(test), test_y.cpu().numpy()))


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
