"""A model of a scaled table, in the table's own units.

An autoencoder learns from scaled rows, so that columns of metres and of millions count alike. Who uses it has rows x
as they are measured, and wants them back so:

    h = f((x - offset) / scale),    r = offset + scale g(h)

Codes, losses and metrics are those of the scaled rows, which `model` itself takes and gives.
"""

from torch import Tensor, nn

from hourglass.data.dataset import Scaling
from hourglass.models import Autoencoder, Output
from hourglass.trained.target import Target


class TableModel(nn.Module):
    """A trained autoencoder of scaled rows, in the units of its table.

    Args:
        model: the autoencoder of the scaled rows.
        scaling: offset and scale of every column, fitted on the training rows; None: rows as they are.
        back: those of what it makes of rows.
    """

    def __init__(self, *, model: Autoencoder, scaling: Scaling | None, back: Scaling | None) -> None:
        super().__init__()
        self.model = model
        self.scaling = scaling
        self.back = back
        self.shape = model.shape
        self.code_size = model.code_size

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Rows (B, D) in the table's units, and classes (B,) if it takes them, to codes (B, code_size)."""
        return self.model.encode(self._taken(x), y)

    def decode(self, code: Tensor, y: Tensor | None = None) -> Tensor:
        """Codes (B, code_size), and classes (B,) if it takes them, to rows (B, D) in the table's units, float64."""
        return self._given_back(self.model.decode(code, y))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Output:
        """Rows (B, D) in the table's units to an `Output` whose reconstruction is in them, float64."""
        output: Output = self.model(self._taken(x), y)
        return output._replace(reconstruction=self._given_back(output.reconstruction))

    def _taken(self, x: Tensor) -> Tensor:
        return x if self.scaling is None else self.scaling.apply(x)

    def _given_back(self, x: Tensor) -> Tensor:
        return x if self.back is None else self.back.undo(x)


def in_own_units(model: Autoencoder, scaling: Scaling | None, target: Target | None = None) -> Autoencoder | TableModel:
    """The model as it is used: in the units of its table, where that was scaled; as it is elsewhere."""
    back = scaling if target is None else target.scaling
    return model if scaling is None and back is None else TableModel(model=model, scaling=scaling, back=back)
