"""Types whose code has few units on."""

from experiments.zoo.kinds import ATOMS, WIDE, Group, Type
from experiments.zoo.properties import Less, Near, Nested, Sparse

BOUNDED = f"{WIDE} model.bottleneck.activation=sigmoid"
PREFIXES = "regularizer=matryoshka regularizer.matryoshka.shares=[0.125,0.5]"  # of weight 0 it measures them alone
NESTED = "batch top-k (control: prefixes untrained)"
AT_16 = "L1 at 16 units on"

SPARSE = Group(
    "Sparse codes",
    (
        Type("dictionary (control: no penalty)", "", f"{ATOMS} bottleneck=relu"),
        Type(
            "sparse, L1",
            "Lee et al., 2008",
            f"{ATOMS} bottleneck=relu regularizer=l1 regularizer.l1.weight=3e-3",
            Sparse(),
            "dictionary (control: no penalty)",
        ),
        Type(
            AT_16,
            "Lee et al., 2008",
            f"{ATOMS} bottleneck=relu regularizer=[l1,target_l0] regularizer.l1.weight=1e-3",
            Near("test/code_l0", 16, 1.6, "units on"),
        ),
        Type(
            "p-annealing at 16 units on",
            "Karvonen et al., 2024",
            f"{ATOMS} bottleneck=relu regularizer=[lp,target_l0] regularizer.lp.weight=1e-3",
            Less("test/mse", "MSE", ".4f"),
            AT_16,
        ),
        Type(
            "gated at 16 units on",
            "Rajamanoharan et al., 2024",
            f"{ATOMS} bottleneck=gated regularizer=target_l0",
            Less("test/mse", "MSE", ".4f"),
            AT_16,
        ),
        Type("k-sparse", "Makhzani & Frey, 2013", f"{WIDE} model.tied=true bottleneck=top_k", Sparse()),
        Type("k-sparse dictionary (control: no revival)", "", f"{ATOMS} bottleneck=top_k"),
        Type(
            "k-sparse with revival",
            "Gao et al., 2024",
            f"{ATOMS} bottleneck=top_k regularizer=revival",
            Sparse(),
            "k-sparse dictionary (control: no revival)",
        ),
        Type(
            "k-sparse with resampling",
            "Bricken et al., 2023",
            f"{ATOMS} bottleneck=top_k training=resampling",
            Less("fit/dead_units", "dead units", ".0f", 0.5),
            "k-sparse dictionary (control: no revival)",
        ),
        Type(
            "batch top-k with revival",
            "Bussmann et al., 2024",
            f"{ATOMS} bottleneck=batch_top_k regularizer=revival",
            Sparse(),
            "k-sparse with revival",
        ),
        Type(NESTED, "", f"{ATOMS} bottleneck=batch_top_k {PREFIXES} regularizer.matryoshka.weight=0"),
        Type(
            "Matryoshka batch top-k",
            "Bussmann et al., 2025",
            f"{ATOMS} bottleneck=batch_top_k {PREFIXES}",
            Nested("test/mse_prefix_32", "MSE of the first 32 units", ".4f", 0.6),
            NESTED,
        ),
        Type("JumpReLU", "Rajamanoharan et al., 2024", f"{ATOMS} bottleneck=jump_relu", Sparse()),
        Type("winner-take-all", "Makhzani & Frey, 2015", f"{ATOMS} bottleneck=winner_take_all", Sparse()),
        Type("sigmoid units (control: no penalty)", "", BOUNDED),
        Type(
            "sparse, KL",
            "Ng, 2011",
            f"{BOUNDED} regularizer=kl_sparsity",
            Sparse(),
            "sigmoid units (control: no penalty)",
        ),
    ),
)
