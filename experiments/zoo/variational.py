"""Types from whose codes new ones can be drawn: variational ones, and those whose codes are led to a distribution."""

from experiments.zoo.kinds import BINARY, CODE, Group, Type
from experiments.zoo.properties import Closer, Conditional, Generates, Less, More, Near, Property

GAUSSIAN = f"{CODE} bottleneck=gaussian"
BINARISED = f"{GAUSSIAN} {BINARY}"
PLANE = f"model=multilayer bottleneck=gaussian model.code_size=2 {BINARY}"
LIKELIER = More("test/log_likelihood", "log-likelihood in nats", ".1f")
FOUR = "training.draws=4 training.groups=2"  # a quarter of the steps' cost in conf/
SHARPER = Closer("test/sharpness", "sharpness", ".2f")
UNWEIGHTED = "VAE (control: penalties of weight 0)"
CORRELATION = "regularizer=total_correlation regularizer.total_correlation.weight=0"
"""Measures it without a say in the training."""
NEARER = Less("test/prior_mmd", "MMD from the prior", ".4f")
INDEPENDENT = Less("test/total_correlation", "total correlation in nats", ".2f")


def _vae(name: str, reference: str, words: str, held: Property | None = None, control: str = "VAE") -> Type:
    return Type(name, reference, f"{GAUSSIAN} {words}", held or Generates(), control)


VARIATIONAL = Group(
    "Variational",
    (
        Type("VAE", "Kingma & Welling, 2014", GAUSSIAN, Generates()),
        Type(
            UNWEIGHTED,
            "",
            f"{GAUSSIAN} regularizer=[total_correlation,dip] regularizer.total_correlation.weight=0"
            " regularizer.dip.weight=0",
        ),
        _vae(
            "beta-VAE, beta 4",
            "Higgins et al., 2017",
            "model.bottleneck.beta=4",
            Less("test/kl", "rate in nats", ".1f"),
        ),
        _vae(
            "capacity (disentangled beta-VAE)",
            "Burgess et al., 2018",
            "model.bottleneck.beta=0 regularizer=capacity",
            Near("test/kl", 25, 2, "nats from the prior"),
        ),
        _vae("beta-TCVAE", "Chen et al., 2018", "regularizer=total_correlation", INDEPENDENT, UNWEIGHTED),
        _vae("FactorVAE", "Kim & Mnih, 2018", f"training=factor {CORRELATION}", INDEPENDENT, UNWEIGHTED),
        _vae(
            "DIP-VAE",
            "Kumar et al., 2018",
            "regularizer=dip",
            Less("test/dip", "distance of the covariance from the identity", ".2f"),
            UNWEIGHTED,
        ),
        _vae("InfoVAE", "Zhao et al., 2019", "regularizer=mmd regularizer.mmd.weight=100", NEARER),
        _vae("conditional VAE", "Sohn et al., 2015", "condition=labels", Conditional()),
        Type(
            "VAE-GAN",
            "Larsen et al., 2016",
            f"{GAUSSIAN} training=vae_gan training.discriminator_widths=[8,16]",
            SHARPER,
            "VAE",
            epochs=3,
        ),
        _vae("two-stage VAE", "Dai & Wipf, 2019", "sampler=two_stage", NEARER),
        Type("gamma VAE", "Naesseth et al., 2017", f"{CODE} bottleneck=gamma", Generates()),
        Type(
            "JointVAE, a category beside numbers",
            "Dupont, 2018",
            f"{CODE} bottleneck=joint",
            More("test/linear_accuracy", "linear probe", ".1%"),
            "VAE",
        ),
        # Log-cosh is steeper where errors are small, and buys more nats: with this beta both have about the same rate.
        Type("VAE, squared error (control)", "", f"{GAUSSIAN} loss=mse model.bottleneck.beta=0.8"),
        _vae(
            "VAE, log-cosh",
            "Chen, Chen & Chen, 2019",
            "loss=log_cosh",
            More("test/ssim", "SSIM", ".3f"),
            "VAE, squared error (control)",
        ),
        Type("VAE, normal errors (control)", "", f"{GAUSSIAN} loss=student_t loss.degrees=1000"),
        _vae("VAE, Student's t", "Takahashi et al., 2018", "loss=student_t", LIKELIER, "VAE, normal errors (control)"),
    ),
)

ZEROS_AND_ONES = "VAE of 0 and 1"
FEW = 2
"""Epochs of what takes thirty times as long as the others, and of its control."""
TWO_EPOCHS = "VAE of 0 and 1, two epochs (control)"


def _tighter(name: str, reference: str, words: str, held: Property = LIKELIER) -> Type:
    return Type(name, reference, f"{BINARISED} {words}", held, ZEROS_AND_ONES)


def _layered(name: str, reference: str, word: str) -> Type:
    return Type(name, reference, f"{CODE} bottleneck={word} {BINARY}", LIKELIER, ZEROS_AND_ONES)


LIKELIHOOD = Group(
    "Variational, of digits of 0 and 1",
    (
        Type(ZEROS_AND_ONES, "Kingma & Welling, 2014", BINARISED, Generates()),
        _tighter("IWAE, 5 draws", "Burda et al., 2016", "training=importance_weighted"),
        _tighter("MIWAE, 2 times 2 draws", "Rainforth et al., 2018", f"training=miwae {FOUR}"),
        _tighter("CIWAE, 4 draws", "Rainforth et al., 2018", "training=ciwae training.draws=4"),
        _tighter("PIWAE, 4 draws", "Rainforth et al., 2018", f"training=piwae {FOUR}"),
        _tighter(
            "Hamiltonian VAE",
            "Caterini et al., 2018",
            "training=hamiltonian",
            Less("test/loss", "minus the bound, in nats", ".1f"),
        ),
        Type(TWO_EPOCHS, "", BINARISED, epochs=FEW),
        Type(
            "Riemannian Hamiltonian VAE",
            "Chadebec et al., 2020",
            f"{BINARISED} training=riemannian sampler=riemannian",
            Less("test/loss", "minus the bound, in nats", ".1f"),
            TWO_EPOCHS,
            epochs=FEW,
        ),
        _tighter("VampPrior", "Tomczak & Welling, 2018", "prior=vamp"),
        _tighter("mixture prior", "Dilokthanakul et al., 2016", "prior=mixture"),
        _tighter("planar flow", "Rezende & Mohamed, 2015", "flow=planar"),
        _tighter("radial flow", "Rezende & Mohamed, 2015", "flow=radial"),
        _tighter("Householder flow", "Tomczak & Welling, 2016", "flow=householder"),
        _tighter("inverse autoregressive flow", "Kingma et al., 2016", "flow=iaf"),
        _layered("ladder VAE", "Sonderby et al., 2016", "ladder"),
        _layered("hierarchical VAE", "Burda et al., 2016", "hierarchical"),
        Type("VAE of two units (control)", "", PLANE),
        Type(
            "hyperspherical VAE, two dimensions",
            "Davidson et al., 2018",
            f"model=multilayer bottleneck=hyperspherical model.code_size=3 {BINARY}",
            LIKELIER,
            "VAE of two units (control)",
        ),
        Type(
            "Poincaré VAE, two units",
            "Mathieu et al., 2019",
            f"model=multilayer bottleneck=poincare model.code_size=2 {BINARY}",
            LIKELIER,
            "VAE of two units (control)",
        ),
    ),
)

MATCHED = Group(
    "Codes led to a distribution, without a posterior",
    (
        Type("WAE-MMD", "Tolstikhin et al., 2018", f"{CODE} regularizer=mmd", Generates(), "multilayer"),
        Type("sliced WAE", "Kolouri et al., 2019", f"{CODE} regularizer=sliced_wasserstein", Generates(), "multilayer"),
        Type("adversarial (AAE)", "Makhzani et al., 2016", f"{CODE} training=adversarial", Generates(), "multilayer"),
        Type(
            "regularized, spectral norms (RAE)",
            "Ghosh et al., 2020",
            f"{CODE} regularizer=[l2,spectral] sampler=mixture",
            Generates(),
            "multilayer",
        ),
        Type(
            "regularized, gradient (RAE-GP)",
            "Ghosh et al., 2020",
            f"{CODE} regularizer=[l2,decoder_gradient] sampler=mixture",
            Generates(),
            "multilayer",
            epochs=3,
        ),
        Type(
            "regularized, weight decay (RAE-L2)",
            "Ghosh et al., 2020",
            f"{CODE} regularizer=[l2,weight_l2] sampler=mixture",
            Generates(),
            "multilayer",
        ),
    ),
)
