"""A run as it is recorded: what anybody can read of it, while it is written or years later."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from hourglass.configuration.plain_yaml import read_mapping
from hourglass.system.errors import printable
from hourglass.system.passwords import redacted
from hourglass.tracking import pictures, weights
from hourglass.tracking.files import Files
from hourglass.tracking.mlflow_internals import IMAGES, IMAGES_MARK, page_link
from hourglass.tracking.retries import RetryingClient

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

WEIGHTS = "weights.safetensors"
"""The file of a trained model's state."""

PICTURES = "pictures"
"""The folder of pictures by plain names, of the size in which a description shows them."""


class DataSet(NamedTuple):
    """What a run says of the data that it was trained on."""

    name: str
    digest: str
    """The first 36 characters."""
    sizes: dict[str, int]
    """Samples by split."""


class Recorded:
    """What MLflow keeps of a run; of points those that have been written.

    Args:
        client: of the store.
        uri: of the store, resolved.
        entity: MLflow's record of the run.
        experiment: the name of its experiment.

    Attributes:
        id: the 32 hexadecimal digits by which MLflow knows it.
        name: what a person called it.
        experiment: the name of its experiment.
        uri: the resolved tracking URI.
        experiment_id: by which MLflow knows its experiment.
    """

    def __init__(self, *, client: RetryingClient, uri: str, entity: Any, experiment: str) -> None:
        self.id: str = entity.info.run_id
        self.name = printable(str(entity.info.run_name))
        self.experiment = experiment
        self.uri = uri
        self.experiment_id = str(entity.info.experiment_id)
        self._client = client
        place = entity.info.artifact_uri
        self._files = Files(client=client, uri=uri, run_id=self.id, name=self.name, place=place)

    @property
    def status(self) -> str:
        """RUNNING, FINISHED, FAILED or KILLED."""
        return str(self._client.get_run(self.id).info.status)

    @property
    def tags(self) -> dict[str, str]:
        """All of them, by name."""
        return dict(self._client.get_run(self.id).data.tags)

    @property
    def params(self) -> dict[str, str]:
        """The configuration, key by dotted key, as text."""
        return dict(self._client.get_run(self.id).data.params)

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of every metric."""
        return dict(self._client.get_run(self.id).data.metrics)

    def history(self, key: str) -> list[tuple[int, float]]:
        """All points (step, value) of one metric, by step."""
        return sorted((point.step, point.value) for point in self._client.get_metric_history(self.id, key))

    @property
    def digest(self) -> str | None:
        """Of its data set, the first 36 characters; None where it recorded none."""
        return self.data_set.digest or None

    @property
    def data_set(self) -> DataSet:
        """What it was trained on; empty where it recorded none."""
        for each in self._client.get_run(self.id).inputs.dataset_inputs:
            found = each.dataset
            try:
                sizes = {str(key): int(value) for key, value in json.loads(found.profile or "{}").items()}
            except (ValueError, TypeError, AttributeError):  # another program's
                sizes = {}
            return DataSet(printable(str(found.name)), str(found.digest), sizes)
        return DataSet("", "", {})

    @property
    def page(self) -> str:
        """The address of its page: of a server, or of what `hourglass ui` serves by default."""
        base = redacted(self.uri) if self.uri.startswith("http") else "http://127.0.0.1:5000"
        return f"{base}/{page_link(self.experiment_id, self.id)}"

    def holds(self, path: str) -> bool:
        """Whether the run has a file `path`."""
        folder = path.rpartition("/")[0] or None
        return any(file.path == path for file in self._client.list_artifacts(self.id, folder))

    def artifact(self, path: str) -> Path:
        """The run's file or folder `path`, to be read only; where it is far away, a copy until this process ends.

        Raises:
            HourglassError: the run holds no such file; the message lists what it holds.
        """
        return self._files.get(path)

    def read_file(self, path: str, read: Callable[[Path], T]) -> T:
        """What `read` makes of the run's file `path`.

        Raises:
            HourglassError: the run holds no such file, or one that is cut off, empty or something else.
        """
        return self._files.read(path, read)

    def read_config(self) -> dict[Any, Any]:
        """What `config.yaml` holds, anybody's text (see `configuration.trust`); raises as `read_file`."""
        what = f"run {self.name} ({self.id}): its config.yaml"
        return self.read_file("config.yaml", lambda path: read_mapping(path.read_bytes(), what=what))

    def load_weights(self, name: str = WEIGHTS) -> "dict[str, Tensor]":
        """The state dict that `log_weights` stored, on the CPU; raises as `read_file`."""
        return self.read_file(name, weights.read)

    def pictures(self) -> dict[str, Any]:
        """The last picture of every key, as PIL images."""
        if not IMAGES_MARK.items() <= self.tags.items():
            return {}
        return pictures.last_of(self.artifact(IMAGES))

    def points_from(self, step: int) -> set[tuple[str, int, float]]:
        """All points (metric, step, value) from a step on, and those at step 0, what was measured at an earlier end."""
        every = ((key, *point) for key in self.metrics for point in self.history(key))
        return {point for point in every if point[1] >= step or point[1] == 0}
