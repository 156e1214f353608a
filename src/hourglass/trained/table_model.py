"""A model of a scaled table, in the table's own units.

An autoencoder learns from scaled rows, so that columns of metres and of millions count alike. Who uses it has rows x
as they are measured, and wants them back so:

    h = f((x - offset) / scale),    r = offset + scale g(h)

Codes, losses and metrics are those of the scaled rows, which `model` itself takes and gives.
"""

from torch import Tensor, nn

from hourglass.data.dataset import Scaling
from hourglass.models import Autoencoder, Output


class TableModel(nn.Module):
    """A trained autoencoder of scaled rows, in the units of its table.

    Args:
        model: the autoencoder of the scaled rows.
        scaling: offset and scale of every column, fitted on the training rows.
    """

    def __init__(self, *, model: Autoencoder, scaling: Scaling) -> None:
        super().__init__()
        self.model = model
        self.scaling = scaling
        self.shape = model.shape
        self.code_size = model.code_size

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Rows (B, D) in the table's units, and classes (B,) if it takes them, to codes (B, code_size)."""
        return self.model.encode(self.scaling.apply(x), y)

    def decode(self, code: Tensor, y: Tensor | None = None) -> Tensor:
        """Codes (B, code_size), and classes (B,) if it takes them, to rows (B, D) in the table's units, float64."""
        return self.scaling.undo(self.model.decode(code, y))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Output:
        """Rows (B, D) in the table's units to an `Output` whose reconstruction is in them, float64."""
        output: Output = self.model(self.scaling.apply(x), y)
        return output._replace(reconstruction=self.scaling.undo(output.reconstruction))


def in_own_units(model: Autoencoder, scaling: Scaling | None) -> Autoencoder | TableModel:
    """The model as it is used: in the units of its table, where that was scaled; as it is elsewhere."""
    return model if scaling is None else TableModel(model=model, scaling=scaling)
