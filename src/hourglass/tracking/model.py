"""An MLflow model of a run: the autoencoder as one exported function, with its signature.

    x -> reconstruction    or    x -> code

It serves others (`mlflow models serve`, batch scoring); `hourglass.load` does not need it. The graph is
exported, not pickled, so that loading it executes no code of ours or of anybody else.
"""

import contextlib
import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from hourglass.system.errors import HourglassError, first_line
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


class Encode(nn.Module):
    """The same for the code: (B, *shape) -> (B, code_size)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    @override
    def forward(self, x: Tensor) -> Tensor:
        code: Tensor = self.model.encode(x)
        return code


FUNCTIONS: Mapping[str, Callable[[nn.Module], nn.Module]] = {"reconstruction": Reconstruct, "code": Encode}
"""By what they give."""


def log_model(
    run: Run,
    model: nn.Module,
    example_input: Tensor,
    name: str = "model",
    *,
    gives: str = "reconstruction",
    register: str | None = None,
    about: Mapping[str, Any] | None = None,
) -> str:
    """Logs `model` with signature and example into `run`; returns its URI, `models:/m-...`, or `models:/NAME/VERSION`.

    Args:
        run: that it belongs to.
        model: of samples (B, *shape), in evaluation mode or not.
        example_input: (B, *shape), with B at least 2, because an axis of length 1 is exported as a constant.
        name: what it is called in the run.
        gives: what it answers with, `reconstruction` or `code`.
        register: the registered model that it becomes a new version of; None: of none.
        about: what the model says of itself besides.

    Raises:
        ValueError: an example of fewer than two samples.
        HourglassError: a name that no registered model can have.
    """
    check_loggable(model)
    if len(example_input) < 2:
        raise ValueError(f"example_input must hold at least 2 samples, got {len(example_input)}")
    import mlflow
    from mlflow.models import Model
    from mlflow.models.signature import ModelSignature
    from mlflow.types import Schema, TensorSpec

    was_training = model.training
    function = FUNCTIONS[gives](model).eval().cpu()
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
            metadata=dict(about or {}),
        )
        model.train(was_training)
        if register is None:
            return str(info.model_uri)
        return _registered(info.model_uri, register)


def check_loggable(model: nn.Module) -> None:
    """Raise HourglassError for a model that takes more than samples, as an MLflow model has one input."""
    if getattr(model, "classes", 0):
        raise HourglassError("a model that takes classes beside samples is no MLflow model: condition must be none")


def check_name(name: str, *, key: str) -> None:
    """Raise HourglassError, with the key, for a name that no registered model can have."""
    if not name.strip() or re.search(r"[/:.%\"']", name) or not name.isprintable() or len(name) > 200:
        raise HourglassError(f"{key} must be a name without / : . % and quotes, got {name!r}")


def _registered(address: str, name: str) -> str:
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        with contextlib.redirect_stderr(io.StringIO()):  # it tells there what it has done
            version = mlflow.register_model(address, name)
    except MlflowException as error:
        raise HourglassError(f"{name} can't be registered: {first_line(error)}") from error
    return f"models:/{name}/{version.version}"


def _schema(schema: Any, spec: Any, x: Tensor) -> Any:
    return schema([spec(x.numpy().dtype, (-1, *x.shape[1:]))])
