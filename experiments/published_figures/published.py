"""The published figures: each with its source, where Hourglass records its own, and how far apart the two may be.

The allowed difference was written down before the first run, with its reason. A miss is a result: nothing here is
widened for one.
"""

from typing import NamedTuple

BLOG = "A. Dertat, Applied Deep Learning, part 3: Autoencoders (2017)"
TUTORIAL = "TensorFlow tutorials, Intro to Autoencoders (2020)"
NOTEBOOK = (
    "A. Géron, Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow, 3rd edition (2022), "
    "notebook of chapter {} (ageron/handson-ml3)"
)
DISTRIBUTIONS = "Bayesian deep learning with torch distributions (2020), README (kampta/pytorch-distributions)"
EXAMPLE = "S. Valdarrama, Convolutional autoencoder for image denoising (2021), Keras examples"


SEEDS = ("0", "1", "2")


class Figure(NamedTuple):
    """A published number, and what stands beside it here."""

    name: str
    """Of its recipe in conf/experiment, or of a function in closed.py that needs no training."""
    family: str
    what: str
    source: str
    metric: str
    """`train/...` is the mean over the steps of the last epoch, others the value of the last epoch."""
    published: str
    """As the source prints it."""
    tolerance: float
    why: str
    """The reason of the allowed difference."""
    digits: int
    """That are shown."""
    words: tuple[str, ...] = ()
    """What differs from the recipe."""
    before: str | None = None
    """A recipe whose run, of the same seed, the training starts from."""
    gpu: bool = False
    """Runs only where there is one."""
    closed: bool = False
    """Computed without a training, so without a seed."""

    @property
    def seeds(self) -> tuple[str, ...]:
        """That it is measured with, as results.csv names them."""
        return ("",) if self.closed else SEEDS

    @property
    def key(self) -> str:
        """What it is called in results.csv."""
        return " ".join((self.name, *self.words))


FIGURES = (
    Figure(
        "squared_error",
        "linear, PCA",
        "PCA of 60,000 digits, 30 components, squared error per MNIST test image",
        "G. Hinton and R. Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks (2006)",
        "squared error",
        "13.87",
        0.005,
        "rounding",
        2,
        closed=True,
    ),
    Figure(
        "variance_share",
        "linear, PCA",
        "PCA of 60,000 digits, share of the variance in 154 components",
        NOTEBOOK.format(8),
        "explained variance",
        "0.95020",
        0.00001,
        "rounding, of 32 bits",
        5,
        closed=True,
    ),
    Figure(
        "nearest_neighbour",
        "baseline",
        "nearest of 60,000 digits by pixels, error on the MNIST test set, %",
        "Y. LeCun, C. Cortes and C. Burges, The MNIST Database of Handwritten Digits: K-nearest-neighbors, "
        "Euclidean, no preprocessing (K. Wilder)",
        "test error",
        "3.09",
        0.005,
        "rounding; the source doesn't say its k, here 1",
        2,
        closed=True,
    ),
    Figure(
        "published_784_32",
        "plain",
        "784-32-784, BCE, MNIST test, 20 epochs",
        BLOG,
        "test/bce",
        "0.0920",
        0.0008,
        "seeds",
        5,
    ),
    Figure(
        "published_784_128_32",
        "deep",
        "784-128-32-128-784, BCE, MNIST, training loss of epoch 3",
        BLOG,
        "train/loss",
        "0.0935",
        0.0015,
        "seeds, early in training",
        5,
    ),
    Figure(
        "published_fashion_64",
        "plain",
        "784-64-784, MSE, Fashion-MNIST validation (its test set), 10 epochs",
        TUTORIAL,
        "test/mse",
        "0.0088",
        0.0004,
        "seeds, rounding",
        5,
    ),
    Figure(
        "published_fashion_tied",
        "regularized: tied weights",
        "784-100-30-100-784, tied, MSE, Fashion-MNIST validation, 10 epochs",
        NOTEBOOK.format(17),
        "val/loss",
        "0.0133",
        0.0004,
        "seeds, other validation images",
        5,
    ),
    Figure(
        "published_fashion_masked",
        "denoising",
        "784-100-30-100-784 with half of the pixels dropped, MSE, Fashion-MNIST, training loss of epoch 10",
        NOTEBOOK.format(17),
        "train/loss",
        "0.0183",
        0.0006,
        "seeds; dropout doubles the pixels that are left, masking doesn't",
        5,
    ),
    Figure(
        "published_fashion_l1",
        "sparse",
        "784-100-300-100-784, L1 on the code, MSE and penalty, Fashion-MNIST validation, 10 epochs",
        NOTEBOOK.format(17),
        "val/loss",
        "0.0111",
        0.0005,
        "seeds, other validation images; an epoch is worth .0003",
        5,
    ),
    Figure(
        "published_fashion_kl",
        "sparse",
        "784-100-300-100-784, KL sparsity, MSE and penalty, Fashion-MNIST, training loss of epoch 10",
        NOTEBOOK.format(17),
        "train/loss",
        "0.0098",
        0.0005,
        "seeds; an epoch is worth .0002",
        5,
    ),
    Figure(
        "published_vae_20",
        "variational",
        "784-400-20-400-784, MNIST test loss in nats, 10 epochs",
        DISTRIBUTIONS,
        "test/loss",
        "105.59",
        0.6,
        "seeds, another start of the weights; an epoch is worth .5",
        2,
    ),
    Figure(
        "published_concrete",
        "discrete",
        "784-400-200-400-784, 20 choices of 10 by Gumbel-softmax, MNIST training loss of epoch 10 in nats",
        DISTRIBUTIONS,
        "train/loss",
        "110.22",
        1.5,
        "one temperature where the source cools its own; another start of the weights",
        2,
    ),
    Figure(
        "published_conv_32",
        "convolutional",
        "conv 32-32, transposed convolutions, BCE, MNIST test, after 3 of the source's 50 epochs",
        EXAMPLE,
        "test/bce",
        "0.0677",
        0.0008,
        "seeds, early in training; an epoch is worth .0008",
        5,
        words=("training.epochs=3",),
    ),
    Figure(
        "published_conv_32",
        "convolutional",
        "conv 32-32, transposed convolutions, BCE, MNIST test, 50 epochs",
        EXAMPLE,
        "test/bce",
        "0.0622",
        0.0004,
        "seeds",
        5,
        gpu=True,
    ),
    Figure(
        "published_conv_denoising",
        "denoising, convolutional",
        "the same net, then 100 epochs against Gaussian noise of .4, BCE, noisy MNIST test",
        EXAMPLE,
        "test/bce",
        "0.0839",
        0.0008,
        "seeds, other noise",
        5,
        before="published_conv_32",
        gpu=True,
    ),
)
