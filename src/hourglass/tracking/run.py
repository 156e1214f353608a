"""A run: one training, as MLflow keeps it.

Its status is what happened: FINISHED, FAILED (with traceback and reason) or KILLED. `with` sees to it::

    with Run.start(uri=uri, experiment="hourglass", name="conv", tags={}, params={}) as run:
        run.log_metrics({"train/loss": 0.1}, step=50)
"""

import fcntl
import json
import logging
import math
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from hourglass.system.cache import cache_dir
from hourglass.system.errors import HourglassError
from hourglass.system.passwords import without_passwords
from hourglass.tracking import pictures, weights
from hourglass.tracking.machine import PID, machine_tag
from hourglass.tracking.mlflow_internals import (
    DATA_CONTEXT,
    DIGEST_LENGTH,
    ENTRIES_PER_BATCH,
    IMAGES_MARK,
    PARENT,
    SOURCE,
)
from hourglass.tracking.points import Points
from hourglass.tracking.processes import identity, is_alive
from hourglass.tracking.recorded import PICTURES, WEIGHTS, Recorded
from hourglass.tracking.retries import BRIEFLY, RetryingClient, TrackingUnavailable, at_most, one_line
from hourglass.tracking.search import create_run, experiment_id, find_run
from hourglass.tracking.store import initialise_store, open_client, resolve_uri

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("hourglass")


class Run(Recorded):
    """One MLflow run, opened by `Run.start`, `Run.resume` or `Run.find`; it is read as any other is.

    Attributes:
        described: paths of the pictures that were logged for its description, by this object.
    """

    def __init__(self, *, client: RetryingClient, uri: str, entity: Any, experiment: str) -> None:
        super().__init__(client=client, uri=uri, entity=entity, experiment=experiment)
        self._points = Points(client=client, run_id=self.id)
        self._pictured = IMAGES_MARK.items() <= entity.data.tags.items()
        self._ended = False
        self._ends_late = False
        self.described: list[str] = []

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
        """Opens a new run, RUNNING, in `experiment` (made if missing), under a parent run if one is given.

        Raises:
            TrackingUnavailable: the store cannot be used (see `initialise_store`), or does not hold the parent.
        """
        uri = resolve_uri(uri)
        if parent_id is None:  # where there is a parent, the store is ready
            initialise_store(uri)
        client = open_client(uri)
        every = {**tags, **identity(), **SOURCE}
        if parent_id is not None:
            every[PARENT] = parent_id
        place = experiment_id(client, uri, experiment)
        entity = create_run(client, place, name, every)
        run = cls(client=client, uri=uri, entity=entity, experiment=experiment)
        try:
            run.log_params(params)
        except BaseException as error:
            run.give_up(error)
            raise
        return run

    def start_below(self, *, name: str, tags: Mapping[str, str], params: Mapping[str, str]) -> "Run":
        """Opens a new run, RUNNING, where this one is and as a part of it; raises as `start`."""
        return Run.start(
            uri=self.uri, experiment=self.experiment, name=name, tags=tags, params=params, parent_id=self.id
        )

    @classmethod
    def resume(cls, run_id: str, *, uri: str | None, after: int | None = None) -> Self:
        """Opens an earlier run again, RUNNING; its points continue, its params stay as they are.

        Args:
            run_id: the run.
            uri: of the store.
            after: a step that the run goes on from: points that it has from there on are not written twice.

        Raises:
            HourglassError: no such run (see `find`), or its process still lives.
        """
        run = cls.find(run_id, uri)
        if after is not None:
            run._points.leave_out(run.points_from(after))
            # Of several points the one of the highest step is the last value: an earlier version's would stay it.
            run._ends_late = any(step for step, _ in run.history("test/mse"))
        cache_dir().mkdir(parents=True, exist_ok=True)
        with (cache_dir() / "resume.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # of two terminals at the same moment, one goes on
            run.check_unused()
            run._reopen(run.tags)
        run._files.sweep()
        return run

    def check_unused(self) -> None:
        """HourglassError if a process of this machine is writing the run."""
        tags = self.tags
        if self.status == "RUNNING" and is_alive(tags):
            raise HourglassError(
                f"run {self.id} cannot be resumed: process {machine_tag(tags, PID)} is still writing it"
            )

    def check_held(self) -> None:
        """TrackingUnavailable if the store holds this run no more: another database is in its place."""
        self._client.get_run(self.id)

    @classmethod
    def join(cls, run_id: str, *, uri: str | None) -> Self:
        """Opens a run again, RUNNING, also beside another process that has it open: a study's, of two terminals.

        Raises:
            HourglassError: no such run (see `find`).
        """
        run = cls.find(run_id, uri)
        run._reopen(run.tags)
        return run

    def _reopen(self, tags: dict[str, str]) -> None:
        self.set_tags(identity())  # first: RUNNING under a process that has ended is what `mark_dead_runs` looks for
        self._client.update_run(self.id, status="RUNNING")
        for key in {"failure", "pruned"} & tags.keys():  # what was said of its earlier end
            self._client.delete_tag(self.id, key)

    @classmethod
    def find(cls, reference: str, uri: str | None) -> Self:
        """The run with this id, this beginning of an id (6 digits or more) or exactly this name.

        Raises:
            HourglassError: no such run, or several; the message lists them.
            TrackingUnavailable: the store cannot be used.
        """
        uri = resolve_uri(uri)
        if not uri.startswith("sqlite:"):  # looking for a run makes no file
            initialise_store(uri)
        client = open_client(uri)
        entity, experiment = find_run(client, uri, reference)
        return cls(client=client, uri=uri, entity=entity, experiment=experiment)

    # Recording

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Adds one point per metric; points are written in batches (see `points`) and by `flush`."""
        self._points.add(values, step)

    def log_end_values(self, values: Mapping[str, float], *, steps: int) -> None:
        """Adds what is measured once, at the end, at step 0: the pages draw it as bars over runs.

        Args:
            values: one point per metric.
            steps: that the training took; the step of its points where an earlier version has put them there.
        """
        self.log_metrics(values, steps if self._ends_late else 0)

    def flush(self) -> None:
        """Writes all waiting points; raises TrackingUnavailable if the store stays away."""
        self._points.write()

    def log_params(self, params: Mapping[str, str]) -> None:
        """Records settings, up to the 6000 characters each that MLflow keeps. They can't be changed later."""
        from mlflow.entities import Param

        self._log_entries("params", [Param(key, str(value)) for key, value in params.items()])

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Records or replaces labels, up to 8000 characters each."""
        from mlflow.entities import RunTag

        self._log_entries("tags", [RunTag(key, str(value)) for key, value in tags.items()])

    def log_image(self, image: Any, key: str, step: int) -> None:
        """Records a picture: a PIL image or a uint8 array, (H, W) or (H, W, 1, 3 or 4).

        One whose key begins with `final/` takes the place of the one before it at the same step.
        """
        self._files.put(pictures.encoded(image, key, step))
        if not self._pictured:
            self.set_tags(IMAGES_MARK)
            self._pictured = True

    def log_picture(self, image: Any, name: str) -> str:
        """Writes a picture as the run's file `pictures/NAME.png`, as wide as a description can show it at most.

        Returns:
            its path in the run.
        """
        path = f"{PICTURES}/{name}.png"
        self.log_bytes(pictures.described(image), path)
        self.described.append(path)
        return path

    def log_bytes(self, content: bytes | memoryview, name: str) -> None:
        """Writes the run's file `name`, as a whole or not at all; a path in it is made."""
        self._files.put({name: content})

    def log_text(self, text: str, name: str) -> None:
        """Writes `text` as the run's file `name`."""
        self.log_bytes(text.encode(), name)

    def log_dataset(self, name: str, digest: str, sizes: Mapping[str, int]) -> None:
        """Records the data: name, digest (its first 36 characters), samples per split, `{"train": 55000}`."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"name": name})
        data = Dataset(name, digest[:DIGEST_LENGTH], "hourglass", source, profile=json.dumps(dict(sizes)))
        entry = DatasetInput(data, [InputTag(DATA_CONTEXT, ", ".join(sizes))])
        self._client.log_inputs(self.id, [entry])

    def log_weights(
        self, state_dict: "Mapping[str, Tensor]", name: str = WEIGHTS, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Stores a state dict bit for bit, with words about it (see `weights`)."""
        self.log_bytes(weights.encoded(state_dict, metadata), name)

    # Ending

    def finish(self) -> None:
        """Everything went well: FINISHED."""
        self.flush()
        self._client.set_terminated(self.id, "FINISHED")
        self._ended = True

    def fail(self, error: BaseException) -> None:
        """Ends as FAILED, with `traceback.txt` and the reason in one line as the tag `failure`."""
        self._end("FAILED", traceback.format_exception_only(error)[-1].strip().splitlines()[0][:500], error)

    def kill(self, reason: str) -> None:
        """Ends as KILLED, with `reason` as the tag `failure`; waits 10 s at most for a store that is away."""
        with at_most(BRIEFLY):
            self._end("KILLED", reason)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            if error is not None and not self._ended:
                self.give_up(error)
            elif not self._ended:
                self.finish()
        except BaseException as late:
            self.give_up(late)
            raise

    def give_up(self, error: BaseException) -> None:
        """Ends as KILLED after an interrupt, else as FAILED; raises nothing, because `error` is the one to see."""
        try:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):  # Lightning's SIGTERMException is a SystemExit
                self.kill(f"interrupted by {type(error).__name__}")
            else:  # a store that is away has been waited for
                with at_most(0.0 if isinstance(error, TrackingUnavailable) else math.inf):
                    self.fail(error)
        except Exception as another:
            log.warning("the end of run %s (%s) was not recorded: %s", self.name, self.id, one_line(another))

    def _end(self, status: str, reason: str, error: BaseException | None = None) -> None:
        self._ended = True  # also where it can't be recorded: that is not waited for twice
        steps: dict[str, Callable[[], None]] = {"the last points": self.flush}
        if error is not None:
            trace = without_passwords("".join(traceback.format_exception(error)))
            steps["the traceback"] = lambda: self.log_text(trace, "traceback.txt")
        steps["the reason"] = lambda: self.set_tags({"failure": without_passwords(reason)})
        for what, record in steps.items():
            try:
                record()
            except Exception as another:  # the true status matters more
                log.warning("%s of run %s (%s) could not be recorded: %s", what, self.name, self.id, one_line(another))
        self._client.set_terminated(self.id, status)

    def _log_entries(self, kind: str, entries: list[Any]) -> None:
        for start in range(0, len(entries), ENTRIES_PER_BATCH):
            self._client.log_batch(self.id, **{kind: entries[start : start + ENTRIES_PER_BATCH]})
