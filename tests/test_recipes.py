"""The recipes against the documents: layer by layer, number by number; and what every training has to keep to."""

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import choices, conf_dir
from hourglass.models.layers import TiedLinear
from hourglass.pipeline.compose import Parts, compose
from hourglass.system.errors import HourglassError
from hourglass.training import Discriminated


class Facts(NamedTuple):
    """What a document states, or its recipe chose."""

    net: str
    """Inputs, then every layer's units (a convolution's channels) with its activation."""
    parameters: int
    training: str
    """Loss, optimizer and its learning rate, epochs x batch size."""
    data: str
    """Name, and `, val = test` where the document validates on the test set."""


VANILLA = "784-64 relu-784 sigmoid"
LINEAR = "784-64 linear-784 sigmoid"
DEEP = "18-15 sigmoid-11 sigmoid-11 sigmoid-8 sigmoid-11 sigmoid-11 sigmoid-15 sigmoid-18 {}"
FASHION = "784-100 relu-{}-100 relu-784 linear"
KERAS, NADAM = "MSE, Adam 0.001, 20 x 256", "MSE, NAdam 0.001, 10 x 32"
SPLIT, TEST = "mnist", "mnist, val = test"
PURCHASES = "purchases, val = test"
ZOO = "BCE, Adam 0.001, 10 x 256"
TEN = "784-512 relu-20-512 relu-784 sigmoid"
THIRTY_TWO = "784-512 relu-32 linear-512 relu-784 sigmoid"
SIXTEEN = "784-512 relu-{}-512 relu-784 sigmoid"
FIFTY = "784-200 relu-200 relu-100-200 relu-200 relu-784 sigmoid"
ATOMS = "MSE, Adam 0.001, 10 x 256"
STACK = "784-500 sigmoid-500 sigmoid-500 sigmoid-500 sigmoid-500 sigmoid-784 sigmoid"

DOCUMENTS = {
    "vanilla": Facts(VANILLA, 101_200, KERAS, SPLIT),
    "multilayer": Facts("784-128 relu-64 relu-128 relu-784 sigmoid", 218_192, KERAS, SPLIT),
    "conv_document": Facts("1-16 relu-8 relu-8 relu-8 relu-8 relu-16 relu-1 sigmoid", 4_385, KERAS, SPLIT),
    "sparse": Facts(VANILLA, 101_200, KERAS, SPLIT),
    "sparse_keras2": Facts(VANILLA, 101_200, KERAS, SPLIT),
    "denoising_conv": Facts("1-32 relu-32 relu-32 relu-32 relu-1 sigmoid", 28_353, KERAS, SPLIT),
    "denoising_conv_as_written": Facts("1-32 relu-32 relu-32 relu-32 relu-1 sigmoid", 28_353, KERAS, SPLIT),
    "vanilla32_adadelta": Facts("784-32 relu-784 sigmoid", 50_992, "BCE, Adadelta 1.0, 50 x 256", TEST),
    "vanilla32_adadelta_tf_rate": Facts("784-32 relu-784 sigmoid", 50_992, "BCE, Adadelta 0.001, 50 x 256", TEST),
    "toy": Facts("10-4 relu-10 sigmoid", 94, "MSE, Adam 0.001, 20 x 32", "synthetic_manifold"),
    "deep18": Facts(DEEP.format("relu"), 1_388, "MSE, Adadelta 1.0, 5 x 1000", PURCHASES),
    "deep18_as_written": Facts(
        "18-15 sigmoid-11 sigmoid-11 sigmoid-8 sigmoid-11 sigmoid-15 sigmoid-18 relu",
        1_256,
        "MSE, Adadelta 1.0, 5 x 1000",
        PURCHASES,
    ),
    "deep18_unit_scale": Facts(DEEP.format("sigmoid"), 1_388, "MSE, Adadelta 1.0, 5 x 1000", PURCHASES),
    "sparse18": Facts("18-9 sigmoid-18 sigmoid", 351, "MSE, Adam 0.001, 5 x 1000", PURCHASES),
    "sparse18_keras2": Facts("18-9 sigmoid-18 sigmoid", 351, "MSE, Adam 0.001, 5 x 1000", PURCHASES),
    "simple18": Facts("18-9 sigmoid-18 sigmoid", 351, "MSE, SGD 0.1, 5 x 1000", PURCHASES),
    # 784 16 + 16 + 16 8 + 8 + 8 16 + 16 + 16 784 + 784 = 12,560 + 136 + 144 + 13,328
    "stacked16": Facts("784-16 relu-8 relu-16 relu-784 sigmoid", 26_168, "BCE, Adam 0.001, 20 x 32", SPLIT),
    # 784 (32 / 784)^(1/3) = 270 and 784 (32 / 784)^(2/3) = 93
    "stacked": Facts(
        "784-270 relu-93 relu-32 relu-93 relu-270 relu-784 sigmoid", 481_074, "BCE, Adam 0.001, 20 x 256", SPLIT
    ),
    "asymmetric": Facts(
        "784-128 relu-32 relu-64 relu-256 relu-784 sigmoid", 324_848, "BCE, Adam 0.001, 20 x 256", SPLIT
    ),
    "denoising_gaussian": Facts(
        "784-128 relu-32 relu-128 relu-784 sigmoid", 209_968, "BCE, Adam 0.001, 20 x 256", SPLIT
    ),
    "sparse_vs_plain": Facts(VANILLA, 101_200, "BCE, Adam 0.001, 20 x 256", SPLIT),
    # 784 500 + 500 + 500 100 + 100 + 100 500 + 500 + 500 784 + 784 = 392,500 + 50,100 + 50,500 + 392,784
    "tanh500": Facts("784-500 tanh-100 tanh-500 tanh-784 linear", 885_884, "MSE, Adam 0.01, 10 x 64", SPLIT),
    "simple": Facts("784-256 relu-128 relu-256 relu-784 sigmoid", 468_368, KERAS, TEST),
    "simple_as_written": Facts("784-256 linear-128 linear-256 linear-784 sigmoid", 468_368, KERAS, TEST),
    "denoising_count": Facts("784-512 relu-256 relu-512 relu-784 sigmoid", 1_067_024, KERAS, TEST),
    "denoising_count_as_written": Facts(
        "784-512 linear-256 linear-512 linear-784 sigmoid", 1_067_024, KERAS, "mnist_corrupted, val = test"
    ),
    "published_784_32": Facts("784-32 relu-784 sigmoid", 50_992, "BCE, Adam 0.001, 20 x 32", TEST),
    "published_784_128_32": Facts(
        "784-128 relu-32 relu-128 relu-784 sigmoid", 209_968, "BCE, Adam 0.001, 3 x 32", TEST
    ),
    "published_fashion_64": Facts(VANILLA, 101_200, "MSE, Adam 0.001, 10 x 32", "fashion_mnist, val = test"),
    "published_conv_32": Facts(
        "1-32 relu-32 relu-32 relu-32 relu-1 sigmoid", 28_353, "BCE, Adam 0.001, 50 x 128", TEST
    ),
    "published_conv_denoising": Facts(
        "1-32 relu-32 relu-32 relu-32 relu-1 sigmoid", 28_353, "BCE, Adam 0.001, 100 x 128", TEST
    ),
    "published_fashion_tied": Facts(FASHION.format("30 relu"), 82_414, NADAM, "fashion_mnist"),
    "published_fashion_masked": Facts(FASHION.format("30 relu"), 163_814, NADAM, "fashion_mnist"),
    "published_fashion_l1": Facts(FASHION.format("300 sigmoid"), 218_084, NADAM, "fashion_mnist"),
    "published_fashion_kl": Facts(FASHION.format("300 sigmoid"), 218_084, NADAM, "fashion_mnist"),
    "published_vae_20": Facts("784-400 relu-40-400 relu-784 sigmoid", 652_824, "BCE, Adam 0.001, 10 x 128", TEST),
    "published_concrete": Facts(
        "784-400 relu-200 linear-400 relu-784 sigmoid", 788_984, "BCE, Adam 0.001, 10 x 128", TEST
    ),
    "quickstart": Facts("1-32 relu-32 relu-32 relu-32 relu-1 sigmoid", 28_353, "BCE, Adam 0.001, 5 x 128", SPLIT),
}

BENT = "784-256 relu-48{}-256 relu-784 sigmoid"
BINARY = "BCE, Adam 0.001, 20 x 256"

#: Recipes of the types that no document of those states.
TYPES = {
    "activations": Facts("256-512 relu-256 linear", 262_912, "MSE, Adam 0.001, 5 x 512", "activations"),
    "transcoder": Facts("784-512 relu-256 linear", 533_248, "MSE, Adam 0.001, 5 x 512", "activations"),
    "batch_top_k": Facts("784-256-784 linear", 402_448, ATOMS, SPLIT),
    "binary": Facts("784-128 relu-32-128 relu-784 sigmoid", 209_968, ZOO, SPLIT),
    "categorical": Facts("784-128 relu-32-128 relu-784 sigmoid", 209_968, ZOO, SPLIT),
    # tied: 784 256 + 256 + 784
    "contractive": Facts("784-256 sigmoid-784 sigmoid", 201_744, ZOO, SPLIT),
    # a threshold for each of 256 units besides
    "jump_relu": Facts("784-256-784 linear", 402_704, ATOMS, SPLIT),
    # a scale and a bias for each of 256 units besides
    "gated": Facts("784-256-784 linear", 402_960, ATOMS, SPLIT),
    "matryoshka": Facts("784-256-784 linear", 402_448, ATOMS, SPLIT),
    "p_annealing": Facts("784-256 relu-784 linear", 402_448, ATOMS, SPLIT),
    "equal_l0": Facts("784-256 relu-784 linear", 402_448, ATOMS, SPLIT),
    "resampling": Facts("784-256 relu-784 linear", 402_448, ATOMS, SPLIT),
    "kl_sparse": Facts("784-256 sigmoid-784 sigmoid", 402_448, ZOO, SPLIT),
    "linear": Facts("784-32 linear-784 linear", 50_992, "MSE, Adam 0.001, 10 x 256", SPLIT),
    # 784 32 + 32 + 784
    "tied": Facts("784-32 linear-784 sigmoid", 25_904, ZOO, SPLIT),
    "finite_scalar": Facts("784-128 relu-24-128 relu-784 sigmoid", 207_912, ZOO, SPLIT),
    "hierarchical_quantized": Facts("784-128 relu-32-128 relu-784 sigmoid", 209_968, ZOO, SPLIT),
    "lookup_free": Facts("784-128 relu-64-128 relu-784 sigmoid", 218_192, ZOO, SPLIT),
    "residual_quantized": Facts("784-128 relu-32-128 relu-784 sigmoid", 209_968, ZOO, SPLIT),
    "rotation_trick": Facts("784-128 relu-32-128 relu-784 sigmoid", 209_968, ZOO, SPLIT),
    # two maps of 32 channels, a 1x1 convolution to the code and one from it
    "symbol_map": Facts(
        "1-32 relu-32 relu-4-32 relu-32 relu-32 relu-1 sigmoid", 28_645, "BCE, Adam 0.001, 5 x 128", SPLIT
    ),
    # `linear` marks a block's way around without a convolution; 192 the q, k and v of attention, 8 means and variances
    "residual": Facts(
        "1-32-32-32 linear-32-64-64-64-64-64-64 linear-64-64 linear-192-64-64-64 linear-8"
        "-64-64-64 linear-192-64-64-64 linear-64-64 linear-64-64-64 linear-64-32-32-32-1 sigmoid",
        786_089,
        "BCE, Adam 0.001, 3 x 128",
        SPLIT,
    ),
    "vector_quantized": Facts("784-128 relu-32-128 relu-784 sigmoid", 209_968, ZOO, SPLIT),
    "winner_take_all": Facts("784-256-784 linear", 402_448, ATOMS, SPLIT),
    "adversarial_reconstruction": Facts(
        "784-512 relu-10 linear-512 relu-784 sigmoid", 814_874, "BCE, Adam 0.001, 20 x 256", SPLIT
    ),
    "capacity": Facts(TEN, 820_004, "BCE, Adam 0.001, 20 x 256", SPLIT),
    "dip_vae": Facts(TEN, 820_004, "BCE, Adam 0.001, 20 x 256", SPLIT),
    "factor_vae": Facts(TEN, 820_004, "BCE, Adam 0.001, 20 x 256", SPLIT),
    "vae_gan": Facts(TEN, 820_004, "BCE, Adam 0.001, 20 x 256", SPLIT),
    "log_cosh": Facts(TEN, 820_004, "LogCosh, Adam 0.001, 20 x 256", SPLIT),
    "student_t": Facts(TEN, 820_004, "StudentT, Adam 0.001, 20 x 256", SPLIT),
    "ms_ssim": Facts(THIRTY_TWO, 837_424, "MSSSIM, Adam 0.001, 20 x 256", SPLIT),
    "perceptual": Facts(THIRTY_TWO, 837_424, "RandomFeatures, Adam 0.001, 20 x 256", SPLIT),
    "hypersphere": Facts(SIXTEEN.format(32), 829_232, "BCE, Adam 0.001, 10 x 256", SPLIT),
    "slerp": Facts(SIXTEEN.format(32), 829_232, "BCE, Adam 0.001, 10 x 256", SPLIT),
    "neighbours": Facts(SIXTEEN.format("16 linear"), 821_024, "BCE, Adam 0.001, 10 x 256", SPLIT),
    "masked_autoregressive": Facts(SIXTEEN.format("16 linear"), 821_024, "BCE, Adam 0.001, 10 x 256", SPLIT),
    # 784 512 + 512 + 512 8 + 8 + 8 512 + 512 + 512 784 + 784
    "inverse_autoregressive": Facts(SIXTEEN.format("8 linear"), 812_824, "BCE, Adam 0.001, 10 x 256", SPLIT),
    "symbols_drawn": Facts("784-512 relu-32-512 relu-784 sigmoid", 837_424, "BCE, Adam 0.001, 10 x 256", SPLIT),
    "hamiltonian": Facts(FIFTY, 425_284, "BCE, Adam 0.001, 20 x 128", SPLIT),
    "riemannian": Facts("784-400 relu-20-400 relu-784 sigmoid", 640_804, "BCE, Adam 0.001, 100 x 100", SPLIT),
    "miwae": Facts(FIFTY, 425_284, "BCE, Adam 0.001, 20 x 128", SPLIT),
    "ciwae": Facts(FIFTY, 425_284, "BCE, Adam 0.001, 20 x 128", SPLIT),
    "piwae": Facts(FIFTY, 425_284, "BCE, Adam 0.001, 20 x 128", SPLIT),
    "swae": Facts(
        "784-512 relu-256 relu-8 linear-256 relu-512 relu-784 sigmoid", 1_071_384, "MSE, Adam 0.001, 20 x 256", SPLIT
    ),
    "aae": Facts(
        "784-512 relu-512 relu-8 linear-512 relu-512 relu-784 sigmoid", 1_338_136, "BCE, Adam 0.001, 20 x 128", SPLIT
    ),
    "aae_mixture": Facts(
        "784-512 relu-512 relu-2 linear-512 relu-512 relu-784 sigmoid", 1_331_986, "BCE, Adam 0.001, 20 x 128", SPLIT
    ),
    "beta_tcvae": Facts("784-512 relu-20-512 relu-784 sigmoid", 820_004, "BCE, Adam 0.001, 20 x 256", SPLIT),
    "beta_vae": Facts("784-512 relu-20-512 relu-784 sigmoid", 820_004, "BCE, Adam 0.001, 20 x 256", SPLIT),
    "code_size_by_depth": Facts(LINEAR, 101_200, "BCE, Adam 0.001, 8 x 256", SPLIT),
    "code_dropout": Facts(LINEAR, 101_200, "BCE, Adam 0.001, 20 x 256", SPLIT),
    "colourisation": Facts("3-32 linear-32 relu-3 sigmoid", 11_011, "MSE, Adam 0.001, 10 x 128", "patches"),
    "denoising_table": Facts(
        "30-64 relu-12 linear-64 relu-30 linear", 5_546, "MSE, Adam 0.001, 200 x 32", "breast_cancer"
    ),
    "encoder_424": Facts("4-2 sigmoid-4 sigmoid", 22, "BCE, SGD 4.0, 10 x 4", "one_hot, val = test"),
    "finetuned_classifier": Facts(STACK.replace("500", "1000"), 5_573_784, "BCE, Adam 0.001, 30 x 100", SPLIT),
    "finetuned_classifier_small": Facts(STACK, 1_787_284, "BCE, Adam 0.001, 50 x 50", SPLIT),
    "feature_classifier": Facts(
        "1-16 relu-32 relu-32 relu-1568 relu-32 relu-16 relu-1 sigmoid", 120_769, "BCE, Adam 0.002, 5 x 128", SPLIT
    ),
    "inpainting": Facts("784-512 relu-128 linear-512 relu-784 sigmoid", 935_824, "BCE, Adam 0.001, 10 x 128", SPLIT),
    "conditional_vae": Facts("784-128 relu-32-128 relu-784 sigmoid", 210_480, "BCE, Adam 0.001, 10 x 256", SPLIT),
    "iwae": Facts(
        "784-200 relu-200 relu-100-200 relu-200 relu-784 sigmoid", 425_284, "BCE, Adam 0.001, 20 x 128", SPLIT
    ),
    # as ladder, and between the layers 16-64-32-32 downwards and 32-64-16-16 upwards
    "hierarchical": Facts(
        "784-200 relu-64-64-32-32-64-16-16-200 relu-784 sigmoid", 343_488, "BCE, Adam 0.001, 10 x 128", SPLIT
    ),
    # 784-200-64 and 32-200-784 with biases, and between the layers 32+32-64-16-16 upwards and 16-64-32-32 downwards
    "ladder": Facts(
        "784-200 relu-64-64-32-32-64-64-16-16-200 relu-784 sigmoid", 345_600, "BCE, Adam 0.001, 20 x 128", SPLIT
    ),
    # 1,088 of the patches, 4 blocks of 49,984, 128 of the norm | 2,080, a token of 32, a block of 12,704, 64, 528
    "masked": Facts(
        "16-64-192-64-256-64-192-64-256-64-192-64-256-64-192-64-256-64 linear-32-96-32-128-32-16 sigmoid",
        216_560,
        "BCE, Adam 0.001, 10 x 256",
        SPLIT,
    ),
    # tied: 784 1000 + 1000 + 784
    # 784 256 + 256 + 256 32 + 32 + 16 256 + 256 + 256 784 + 784 = 415,024, and what prior or flow has besides
    "vampprior": Facts("784-256 relu-32-256 relu-784 sigmoid", 415_024 + 100 * 784, BINARY, SPLIT),
    "mixture_prior": Facts("784-256 relu-32-256 relu-784 sigmoid", 415_024 + 50 * (16 + 16 + 1), BINARY, SPLIT),
    # a third block of 256 16 + 16 for the context = 4,112;  16 128 + 128 + 16 128 + 2 (128 16 + 16) = 8,352 a step
    "iaf": Facts(BENT.format(4 * "-128-128-16-16"), 419_136 + 4 * 8_352, BINARY, SPLIT),
    "planar": Facts(BENT.format(10 * "-16-16-1"), 419_136 + 10 * (2 * 272 + 17), BINARY, SPLIT),
    "radial": Facts(BENT.format(10 * "-16-1-1"), 419_136 + 10 * (272 + 2 * 17), BINARY, SPLIT),
    "householder": Facts(BENT.format(" linear" + 9 * "-16"), 419_136 + 9 * 272, BINARY, SPLIT),
    "hyperspherical": Facts("784-256 relu-12-256 relu-784 sigmoid", 407_324, BINARY, SPLIT),
    "poincare": Facts("784-256 relu-4-256 relu-784 sigmoid", 404_244, BINARY, SPLIT),
    "gamma": Facts("784-256 relu-32-256 relu-784 sigmoid", 415_024, BINARY, SPLIT),
    "joint": Facts("784-256 relu-40-256 relu-784 sigmoid", 418_104, BINARY, SPLIT),
    "k_sparse": Facts("784-1000 relu-784 sigmoid", 785_784, "MSE, Adam 0.001, 15 x 256", SPLIT),
    "rae": Facts("784-512 relu-16 linear-512 relu-784 sigmoid", 821_024, "MSE, Adam 0.001, 20 x 256", SPLIT),
    "stacked_denoising": Facts(STACK.replace("500", "1000"), 5_573_784, "BCE, Adam 0.001, 61 x 100", SPLIT),
    "stacked_denoising_small": Facts(STACK, 1_787_284, "BCE, Adam 0.001, 16 x 100", SPLIT),
    "super_resolution": Facts(
        "784-512 relu-128 linear-512 relu-784 sigmoid", 935_824, "BCE, Adam 0.001, 10 x 128", SPLIT
    ),
    # 320 + 18,496 + 50,192 + 68 (mean and log variance of two units) | 9,408 + 36,928 + 18,464 + 289
    "vae": Facts(
        "1-32 relu-64 relu-16 relu-4-3136 relu-64 relu-32 relu-1 sigmoid", 134_165, "BCE, Adam 0.001, 30 x 128", TEST
    ),
    "two_stage": Facts("784-512 relu-32-512 relu-784 sigmoid", 829_232, "BCE, Adam 0.001, 20 x 256", SPLIT),
    "vae_2d": Facts("784-512 relu-4-512 relu-784 sigmoid", 807_700, "BCE, Adam 0.001, 20 x 128", SPLIT),
    "wae_mmd": Facts(
        "784-512 relu-256 relu-8 linear-256 relu-512 relu-784 sigmoid", 1_071_384, "MSE, Adam 0.001, 20 x 256", SPLIT
    ),
}
SUMMED = set(
    """
    aae aae_mixture adversarial_reconstruction beta_tcvae beta_vae capacity categorical ciwae conditional_vae dip_vae
    factor_vae gamma hamiltonian hierarchical householder hypersphere hyperspherical iaf inverse_autoregressive iwae
    joint ladder log_cosh masked_autoregressive mixture_prior miwae neighbours piwae planar poincare
    published_concrete published_vae_20 radial rae residual riemannian slerp student_t swae two_stage vae vae_2d
    vae_gan vampprior wae_mmd
    """.split()  # noqa: SIM905
)
"""Those whose reconstruction loss is in nats, or squared error, per sample."""

RECIPES = {**DOCUMENTS, **TYPES}

ACTIVATIONS = {nn.ReLU: "relu", nn.Sigmoid: "sigmoid", nn.Tanh: "tanh", nn.Identity: "linear"}


@cache
def composed(name: str) -> tuple[Any, Parts]:
    """A recipe with little data: what is checked here doesn't depend on how much."""
    few = [] if name == "encoder_424" else ["data.train_size=300", "data.test_size=50"]
    few += ["sampler.codes=100"] if name in ("slerp", "neighbours") else []
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ):
        if name in ("activations", "transcoder"):  # as experiments/activations/host.py leaves them
            for given, width in (("shards", 256), ("pixels", 784)):
                rows = np.random.default_rng(0).uniform(size=(500, width)).astype(np.float16)
                Path(folder, given).mkdir()
                np.save(f"{folder}/{given}/train_0.npy", rows[:400])
                np.save(f"{folder}/{given}/test_0.npy", rows[400:])
            config, _ = compose_config([f"experiment={name}"])
            own = {key: config.data[key] for key in ("path", "target") if config.data[key]}
            few += ["data.labels=null", *(f"data.{key}={folder}/{Path(path).name}" for key, path in own.items())]
            os.environ["HOURGLASS_CACHE"] = folder
        config, _ = compose_config([f"experiment={name}", *few])
        return config, compose(config)


def parts_of(name: str) -> Parts:
    return composed(name)[1]


def drawn(model: nn.Module) -> str:
    """The layers of a model in the notation of `Facts.net`."""
    sizes: list[str] = []
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            sizes += [str(layer.out_features)] if sizes else [str(layer.in_features), str(layer.out_features)]
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            sizes += [str(layer.out_channels)] if sizes else [str(layer.in_channels), str(layer.out_channels)]
        elif isinstance(layer, TiedLinear):
            sizes += [str(layer.weight.shape[0])]
        elif type(layer) in ACTIVATIONS:
            sizes[-1] += f" {ACTIVATIONS[type(layer)]}"
    return "-".join(sizes)


# -- the documents ------------------------------------------------------------------------------------------------


def test_every_recipe_is_compared() -> None:
    assert set(RECIPES) == set(choices()["experiment"])


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_what_its_document_says(name: str) -> None:
    facts, (config, parts) = RECIPES[name], composed(name)
    assert drawn(parts.model) == facts.net
    assert sum(weight.numel() for weight in parts.model.parameters()) == facts.parameters
    loss, optimizer = parts.learner.loss, parts.learner.optimizer
    (group,) = optimizer.param_groups
    learning = f"{type(loss).__name__}, {type(optimizer).__name__} {group['lr']}"
    assert f"{learning}, {config.training.epochs} x {parts.learner.settings.batch_size}" == facts.training
    assert loss.reduction == ("sum" if name in SUMMED else "mean")
    falls = "CosineAnnealingLR" if name == "feature_classifier" else "ConstantLR"
    assert parts.learner.schedule.make.args[0]._target_.endswith(falls)
    same = parts.data.validation is parts.data.test
    assert parts.data.name + (", val = test" if same else "") == facts.data
    # Where the test set is what is measured during training, it may not choose the weights.
    judged = isinstance(parts.learner, Discriminated)  # what an epoch is measured by changes with the discriminator
    assert config.training.keep == ("last" if same or judged else "best")
    assert config.training.patience is None


def of_keras() -> list[str]:
    """The recipes whose source is code for Keras."""
    said = {name: (conf_dir() / "experiment" / f"{name}.yaml").read_text(encoding="utf-8") for name in RECIPES}
    return [name for name, text in said.items() if any(word in text for word in ("Keras", "Dertat"))]


@pytest.mark.parametrize("name", of_keras())
def test_a_recipe_of_code_for_keras_has_its_epsilon(name: str) -> None:
    """Of 1e-7, where torch has 1e-8 for Adam."""
    _, parts = composed(name)
    assert parts.learner.optimizer.defaults.get("eps", 1e-7) == 1e-7  # SGD has none


def test_tflearn_recipes_train_on_what_its_loader_leaves() -> None:
    for name in ("simple", "simple_as_written", "denoising_count", "denoising_count_as_written"):
        assert compose_config([f"experiment={name}"])[0].data.train_size == 55_000


def test_a_pair_differs_in_what_it_says_alone() -> None:
    def differing(one: str, other: str) -> set[str]:
        def leaves(node: Any, prefix: str = "") -> dict[str, Any]:
            if not isinstance(node, dict):
                return {prefix: node}
            return {key: value for name in node for key, value in leaves(node[name], f"{prefix}.{name}").items()}

        from omegaconf import OmegaConf

        first, second = (leaves(OmegaConf.to_container(composed(name)[0])) for name in (one, other))
        return {key[1:] for key in first.keys() | second.keys() if first.get(key) != second.get(key)} - {"name"}

    assert differing("vanilla32_adadelta", "vanilla32_adadelta_tf_rate") == {"optimizer.lr"}
    assert differing("sparse", "sparse_keras2") == {"regularizer.l1.reduction"}
    assert differing("sparse18", "sparse18_keras2") == {"regularizer.l1.reduction"}
    assert differing("deep18", "deep18_as_written") == {"model.decoder_widths"}
    assert differing("deep18", "deep18_unit_scale") == {"model.output_activation"}
    assert differing("simple", "simple_as_written") == {"model.activation", "model.bottleneck.activation"}
    assert {key.split(".")[0] for key in differing("denoising_conv", "denoising_conv_as_written")} == {"noise"}


# -- shapes -------------------------------------------------------------------------------------------------------


def sides(name: str, kind: type[nn.Module]) -> list[tuple[int, int]]:
    """Height of what every layer of a kind takes and of what it gives, in order, for one image."""
    model, found = parts_of(name).model, []
    hooks = [
        layer.register_forward_hook(lambda _layer, given, output: found.append((given[0].shape[-2], output.shape[-2])))
        for layer in model.modules()
        if isinstance(layer, kind)
    ]
    model(torch.rand(1, *model.shape))
    for hook in hooks:
        hook.remove()
    return found


def test_the_convolutional_document_goes_28_14_7_4_and_4_8_16_14_28() -> None:
    assert sides("conv_document", nn.MaxPool2d) == [(28, 14), (14, 7), (7, 4)]
    convolutions = sides("conv_document", nn.Conv2d)
    assert convolutions[:3] == [(28, 28), (14, 14), (7, 7)]
    # Doubled after each; the third takes no padding.
    assert convolutions[3:6] == [(4, 4), (8, 8), (16, 14)]
    # The last doubling and the last convolution may be one layer.
    assert convolutions[6] in [(28, 28), (14, 28)]
    assert len(convolutions) == 7
    assert parts_of("conv_document").model.code_size == 4 * 4 * 8 == 128


def test_the_overcomplete_convolutional_codes_have_twice_the_values_of_the_image() -> None:
    for name in ("denoising_conv", "published_conv_32"):
        assert parts_of(name).model.code_size == 7 * 7 * 32 == 2 * 784
        assert sides(name, nn.MaxPool2d) == [(28, 14), (14, 7)]
    assert sides("published_conv_32", nn.ConvTranspose2d) == [(7, 14), (14, 28)]


def test_a_4x4_input_and_a_3x3_filter_without_padding_give_a_2x2_map() -> None:
    convolution = parts_of("conv_document").model.decoder[3].convolution
    filters = nn.Conv2d(1, 1, convolution.kernel_size, padding=convolution.padding)
    nn.init.ones_(filters.weight)
    nn.init.zeros_(filters.bias)
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    # The sum over each 3x3 window: 0+1+2 + 4+5+6 + 8+9+10 = 45, and 9 more per column, 36 per row.
    assert filters(image).squeeze().tolist() == [[45, 54], [81, 90]]


@pytest.mark.parametrize("name", RECIPES)
def test_input_and_output_have_equal_dimensions(name: str) -> None:
    model, data = parts_of(name).model.eval(), parts_of(name).data
    x, y = data.scaled(data.test.x[:3]), None if data.test.y is None else data.test.y[:3]
    assert model(x, y).reconstruction.shape == (3, *data.wanted.shape)
    assert x.shape == (3, *model.shape)
    assert model.decode(model.encode(x, y), y).equal(model(x, y).reconstruction)
    model.train()


# -- penalties and noise ------------------------------------------------------------------------------------------


def penalty(name: str, x: Tensor) -> tuple[float, Tensor]:
    """The only penalty of a recipe and the code, for one batch."""
    parts = parts_of(name)
    output, terms = parts.learner.terms(x, x)
    (value,) = (term.weighted.item() for key, term in terms.items() if key != "reconstruction")
    return value, output.code


def test_the_sparse_penalty_is_1e_4_of_the_activity_by_sample_or_by_batch() -> None:
    data = parts_of("sparse").data
    x = data.scaled(data.train.x[:256])
    value, code = penalty("sparse", x)
    assert value == pytest.approx(1e-4 * code.abs().sum().item() / 256)
    value, code = penalty("sparse_keras2", x)
    assert value == pytest.approx(1e-4 * code.abs().sum().item())


def test_the_tanh_net_penalises_the_weights_of_the_code_layer() -> None:
    model, data = parts_of("tanh500").model, parts_of("tanh500").data
    (layer,) = (part for part in model.encoder if isinstance(part, nn.Linear) and part.out_features == 100)
    assert layer.in_features == 500
    value, _ = penalty("tanh500", data.scaled(data.train.x[:8]))
    assert value == pytest.approx(1e-4 * layer.weight.abs().sum().item(), rel=1e-5)


def test_the_noise_of_a_recipe_is_the_document_s() -> None:
    x = torch.full((200, 1, 28, 28), 0.25)
    masked = parts_of("denoising_conv").learner.noise(x)
    assert (masked == 0).float().mean().item() == pytest.approx(0.5, abs=0.01)
    hit = parts_of("denoising_count").learner.noise(x) != x
    assert parts_of("denoising_count").learner.noise.frozen
    assert 9 < hit.flatten(1).sum(1).float().mean() <= 10  # of 784: at most 1.28 %
    noisy = parts_of("denoising_gaussian").learner.noise(x)
    assert noisy.min() == 0  # clipped: P(0.25 + 0.5 e < 0) = 0.3085
    assert (noisy == 0).float().mean().item() == pytest.approx(0.3085, abs=0.01)


# -- the scale of the data, which a document left open ------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "scaling", "reach"),
    [
        ("sparse18", "minmax", None),
        ("sparse18", "standard", r"\[0, 1\]"),
        ("deep18", "minmax", None),
        ("deep18", "standard", r"\[0, inf\]"),
    ],
)
def test_an_output_that_cannot_reach_the_data_is_refused(
    recipe: str, scaling: str, reach: str | None, tmp_path: Path
) -> None:
    table = tmp_path / "purchases.csv"
    np.savetxt(table, np.random.default_rng(0).normal(5, 2, size=(100, 18)), delimiter=",")
    config, _ = compose_config([f"experiment={recipe}", "data=csv", f"data.path={table}", f"data.scaling={scaling}"])
    if reach is None:
        assert compose(config).data.range == (0, 1)
        return
    with pytest.raises(HourglassError, match=rf"model.output_activation gives values in {reach}, but data=csv lies in"):
        compose(config)


# -- what every training keeps to ---------------------------------------------------------------------------------


class Seen(NamedTuple):
    """Every input of the model and every target of the loss, in training, validation and test."""

    inputs: Tensor
    targets: Tensor


def trained(overrides: list[str]) -> tuple[Parts, Seen]:
    """Train and test for real, one epoch, and listen at the model and at the loss."""
    import pytorch_lightning as pl

    pl.seed_everything(0, verbose=False)
    config, _ = compose_config([*overrides, "training.epochs=1", "training.batch_size=64"])
    parts = compose(config)
    inputs: list[Tensor] = []
    targets: list[Tensor] = []
    parts.model.register_forward_pre_hook(lambda _model, arguments: inputs.append(arguments[0].detach().clone()))
    parts.learner.loss.register_forward_pre_hook(lambda _loss, arguments: targets.append(arguments[1].clone()))
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(parts.learner)
    trainer.test(parts.learner, verbose=False)
    return parts, Seen(torch.cat(inputs), torch.cat(targets))


def in_any_order(x: Tensor) -> list[list[float]]:
    return sorted(x.flatten(1).tolist())


@pytest.mark.parametrize("frozen", ["false", "true"])
def test_the_loss_compares_with_the_original_which_the_model_never_sees(frozen: str) -> None:
    # With every input masked, anything but zero would be the original.
    parts, seen = trained(["data=digits", "noise=masking", "noise.masking.share=1.0", f"noise.frozen={frozen}"])
    data = parts.data
    clean = data.scaled(torch.cat([data.train.x, data.validation.x, data.test.x]))
    assert seen.inputs.shape == clean.shape
    assert seen.inputs.count_nonzero() == 0
    assert in_any_order(seen.targets) == in_any_order(clean)


def test_without_noise_input_and_target_are_both_the_original() -> None:
    parts, seen = trained(["data=digits"])
    assert seen.inputs.equal(seen.targets)
    assert in_any_order(seen.targets[: len(parts.data.train)]) == in_any_order(parts.data.scaled(parts.data.train.x))


def test_as_written_the_target_is_the_corrupted_image_and_repaired_the_clean_one() -> None:
    small = ["data.train_size=128", "data.test_size=32"]
    written, seen = trained(["experiment=denoising_count_as_written", *small])
    repaired, other = trained(["experiment=denoising_count", *small])
    original = repaired.data.scaled(repaired.data.train.x)
    assert seen.inputs.equal(seen.targets)
    assert in_any_order(seen.targets[:128]) == in_any_order(written.data.train.x)
    assert in_any_order(seen.targets[:128]) != in_any_order(original)
    assert in_any_order(other.targets[:128]) == in_any_order(original)
    assert not other.inputs.equal(other.targets)


def test_labels_never_reach_the_loss(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x, y = random.uniform(size=(300, 12)).astype(np.float32), np.arange(300) % 10
    np.savez(tmp_path / "labels.npz", x=x, y=y)
    np.savez(tmp_path / "shuffled.npz", x=x, y=random.permutation(y))
    np.savez(tmp_path / "none.npz", x=x)
    found = []
    for name in ("labels", "shuffled", "none"):
        parts, _ = trained(["data=npz", f"data.path={tmp_path / name}.npz", "loss=mse", "model.code_size=3"])
        found.append((parts.data, parts.model.state_dict()))
    (labels, weights), (shuffled, others), (none, last) = found
    assert not labels.train.y.equal(shuffled.train.y)
    assert none.train.y is None
    assert all(weights[key].equal(others[key]) and weights[key].equal(last[key]) for key in weights)
