"""Data sets: arrays in memory, one function per source, each the `_target_` of one yaml under conf/data.

    source(**its yaml) -> Dataset(train, validation, test, ...)

Adding a source is one function that ends in `Splitting.dataset` and one yaml.
"""

from hourglass.data.activations import activations
from hourglass.data.bundled import breast_cancer, digits, patches, wine
from hourglass.data.cifar import cifar10
from hourglass.data.corrupted import corrupted, mnist_corrupted
from hourglass.data.dataset import Dataset, Scaling, Split
from hourglass.data.factors import Factor
from hourglass.data.fetch import DataCorruptError, DataUnavailableError
from hourglass.data.frames import parquet
from hourglass.data.generated import one_hot, purchases, synthetic_manifold
from hourglass.data.given_arrays import arrays
from hourglass.data.hugging_face import hf
from hourglass.data.image_folder import image_folder
from hourglass.data.mnist_like import fashion_mnist, mnist
from hourglass.data.own_arrays import idx, npy, npz
from hourglass.data.own_tables import csv
from hourglass.data.shapes import shapes
from hourglass.data.signals import signals
from hourglass.data.splitting import Splits, SplitsAndTest, Splitting
from hourglass.data.torch_datasets import torch_dataset
from hourglass.data.trainable import check_trainable

__all__ = [
    "DataCorruptError",
    "DataUnavailableError",
    "Dataset",
    "Factor",
    "Scaling",
    "Split",
    "Splits",
    "SplitsAndTest",
    "Splitting",
    "activations",
    "arrays",
    "breast_cancer",
    "check_trainable",
    "cifar10",
    "corrupted",
    "csv",
    "digits",
    "fashion_mnist",
    "hf",
    "idx",
    "image_folder",
    "mnist",
    "mnist_corrupted",
    "npy",
    "npz",
    "one_hot",
    "parquet",
    "patches",
    "purchases",
    "shapes",
    "signals",
    "synthetic_manifold",
    "torch_dataset",
    "wine",
]
