"""An MLflow model of a run: the autoencoder as one exported function x -> reconstruction, with its signature.

It serves others (``mlflow models serve``, batch scoring); ``hourglass.load`` does not need it. The graph is
exported, not pickled, so that loading it executes no code of ours or of anybody else.
"""

import os
from typing import Any

import torch
from torch import Tensor, nn

from hourglass.system.passwords import for_requests
from hourglass.tracking.run import Run


class Reconstruct(nn.Module):
    """The function that is exported, since an MLflow model answers with one tensor: (B, *shape) -> (B, *shape)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        reconstruction: Tensor = self.model(x).reconstruction
        return reconstruction


def log_model(run: Run, model: nn.Module, example_input: Tensor, name: str = "model") -> str:
    """Logs ``model`` with signature and example into ``run``; returns its URI, ``models:/m-...``.

    Args:
        example_input: (B, *shape), with B at least 2, because an axis of length 1 is exported as a constant.

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
    before = {key: os.environ.get(key) for key in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")}
    mlflow.set_tracking_uri(for_requests(run.uri) if run.uri.startswith("http") else run.uri)
    mlflow.set_registry_uri(mlflow.get_tracking_uri())
    try:
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
    finally:
        # MLflow keeps them for the process, even in the environment, by which the next run would go.
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value
    model.train(was_training)
    return str(info.model_uri)


def _schema(schema: Any, spec: Any, x: Tensor) -> Any:
    return schema([spec(x.numpy().dtype, (-1, *x.shape[1:]))])
