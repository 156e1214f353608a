"""Types whose code is made of symbols."""

from experiments.zoo.kinds import CODE, Group, Type
from experiments.zoo.properties import Less, Symbols

QUANTIZED = f"{CODE} bottleneck=vector_quantized"
RESIDUAL = f"{CODE} bottleneck=residual_quantized"

DISCRETE = Group(
    "Symbols",
    (
        Type("vector-quantized", "van den Oord et al., 2017", QUANTIZED, Symbols()),
        Type(
            "vector-quantized, rotation trick",
            "Fifty et al., 2025",
            f"{QUANTIZED} model.bottleneck.gradient=rotation",
            Less("test/mse", "MSE", ".4f"),
            "vector-quantized",
        ),
        Type(
            "vector-quantized map",
            "van den Oord et al., 2017",
            "model=conv model.depth=2 model.code_channels=4 bottleneck=vector_quantized",
            Symbols(),
            epochs=5,
        ),
        Type("residual-quantized", "Lee et al., 2022", RESIDUAL, Symbols()),
        Type(
            "hierarchical residual-quantized",
            "Adiban et al., 2022",
            f"{RESIDUAL} model.bottleneck.codebooks=tree model.bottleneck.levels=3 model.bottleneck.entries=16",
            Symbols(),
        ),
        Type("finite scalar", "Mentzer et al., 2024", f"{CODE} bottleneck=finite_scalar", Symbols()),
        Type("lookup-free", "Yu et al., 2024", f"{CODE} bottleneck=lookup_free", Symbols()),
        Type("binary", "Bengio et al., 2013", f"{CODE} bottleneck=binary", Symbols()),
        Type("categorical VAE", "Jang et al., 2017", f"{CODE} bottleneck=categorical", Symbols()),
    ),
)
