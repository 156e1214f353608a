"""A run in a folder of its own: what `hourglass push` writes, so that others load it without the store it came from.

    config.yaml            every value of the configuration
    weights.safetensors    of the model; sampler.safetensors and classifier.safetensors where the run has such
    run.json               its name, id, tags, data and metrics
    README.md              the model card
    reconstructions.png    its final picture, where it has one

All of it may be a stranger's: it is numbers and text, and nothing in it is executed.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typing_extensions import override

from hourglass.system.errors import HourglassError, printable
from hourglass.tracking.files import Files
from hourglass.tracking.recorded import WEIGHTS, DataSet, Recorded
from hourglass.tracking.run import Run
from hourglass.tracking.store import resolve_uri
from hourglass.tracking.unrecorded import UnrecordedRun

__all__ = ["CARD", "CONFIG", "DESCRIPTION", "NETWORKS", "PICTURE", "SharedRun", "description"]

CONFIG, DESCRIPTION, CARD, PICTURE = "config.yaml", "run.json", "README.md", "reconstructions.png"
NETWORKS = (WEIGHTS, "sampler.safetensors", "classifier.safetensors")
"""The files of weights; of a run's others, as a discriminator's, only its training had a use."""
FINAL = "final/reconstructions"
"""The key of the picture in a run."""


class SharedRun(UnrecordedRun):
    """A run in a folder, to be read only.

    Args:
        folder: that `hourglass push` wrote.
        name: what it is called in messages; None: as the run was.

    Raises:
        HourglassError: it is not what `hourglass push` writes.
    """

    artifact = Recorded.artifact
    read_file = Recorded.read_file
    load_weights = Recorded.load_weights

    def __init__(self, folder: Path, *, name: str | None = None) -> None:
        held = _read(folder / DESCRIPTION)
        super().__init__(name=name or held["name"], tags=held["tags"], params={})
        self.id, self.uri, self.called = held["id"], str(folder), held["name"]
        self._metrics: dict[str, float] = held["metrics"]
        self._state, self._data = "FINISHED", DataSet(**held["data"])
        self._files = Files(client=None, uri=self.uri, run_id=self.id, name=self.name, place=str(folder.absolute()))

    @property
    def data_set(self) -> DataSet:
        """What it was trained on."""
        return self._data

    @property
    def digest(self) -> str:
        """Of its data set."""
        return self._data.digest

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of every metric."""
        return dict(self._metrics)

    @override
    def pictures(self) -> dict[str, Any]:
        from PIL import Image

        if not (Path(self.uri) / PICTURE).exists():
            return {}
        return {FINAL: self.read_file(PICTURE, lambda path: Image.open(path).convert("RGB"))}

    @override
    def start_below(self, *, name: str, tags: Mapping[str, str], params: Mapping[str, str]) -> Run:
        """A run in the store of this directory: the folder stays as it is."""
        return Run.start(uri=resolve_uri(None), experiment="hourglass", name=name, tags=tags, params=params)


def description(run: Run, *, tags: Mapping[str, str]) -> str:
    """What `run.json` says of a run."""
    data = run.data_set._asdict()
    held = {"name": run.name, "id": run.id, "tags": dict(tags), "data": data, "metrics": run.metrics}
    return json.dumps(held, indent=2, sort_keys=True) + "\n"


def _read(file: Path) -> dict[str, Any]:
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
        name, run_id, tags, data, metrics = (held[key] for key in ("name", "id", "tags", "data", "metrics"))
        if not isinstance(name, str) or not name.strip() or len(name) > 250:
            raise ValueError("name must be a text")
        if not re.fullmatch(r"\w{1,64}", run_id):
            raise ValueError("id must be letters and digits")
        texts = [*tags, *tags.values(), data["name"], data["digest"], *data["sizes"]]
        numbers = [*metrics.values(), *data["sizes"].values()]
        if not all(isinstance(each, str) for each in (*texts, *metrics)):
            raise ValueError("tags and names must be text")
        if set(data) != set(DataSet._fields):
            raise ValueError("data must be name, digest and sizes")
        if not all(isinstance(each, int | float) and math.isfinite(each) for each in numbers):
            raise ValueError("metrics and sizes must be numbers")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        said = f"there is no {file}" if isinstance(error, OSError) else f"its {DESCRIPTION} can't be read: {error}"
        raise HourglassError(f"{file.parent} is no folder that hourglass push wrote: {said}") from error
    held["name"] = printable(name)
    return held  # type: ignore[no-any-return]
