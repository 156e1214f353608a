"""The types of the zoo: what makes each, what it is for, and what it is compared with."""

from typing import NamedTuple

from properties import Below, Contracts, Generates, Learns, Property, Sparse, Symbols

CODE = ["model=multilayer", "model.code_size=32"]  # 784-128-32-128-784
SMALL = ["model=vanilla", "model.code_size=32"]  # 784-32-784
ATOMS = ["model=dictionary", "model.code_size=256"]  # 784-256-784, centred and scaled: sparse codes have room
WIDE = ["model=vanilla", "model.code_size=256"]  # 784-256-784
BOUNDED = [*WIDE, "model.bottleneck.activation=sigmoid"]
TIED = [*BOUNDED, "model.tied=true"]


class Type(NamedTuple):
    """A type of autoencoder and what makes it."""

    name: str
    reference: str
    words: list[str]
    property: Property | None
    """What it is for."""
    control: str | None = None
    """The type that differs in nothing but what makes this one, with which it is compared seed by seed."""
    trained: bool = True
    """Or a formula of the training set."""


TYPES = (
    Type("mean of the training set (control)", "", ["model=mean"], None, trained=False),
    Type("identity (control)", "", ["model=identity"], None, trained=False),
    Type("PCA", "Pearson, 1901", ["model=pca", "model.code_size=32"], None, trained=False),
    Type(
        "linear",
        "Baldi & Hornik, 1989",
        [*SMALL, "model.output_activation=linear", "loss=mse"],
        Below(1.05, "as PCA"),
    ),
    Type("vanilla", "Rumelhart et al., 1986", SMALL, Below(1.0)),
    Type("vanilla, tied weights", "Vincent et al., 2010", [*SMALL, "model.tied=true"], Below(1.0), "vanilla"),
    Type("multilayer", "Hinton & Salakhutdinov, 2006", CODE, Below(1.0)),
    Type("convolutional", "Masci et al., 2011", ["model=conv", "model.code_size=32"], Below(1.0)),
    Type(
        "denoising, masking",
        "Vincent et al., 2008",
        [*CODE, "noise=masking", "noise.masking.share=0.25"],
        Below(1.0, noisy=True),
    ),
    Type(
        "denoising, Gaussian",
        "Vincent et al., 2010",
        [*CODE, "noise=gaussian", "noise.gaussian.sigma=0.3"],
        Below(1.0, noisy=True),
    ),
    Type(
        "stacked denoising",
        "Vincent et al., 2010",
        [*CODE, "noise=masking", "noise.masking.share=0.25", "training=layerwise", "training.pretrain_epochs=2"],
        Below(1.0, noisy=True),
        "denoising, masking",
    ),
    Type(
        "recirculation",
        "Hinton & McClelland, 1988",
        [*SMALL, "model.bottleneck.activation=sigmoid", "training=recirculation"],
        Learns(),
    ),
    Type("VAE", "Kingma & Welling, 2014", [*CODE, "bottleneck=gaussian"], Generates()),
    Type(
        "beta-VAE, beta 4",
        "Higgins et al., 2017",
        [*CODE, "bottleneck=gaussian", "model.bottleneck.beta=4"],
        Generates(),
        "VAE",
    ),
    Type(
        "beta-TCVAE",
        "Chen et al., 2018",
        [*CODE, "bottleneck=gaussian", "regularizer=total_correlation"],
        Generates(),
        "VAE",
    ),
    Type(
        "IWAE, 5 draws",
        "Burda et al., 2016",
        [*CODE, "bottleneck=gaussian", "training=importance_weighted"],
        Generates(),
        "VAE",
    ),
    Type("WAE-MMD", "Tolstikhin et al., 2018", [*CODE, "regularizer=mmd"], Generates(), "multilayer"),
    Type("adversarial", "Makhzani et al., 2016", [*CODE, "training=adversarial"], Generates(), "multilayer"),
    Type(
        "regularized (RAE)",
        "Ghosh et al., 2020",
        [*CODE, "regularizer=[l2,spectral]", "sampler=mixture"],
        Generates(),
        "multilayer",
    ),
    Type("vector-quantized", "van den Oord et al., 2017", [*CODE, "bottleneck=vector_quantized"], Symbols()),
    Type("binary", "Bengio et al., 2013", [*CODE, "bottleneck=binary"], Symbols()),
    Type("categorical", "Jang et al., 2017", [*CODE, "bottleneck=categorical"], Symbols()),
    Type("dictionary (control: no penalty)", "", [*ATOMS, "bottleneck=relu"], None),
    Type(
        "sparse, L1",
        "Lee et al., 2008",
        [*ATOMS, "bottleneck=relu", "regularizer=l1", "regularizer.l1.weight=3e-3"],
        Sparse(),
        "dictionary (control: no penalty)",
    ),
    Type("k-sparse", "Makhzani & Frey, 2013", [*WIDE, "model.tied=true", "bottleneck=top_k"], Sparse()),
    Type("k-sparse dictionary (control: no revival)", "", [*ATOMS, "bottleneck=top_k"], Sparse()),
    Type(
        "k-sparse with revival",
        "Gao et al., 2024",
        [*ATOMS, "bottleneck=top_k", "regularizer=revival"],
        Sparse(),
        "k-sparse dictionary (control: no revival)",
    ),
    Type(
        "batch top-k with revival",
        "Bussmann et al., 2024",
        [*ATOMS, "bottleneck=batch_top_k", "regularizer=revival"],
        Sparse(),
        "k-sparse with revival",
    ),
    Type("JumpReLU", "Rajamanoharan et al., 2024", [*ATOMS, "bottleneck=jump_relu"], Sparse()),
    Type("winner-take-all", "Makhzani & Frey, 2015", [*ATOMS, "bottleneck=winner_take_all"], Sparse()),
    Type("sigmoid units (control: no penalty)", "", BOUNDED, None),
    Type(
        "sparse, KL",
        "Ng, 2011",
        [*BOUNDED, "regularizer=kl_sparsity"],
        Sparse(),
        "sigmoid units (control: no penalty)",
    ),
    Type("tied sigmoid units (control: no penalty)", "", TIED, None),
    Type(
        "contractive",
        "Rifai et al., 2011",
        [*TIED, "regularizer=contractive"],
        Contracts(),
        "tied sigmoid units (control: no penalty)",
    ),
)
