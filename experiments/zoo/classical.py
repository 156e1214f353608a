"""Controls, nets without more than their shape, and those that see a corrupted input."""

from experiments.zoo.kinds import CODE, SMALL, WIDE, Group, Type
from experiments.zoo.properties import Below, Closer, Contracts, Learns, Less, More, Property

CONV = "model=conv model.code_size=32"
RESIDUAL = "model=residual model.widths=[8,16,16] model.code_size=32 trainer=exact"  # bfloat16 is slower on a CPU
TOKENS = "model=transformer model.width=32 model.depth=2 model.decoder_width=16 model.code_size=32"
PENALTIES = ["decorrelation", "orthogonality", "l2", "weight_l1", "weight_l2"]
UNTRAINED = " ".join(f"regularizer.{name}.weight=0" for name in PENALTIES)
TIED = f"{WIDE} model.bottleneck.activation=sigmoid model.tied=true"
WITHOUT = "multilayer (control: penalties of weight 0)"

CONTROLS = Group(
    "Controls, in closed form",
    (
        Type("mean of the training set (control)", "", "model=mean", epochs=0),
        Type("identity (control)", "", "model=identity", epochs=0),
        Type("PCA", "Pearson, 1901", "model=pca model.code_size=32", epochs=0),
    ),
)

NETS = Group(
    "Nets",
    (
        Type(
            "linear",
            "Baldi & Hornik, 1989",
            f"{SMALL} model.output_activation=linear loss=mse",
            Below(1.05, "as PCA"),
        ),
        Type("vanilla", "Rumelhart et al., 1986", SMALL, Below(1.0)),
        Type("vanilla, tied weights", "Vincent et al., 2010", f"{SMALL} model.tied=true", Below(1.0), "vanilla"),
        Type("vanilla, unit norm", "Makhzani & Frey, 2013", f"{SMALL} model.unit_norm=true", Below(1.0), "vanilla"),
        Type("multilayer", "Hinton & Salakhutdinov, 2006", CODE, Below(1.0)),
        Type("convolutional", "Masci et al., 2011", CONV, Below(1.0)),
        Type("residual, with attention", "Rombach et al., 2022", RESIDUAL, Below(1.0), epochs=1),
        Type("transformer", "Vaswani et al., 2017", TOKENS, Below(1.0), epochs=3),
        Type(
            "masked (MAE)",
            "He et al., 2022",
            f"{TOKENS} training=masked",
            More("test/linear_accuracy", "linear probe", ".1%"),
            "transformer",
            epochs=3,
        ),
        Type(
            "recirculation",
            "Hinton & McClelland, 1988",
            f"{SMALL} model.bottleneck.activation=sigmoid training=recirculation",
            Learns(),
        ),
    ),
)

LOSSES = Group(
    "Other losses",
    (
        Type("squared error (control)", "", f"{CODE} loss=mse"),
        Type("absolute error", "", f"{CODE} loss=mae", Below(1.0), "squared error (control)"),
        Type(
            "MS-SSIM",
            "Snell et al., 2017",
            f"{CODE} loss=ms_ssim",
            More("test/ssim", "SSIM", ".3f"),
            "squared error (control)",
        ),
        Type(
            "features of a random net (perceptual)",
            "Hou et al., 2017",
            f"{CODE} loss=random_features loss.widths=[8,16]",
            Closer("test/sharpness", "sharpness", ".2f"),
            "squared error (control)",
            epochs=5,
        ),
        Type(
            "adversarial reconstruction",
            "Esser, Rombach & Ommer, 2021",
            f"{CODE} training=adversarial_reconstruction training.discriminator_widths=[8,16]",
            Closer("test/sharpness", "sharpness", ".2f"),
            "multilayer",
            epochs=5,
        ),
    ),
)

MASKING = f"{CODE} noise=masking noise.masking.share=0.25"


def _denoising(name: str, reference: str, words: str) -> Type:
    return Type(name, reference, f"{CODE} {words}", Below(1.0, noisy=True))


DENOISING = Group(
    "Corrupted inputs",
    (
        _denoising("denoising, masking", "Vincent et al., 2008", "noise=masking noise.masking.share=0.25"),
        _denoising("denoising, Gaussian", "Vincent et al., 2010", "noise=gaussian noise.gaussian.sigma=0.3"),
        _denoising("denoising, salt and pepper", "Vincent et al., 2010", "noise=salt_and_pepper"),
        _denoising("inpainting", "Pathak et al., 2016", "noise=block"),
        _denoising("super-resolution", "Dong et al., 2016", "noise=downsample"),
        _denoising("deblurring", "Xu et al., 2014", "noise=blur"),
        Type(
            "stacked denoising",
            "Vincent et al., 2010",
            f"{MASKING} training=layerwise training.pretrain_epochs=2",
            Below(1.0, noisy=True),
            "denoising, masking",
        ),
    ),
)


def _penalised(name: str, reference: str, penalty: str) -> Type:
    less: Property = Less(f"test/{penalty}", "its measure", ".4g", 0.75)
    return Type(name, reference, f"{CODE} regularizer={penalty}", less, WITHOUT)


REGULARIZED = Group(
    "Penalties on code and weights",
    (
        Type(WITHOUT, "", f"{CODE} regularizer=[{','.join(PENALTIES)}] {UNTRAINED}"),
        _penalised("decorrelated", "Cogswell et al., 2016", "decorrelation"),
        _penalised("orthogonal", "Ranjan, 2019", "orthogonality"),
        _penalised("small codes (L2)", "Ghosh et al., 2020", "l2"),
        _penalised("sparse weights (L1)", "Tibshirani, 1996", "weight_l1"),
        _penalised("weight decay (L2)", "Krogh & Hertz, 1991", "weight_l2"),
        Type("dropout of the code", "Srivastava et al., 2014", f"{CODE} regularizer=dropout", Below(1.0), "multilayer"),
        Type("tied sigmoid units (control: no penalty)", "", TIED),
        Type(
            "contractive",
            "Rifai et al., 2011",
            f"{TIED} regularizer=contractive",
            Contracts(),
            "tied sigmoid units (control: no penalty)",
        ),
    ),
)
