"""What the claims measure of trained models beyond what a run records."""

import gzip
import io
import time
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.preprocessing import StandardScaler

import hourglass
from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.data import Dataset, Split
from hourglass.models.principal_components import fit, pca_for
from hourglass.trained.model import TrainedModel

__all__ = [
    "against_codecs",
    "angles_of_reconstructions",
    "cost_of_classifying",
    "found_again",
    "lossless",
    "maps",
    "principal_angles",
    "samples_and_data",
    "worst_reconstructions",
]


def cost_of_classifying(model: TrainedModel, data: Dataset, *, seed: int, samples: int) -> dict[str, float]:
    """Seconds in which a logistic regression learns from codes and from pixels, and the bytes of both."""
    x, y = some(data, data.train, samples, seed)
    with torch.no_grad():
        code = model.encode(x).numpy()
    found: dict[str, float] = {}
    for name, rows in (("code", code), ("pixels", x.flatten(1).numpy())):
        rows = StandardScaler().fit_transform(rows)
        began = time.process_time()
        LogisticRegression(C=0.01, max_iter=300).fit(rows, y)
        found[f"seconds_{name}"] = time.process_time() - began
        found[f"bytes_{name}"] = float(rows.astype(np.float32).nbytes)
    return found


def principal_angles(model: TrainedModel, data: Dataset, *, seed: int) -> dict[str, float]:  # noqa: ARG001
    """Mean squared cosine of the angles between the span of a one-layer decoder and the first principal components."""
    weight = next(w for w in model.model.decoder.parameters() if w.ndim == 2).detach().numpy()  # (D, n)
    ours, _ = np.linalg.qr(weight)
    return _angles(ours.T, data)


def angles_of_reconstructions(model: TrainedModel, data: Dataset, *, seed: int) -> dict[str, float]:
    """The same of the first n principal components of 5,000 test reconstructions, n units, and those of the data.

    Which any decoder has: that of one layer spans no more than its weights do.
    """
    with torch.no_grad():
        again = model(some(data, data.test, 5000, seed)[0]).reconstruction
    return _angles(fit(again).components[: model.code_size].numpy(), data)


def _angles(ours: Any, data: Dataset) -> dict[str, float]:
    """Of the angles between the span of orthonormal rows (n, D) and that of the data's first n components."""
    theirs = pca_for(data).components[: len(ours)].numpy()
    return {"mean_squared_cosine": float(np.mean(np.linalg.svd(ours @ theirs.T, compute_uv=False) ** 2))}


def found_again(model: TrainedModel, data: Dataset, *, seed: int, words: list[str]) -> dict[str, float]:
    """How much of a code another seed finds again, with the same words: units are matched one to one.

    By the correlation of their activations over 5,000 test samples (Li et al., 2016). `matched` is the mean |r| of the
    pairs of an optimal assignment, `again` the share of pairs above .7, both of the units that vary; `chance` is
    `matched` where the other net sees the samples in another order.
    """
    samples = data.train.x.numpy()
    twin = hourglass.fit(samples, seed=seed + 1000, callback="quick", tracking=None, overrides=words)
    x, _ = some(data, data.test, 5000, seed)
    with torch.no_grad():
        ours = model.encode(x).numpy()
    theirs = np.asarray(twin.encode((x * 255).round().to(torch.uint8).numpy()))
    order = np.random.default_rng(seed).permutation(len(ours))
    found, chance = (_matched(ours, each) for each in (theirs, theirs[order]))
    return {"matched": float(found.mean()), "again": float((found > 0.7).mean()), "chance": float(chance.mean())}


def _matched(one: Any, other: Any) -> Any:
    """|r| of each unit that varies and the one it is matched with."""
    one, other = (each[:, each.std(0) > 1e-6] for each in (one, other))
    one, other = ((each - each.mean(0)) / each.std(0) for each in (one, other))
    r = np.abs(one.T @ other) / len(one)
    return r[linear_sum_assignment(-r)]


def samples_and_data(model: TrainedModel, data: Dataset, *, seed: int) -> dict[str, float]:
    """Of 1,000 decoded draws of N(0, 1): how sure a classifier is of them, and how near they are to training data.

    `distance_ratio` is the median distance to the nearest of 10,000 training samples over that of test samples.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        drawn = model.decode(torch.randn(1000, model.code_size, generator=generator)).flatten(1).numpy()
    x, y = some(data, data.train, 10_000, seed)
    train = x.flatten(1).numpy()
    classifier = LogisticRegression(C=0.01, max_iter=200).fit(train, y)
    nearest = NearestNeighbors(n_neighbors=1).fit(train)
    test = some(data, data.test, 1000, seed)[0].flatten(1).numpy()
    (of_drawn, _), (of_test, _) = (nearest.kneighbors(each) for each in (drawn, test))
    return {
        "confidence": float(classifier.predict_proba(drawn).max(axis=1).mean()),
        "distance_ratio": float(np.median(of_drawn) / np.median(of_test)),
    }


def worst_reconstructions(model: TrainedModel, data: Dataset, *, seed: int, share: float) -> dict[str, float]:
    """PSNR of the worst share of the test samples, and how many a classifier takes for another class afterwards."""
    x, y = some(data, data.train, 10_000, seed)
    classifier = LogisticRegression(C=0.01, max_iter=200).fit(x.flatten(1).numpy(), y)
    test, _ = some(data, data.test, 10_000, seed)
    with torch.no_grad():
        again = model(test).reconstruction
    errors = (again - test).square().flatten(1).mean(1)
    worst = errors.topk(max(1, round(share * len(errors)))).values.mean().item()
    before, after = (classifier.predict(each.flatten(1).numpy()) for each in (test, again))
    return {"worst_psnr": -10 * float(np.log10(worst)), "changed_class": float((before != after).mean())}


def against_codecs(
    model: TrainedModel,
    data: Dataset,
    *,
    seed: int,  # noqa: ARG001
    levels: int,
    images: int,
) -> dict[str, float]:
    """Bits per pixel of quantised codes, each unit coded with its entropy, and of JPEG and PNG at the same error.

    `bits_decoder` are those of the decoder's weights, of 32 bits and packed by gzip, that so many images share.
    """
    x = data.scaled(data.test.x[:1600])
    with torch.no_grad():
        code = model.encode(x)
        low, high = code.amin(0), code.amax(0)
        symbols = ((code - low) / (high - low).clamp(min=1e-12) * (levels - 1)).round()
        again = model.decode(low + symbols / (levels - 1) * (high - low))
    error = (again - x).square().mean().item()
    counts = torch.stack([(symbols == level).float().mean(0) for level in range(levels)])
    bits = -(counts * counts.clamp(min=1e-12).log2()).sum().item()
    sheet = tiled(x[:, 0].numpy())
    quality = next(
        (q for q in range(1, 96) if np.mean((decoded(sheet, q) / 255 - sheet / 255) ** 2) <= error),
        95,
    )
    flat = len(encoded(np.full((8, 8), 128, np.uint8), "JPEG", quality))  # the header and little else
    pixels = sheet.size
    weights = b"".join(weight.detach().float().numpy().tobytes() for weight in model.model.decoder.parameters())
    return {
        "bits_code": bits / x[0].numel(),
        "bits_decoder": 8 * len(gzip.compress(weights, 9)) / (images * x[0].numel()),
        "bits_jpeg": 8 * (len(encoded(sheet, "JPEG", quality)) - flat) / pixels,
        "bits_png": 8 * len(encoded(sheet, "PNG", quality)) / pixels,
        "bits_gzip": 8 * len(gzip.compress(sheet.tobytes(), 9)) / pixels,
        "mse": error,
    }


def maps(model: TrainedModel, data: Dataset, *, seed: int, samples: int, components: int) -> dict[str, float]:
    """Maps by t-SNE from pixels, from codes and from principal components: seconds, neighbours, trustworthiness."""
    x, y = some(data, data.test, samples, seed)
    with torch.no_grad():
        code = model.encode(x).numpy()
    pixels = x.flatten(1).numpy()
    found: dict[str, float] = {}
    for name, rows in (("pixels", pixels), ("code", code), ("pca", pca_for(data).encode(x, components).numpy())):
        began = time.process_time()
        place = TSNE(random_state=seed, init="pca").fit_transform(rows)
        found[f"seconds_{name}"] = time.process_time() - began
        half = len(place) // 2
        voted = KNeighborsClassifier(5).fit(place[:half], y[:half])
        found[f"neighbours_{name}"] = float(voted.score(place[half:], y[half:]))
        found[f"trustworthiness_{name}"] = float(trustworthiness(pixels, place, n_neighbors=5))
    return found


def lossless(*, seed: int, data: str) -> dict[str, float]:  # noqa: ARG001
    """Bits per pixel of gzip on the first 1,000 test images of a data set, and its error."""
    made: Dataset = build(compose_config([f"data={data}"])[0].data)
    pixels = np.round(made.scaled(made.test.x[:1000]).numpy() * 255).astype(np.uint8)
    packed = gzip.compress(pixels.tobytes(), 9)
    again = np.frombuffer(gzip.decompress(packed), np.uint8).reshape(pixels.shape)
    return {"bits": 8 * len(packed) / pixels.size, "error": float(np.mean((again - pixels) ** 2.0))}


def some(data: Dataset, split: Split, count: int, seed: int) -> tuple[torch.Tensor, Any]:
    """So many samples of a split, drawn with a seed, and their classes."""
    rows = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))[:count]
    assert split.y is not None
    return data.scaled(split.x[rows]), split.y[rows].numpy()


def tiled(images: Any) -> Any:
    """Images (n, H, W) in [0, 1] side by side as one of bytes, as square as their number allows."""
    side = int(len(images) ** 0.5)
    rows = images[: side * side].reshape(side, side, *images.shape[1:])
    sheet = rows.transpose(0, 2, 1, 3).reshape(side * images.shape[1], side * images.shape[2])
    return np.round(sheet * 255).astype(np.uint8)


def encoded(image: Any, form: str, quality: int) -> bytes:
    """An image of bytes as a file."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, form, quality=quality, optimize=True)
    return out.getvalue()


def decoded(image: Any, quality: int) -> Any:
    """What JPEG of a quality gives back."""
    return np.asarray(Image.open(io.BytesIO(encoded(image, "JPEG", quality))), dtype=np.float64)
