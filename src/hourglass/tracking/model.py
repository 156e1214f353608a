"""An MLflow model of a run: the autoencoder as one exported function x -> reconstruction, with its signature.

It serves others (`mlflow models serve`, batch scoring); `hourglass.load` does not need it. The graph is
exported, not pickled, so that loading it executes no code of ours or of anybody else.
"""

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.system.passwords import for_requests
from hourglass.tracking.mlflow_internals import tracking_at
from hourglass.tracking.run import Run


class Reconstruct(nn.Module):
    """The function that is exported, since an MLflow model answers with one tensor: (B, *shape) -> (B, *shape)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @override
    def forward(self, x: Tensor) -> Tensor:
        reconstruction: Tensor = self.model(x).reconstruction
        return reconstruction


def log_model(run: Run, model: nn.Module, example_input: Tensor, name: str = "model") -> str:
    """Logs `model` with signature and example into `run`; returns its URI, `models:/m-...`.

    Args:
        run: that it belongs to.
        model: of samples (B, *shape), in evaluation mode or not.
        example_input: (B, *shape), with B at least 2, because an axis of length 1 is exported as a constant.
        name: what it is called in the run.

    Raises:
        ValueError: an example of fewer than two samples.
    """
    if len(example_input) < 2:
        raise ValueError(f"example_input must hold at least 2 samples, got {len(example_input)}")
    import mlflow
    from mlflow.models import Model
    from mlflow.models.signature import ModelSignature
    from mlflow.types import Schema, TensorSpec

    was_training = model.training
    function = Reconstruct(model).eval().cpu()
    example = example_input.detach().cpu()
    with torch.no_grad():
        answer = function(example)
    signature = ModelSignature(inputs=_schema(Schema, TensorSpec, example), outputs=_schema(Schema, TensorSpec, answer))
    with tracking_at(for_requests(run.uri) if run.uri.startswith("http") else run.uri):
        info = Model.log(
            artifact_path=None,  # its older word for `name`
            name=name,
            flavor=mlflow.pytorch,
            run_id=run.id,
            pytorch_model=function,
            signature=signature,
            input_example=example.numpy(),
            # Named, because MLflow would otherwise load the model in a new process to find out (10 s).
            pip_requirements=[f"torch=={torch.__version__.split('+')[0]}", "numpy"],
            serialization_format="pt2",
        )
    model.train(was_training)
    return str(info.model_uri)


def _schema(schema: Any, spec: Any, x: Tensor) -> Any:
    return schema([spec(x.numpy().dtype, (-1, *x.shape[1:]))])
