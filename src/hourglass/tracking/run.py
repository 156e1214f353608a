"""A run: one training, as MLflow keeps it.

Its status is what happened: FINISHED, FAILED (with traceback and reason) or KILLED. ``with`` sees to it::

    with Run.start(uri=uri, experiment="hourglass", name="conv", tags={}, params={}) as run:
        run.log_metrics({"train/loss": 0.1}, step=50)
"""

import json
import tempfile
import traceback
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from hourglass.errors import HourglassError
from hourglass.tracking.patience import PATIENCE, patiently
from hourglass.tracking.points import Points
from hourglass.tracking.processes import identity, is_alive
from hourglass.tracking.store import experiment_id, open_client, prepare, resolve_uri

if TYPE_CHECKING:
    from torch import Tensor

_ENTRIES_PER_BATCH = 100  # the most params or tags that MLflow takes in one call
_WEIGHTS = "weights.safetensors"
_DIGEST_LENGTH = 36  # the most that MLflow keeps of a data set's digest


class Run:
    """One MLflow run, opened by ``Run.start``, ``Run.resume`` or ``Run.find``.

    Attributes:
        id: the 32 hexadecimal digits by which MLflow knows it.
        name: what a person called it.
        experiment: the name of its experiment.
        uri: the resolved tracking URI.
    """

    def __init__(self, *, client: Any, uri: str, entity: Any, experiment: str) -> None:
        self.id: str = entity.info.run_id
        self.name: str = entity.info.run_name
        self.experiment = experiment
        self.uri = uri
        self._client = client
        self._points = Points(client=client, uri=uri, run_id=self.id)
        self._ended = False

    @classmethod
    def start(
        cls,
        *,
        uri: str | None,
        experiment: str,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, str],
        parent_id: str | None = None,
    ) -> Self:
        """Opens a new run, RUNNING, in ``experiment`` (made if missing), under a parent run if one is given.

        Raises:
            TrackingUnavailable: the store cannot be used (see ``prepare``).
        """
        uri = resolve_uri(uri)
        prepare(uri)
        client = open_client(uri)
        every = {**tags, **identity(), "mlflow.source.name": "hourglass", "mlflow.source.type": "LOCAL"}
        if parent_id is not None:
            every["mlflow.parentRunId"] = parent_id
        place = experiment_id(client, uri, experiment)
        entity = patiently(lambda: client.create_run(place, tags=every, run_name=name), uri)
        run = cls(client=client, uri=uri, entity=entity, experiment=experiment)
        try:
            run.log_params(params)
        except BaseException as error:
            run._give_up(error)
            raise
        return run

    @classmethod
    def resume(cls, run_id: str, *, uri: str | None) -> Self:
        """Opens an earlier run again, RUNNING; its points continue, its params stay as they are.

        Raises:
            HourglassError: no such run (see ``find``), or its process still lives.
        """
        run = cls.find(run_id, uri)
        tags = run.tags
        if run.status == "RUNNING" and is_alive(tags):
            raise HourglassError(f"run {run_id} cannot be resumed: process {tags['pid']} is still writing it")
        run._reopen(tags)
        return run

    @classmethod
    def join(cls, run_id: str, *, uri: str | None) -> Self:
        """Opens a run again, RUNNING, also beside another process that has it open: a study's, of two terminals.

        Raises:
            HourglassError: no such run (see ``find``).
        """
        run = cls.find(run_id, uri)
        run._reopen(run.tags)
        return run

    def _reopen(self, tags: dict[str, str]) -> None:
        self._send(self._client.update_run, self.id, status="RUNNING")
        self.set_tags(identity())
        if "failure" in tags:
            self._send(self._client.delete_tag, self.id, "failure")

    @classmethod
    def find(cls, reference: str, uri: str | None) -> Self:
        """The run with this id, this beginning of an id (6 digits or more) or exactly this name.

        Raises:
            HourglassError: no such run, or several; the message lists them.
            TrackingUnavailable: the store cannot be used.
        """
        uri = resolve_uri(uri)
        client = open_client(uri)
        names = {each.experiment_id: each.name for each in client.search_experiments()}
        quote = '"' if "'" in reference else "'"
        filters = [] if quote in reference else [f"attributes.run_name = {quote}{reference}{quote}"]
        if len(reference) >= 6 and set(reference) <= set("0123456789abcdef"):
            filters.append(f"attributes.run_id LIKE '{reference}%'")
        found = {run.info.run_id: run for text in filters for run in client.search_runs(list(names), text)}
        if not found:
            raise HourglassError(f"run {reference!r} is not in {uri}: give an id, its first 6 digits or a run name")
        if len(found) > 1:
            some = [f"{number} ({run.info.run_name})" for number, run in list(found.items())[:5]]
            raise HourglassError(f"run {reference!r} may be any of {len(found)} runs: {', '.join(some)}")
        (entity,) = found.values()
        return cls(client=client, uri=uri, entity=entity, experiment=names[entity.info.experiment_id])

    # What is recorded; points still waiting to be written are not seen

    @property
    def status(self) -> str:
        """RUNNING, FINISHED, FAILED or KILLED."""
        return str(self._client.get_run(self.id).info.status)

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._client.get_run(self.id).data.tags)

    @property
    def params(self) -> dict[str, str]:
        return dict(self._client.get_run(self.id).data.params)

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of every metric."""
        return dict(self._client.get_run(self.id).data.metrics)

    def history(self, key: str) -> list[tuple[int, float]]:
        """All points (step, value) of one metric, by step."""
        return sorted((point.step, point.value) for point in self._client.get_metric_history(self.id, key))

    def artifact(self, path: str) -> Path:
        """A copy of the run's file ``path``, in a temporary folder that lasts as long as this process.

        Raises:
            HourglassError: the run holds no such file; the message lists what it holds.
        """
        from mlflow.exceptions import MlflowException

        try:
            return Path(self._client.download_artifacts(self.id, path, _downloads(self.id).name))
        except (OSError, MlflowException) as error:
            held = ", ".join(file.path for file in self._client.list_artifacts(self.id)) or "nothing"
            raise HourglassError(f"run {self.name} ({self.id}) holds no {path!r}, it holds {held}") from error

    def read_config(self) -> dict[str, Any]:
        """The whole resolved configuration, from the artifact ``config.yaml``."""
        return dict(yaml.safe_load(self.artifact("config.yaml").read_text(encoding="utf-8")))

    def load_weights(self, name: str = _WEIGHTS) -> "dict[str, Tensor]":
        """The state dict that ``log_weights`` stored, on the CPU."""
        from safetensors.torch import load_file

        return dict(load_file(self.artifact(name)))

    # Recording

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Adds one point per metric; points are written in batches (see ``points``) and by ``flush``."""
        self._points.add(values, step)

    def flush(self, patience: float = PATIENCE) -> None:
        """Writes all waiting points; raises TrackingUnavailable if the store stays away for ``patience`` s."""
        self._points.write(patience)

    def log_params(self, params: Mapping[str, str]) -> None:
        """Records settings, up to the 6000 characters each that MLflow keeps. They can't be changed later."""
        from mlflow.entities import Param

        self._log_entries("params", [Param(key, str(value)) for key, value in params.items()])

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Records or replaces labels, up to 8000 characters each."""
        from mlflow.entities import RunTag

        self._log_entries("tags", [RunTag(key, str(value)) for key, value in tags.items()])

    def log_image(self, image: Any, key: str, step: int) -> None:
        """Records a picture: a PIL image or a uint8 array, (H, W) or (H, W, 1, 3 or 4)."""
        self._send(self._client.log_image, self.id, image, key=key, step=step, synchronous=True)

    def log_file(self, path: Path | str, artifact_path: str | None = None) -> None:
        """Copies a file into the run, into the folder ``artifact_path`` if given."""
        self._send(self._client.log_artifact, self.id, str(path), artifact_path)

    def log_text(self, text: str, name: str) -> None:
        """Writes ``text`` as the run's file ``name``."""
        self._send(self._client.log_text, self.id, text, name)

    def log_dataset(self, name: str, digest: str, sizes: Mapping[str, int]) -> None:
        """Records the data: name, digest (its first 36 characters), samples per split, ``{"train": 55000}``."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"name": name})
        data = Dataset(name, digest[:_DIGEST_LENGTH], "hourglass", source, profile=json.dumps(dict(sizes)))
        entry = DatasetInput(data, [InputTag("mlflow.data.context", ", ".join(sizes))])
        self._send(self._client.log_inputs, self.id, [entry])

    def log_weights(
        self, state_dict: "Mapping[str, Tensor]", name: str = _WEIGHTS, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Stores a state dict bit for bit, as safetensors, which holds numbers only and executes nothing."""
        from safetensors.torch import save

        # Safetensors takes no two names for one memory (tied weights) and no strides: each name gets a copy.
        whole = {key: value.detach().cpu().clone().contiguous() for key, value in state_dict.items()}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(save(whole, dict(metadata or {})))
            self.log_file(path)

    # Ending

    def finish(self) -> None:
        """Everything went well: FINISHED."""
        self.flush()
        self._end("FINISHED")

    def fail(self, error: BaseException) -> None:
        """Ends as FAILED, with ``traceback.txt`` and the reason in one line as the tag ``failure``."""
        self._flush_or_warn(PATIENCE)
        self.log_text("".join(traceback.format_exception(error)), "traceback.txt")
        reason = traceback.format_exception_only(error)[-1].strip().splitlines()[0]
        self.set_tags({"failure": reason[:500]})
        self._end("FAILED")

    def kill(self, reason: str) -> None:
        """Ends as KILLED, with ``reason`` as the tag ``failure``; waits 10 s at most for a store that is away."""
        self._flush_or_warn(10.0)
        self.set_tags({"failure": reason})
        self._end("KILLED")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            if error is not None and not self._ended:
                self._give_up(error)
            elif not self._ended:
                self.finish()
        except BaseException as late:
            self._give_up(late)
            raise

    def _give_up(self, error: BaseException) -> None:
        try:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):  # Lightning's SIGTERMException is a SystemExit
                self.kill(f"interrupted by {type(error).__name__}")
            else:
                self.fail(error)
        except Exception as another:  # the first error is the one to see
            warnings.warn(f"the end of run {self.name} ({self.id}) was not recorded: {another}", stacklevel=3)

    def _flush_or_warn(self, patience: float) -> None:
        try:
            self.flush(patience)
        except Exception as error:  # the true status matters more than the last points
            warnings.warn(f"the last points of run {self.name} were not written: {error}", stacklevel=4)

    def _end(self, status: str) -> None:
        self._send(self._client.set_terminated, self.id, status)
        self._ended = True

    def _log_entries(self, kind: str, entries: list[Any]) -> None:
        for start in range(0, len(entries), _ENTRIES_PER_BATCH):
            self._send(self._client.log_batch, self.id, **{kind: entries[start : start + _ENTRIES_PER_BATCH]})

    def _send(self, call: Any, *arguments: Any, **keywords: Any) -> None:
        patiently(lambda: call(*arguments, **keywords), self.uri)


@cache  # which also keeps the folder until Python ends and removes it
def _downloads(run_id: str) -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix=f"hourglass-{run_id[:8]}-")
