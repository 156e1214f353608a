"""A run that nothing is kept of: what is recorded into it stays in memory, and goes with it.

It takes and gives what a `Run` does, without a store; MLflow is not asked.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from typing_extensions import override

from hourglass.system.errors import HourglassError, reason
from hourglass.tracking.recorded import WEIGHTS
from hourglass.tracking.run import Run

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


class UnrecordedRun(Run):
    """A run in memory alone.

    Args:
        name: what a person would call it.
        tags: its labels.
        params: its settings.
    """

    def __init__(self, *, name: str, tags: Mapping[str, str], params: Mapping[str, str]) -> None:
        self.id, self.name, self.experiment, self.uri = "unrecorded", name, "none", ""
        self.experiment_id = ""
        self._tags, self._params = dict(tags), dict(params)
        self._state, self._digest = "RUNNING", ""
        self._history: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self._weights: dict[str, dict[str, Tensor]] = {}
        self._pictures: dict[str, Any] = {}
        self._ended = self._ends_late = False
        self.described: list[str] = []

    @override
    def start_below(self, *, name: str, tags: Mapping[str, str], params: Mapping[str, str]) -> Run:
        return UnrecordedRun(name=name, tags=tags, params=params)

    # What is known of it

    @property
    def status(self) -> str:
        """RUNNING, FINISHED, FAILED or KILLED."""
        return self._state

    @property
    def tags(self) -> dict[str, str]:
        """All of them, by name."""
        return dict(self._tags)

    @property
    def params(self) -> dict[str, str]:
        """The configuration, key by dotted key, as text."""
        return dict(self._params)

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of every metric."""
        return {key: points[-1][1] for key, points in self._history.items()}

    @property
    def digest(self) -> str | None:
        """Of its data set."""
        return self._digest

    @override
    def history(self, key: str) -> list[tuple[int, float]]:
        return sorted(self._history.get(key, []))

    @override
    def holds(self, path: str) -> bool:
        return False

    @override
    def artifact(self, path: str) -> Path:
        self._has_no_file(path)

    @override
    def read_file(self, path: str, read: Callable[[Path], T]) -> T:
        self._has_no_file(path)

    @override
    def load_weights(self, name: str = WEIGHTS) -> "dict[str, Tensor]":
        return self._weights[name]

    @override
    def pictures(self) -> dict[str, Any]:
        return dict(self._pictures)

    def _has_no_file(self, path: str) -> NoReturn:
        raise HourglassError(f"run {self.name} holds no {path!r}: with tracking=none nothing is kept")

    # Recording

    @override
    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        for key, value in values.items():
            self._history[key].append((step, float(value)))

    @override
    def flush(self) -> None:
        """Nothing waits."""

    @override
    def log_params(self, params: Mapping[str, str]) -> None:
        self._params.update(params)

    @override
    def set_tags(self, tags: Mapping[str, str]) -> None:
        self._tags.update(tags)

    @override
    def log_image(self, image: Any, key: str, step: int) -> None:
        from PIL import Image

        self._pictures[key] = image if isinstance(image, Image.Image) else Image.fromarray(image.squeeze())

    @override
    def log_picture(self, image: Any, name: str) -> str:
        return ""

    @override
    def log_bytes(self, content: bytes | memoryview, name: str) -> None:
        """Nothing."""

    @override
    def log_dataset(self, name: str, digest: str, sizes: Mapping[str, int]) -> None:
        self._digest = digest

    @override
    def log_weights(
        self, state_dict: "Mapping[str, Tensor]", name: str = WEIGHTS, metadata: Mapping[str, str] | None = None
    ) -> None:
        self._weights[name] = {key: value.detach().cpu().clone() for key, value in state_dict.items()}

    # Ending

    @override
    def finish(self) -> None:
        self._end("FINISHED", "")

    @override
    def fail(self, error: BaseException) -> None:
        self._end("FAILED", reason(error))

    @override
    def kill(self, reason: str) -> None:
        self._end("KILLED", reason)

    @override
    def _end(self, status: str, reason: str, error: BaseException | None = None) -> None:
        self._state, self._ended = status, True
        if reason:
            self.set_tags({"failure": reason})
