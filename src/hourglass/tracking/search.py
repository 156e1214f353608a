"""What a store holds: runs by a condition or by what a person calls them, experiments by name; and new ones."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from hourglass.system.errors import HourglassError
from hourglass.system.passwords import redacted
from hourglass.tracking.mlflow_internals import ALREADY_THERE, HIDDEN, PARENT
from hourglass.tracking.retries import RetryingClient
from hourglass.tracking.store import artifact_location, open_client

_PAGE = 1000
_MADE_BY = f"{HIDDEN}hourglass.made_by"


def search_runs(uri: str, experiment: str | None, condition: str) -> list[Any]:
    """MLflow's own records of all runs that meet a condition in its search syntax, latest first.

    Args:
        uri: the resolved tracking URI.
        experiment: name of an experiment; None: all.
        condition: as MLflow's search takes it.
    """
    client = open_client(uri)
    if experiment is None:
        places = list(experiments(client))
    else:
        found = client.get_experiment_by_name(experiment)
        places = [] if found is None else [found.experiment_id]
    return list(_pages(client.search_runs, places, condition, order_by=["start_time DESC"])) if places else []


def digest_of(run: Any) -> str:
    """The digest of the data set that MLflow's own record of a run names; empty where it names none."""
    return next((str(each.dataset.digest) for each in run.inputs.dataset_inputs), "") if run.inputs else ""


def find_run(client: RetryingClient, uri: str, reference: str) -> tuple[Any, str]:
    """MLflow's record of the run with this id, beginning of an id (6 digits or more) or name; and its experiment.

    Raises:
        HourglassError: no such run, or several; the message lists them.
    """
    names = experiments(client)
    quote = '"' if "'" in reference else "'"
    filters = [] if quote in reference else [f"attributes.run_name = {quote}{reference}{quote}"]
    if len(reference) >= 6 and set(reference) <= set("0123456789abcdef"):
        filters.append(f"attributes.run_id LIKE '{reference}%'")
    found = {run.info.run_id: run for text in filters for run in _pages(client.search_runs, list(names), text)}
    if not found:
        raise HourglassError(
            f"run {reference!r} is not in {redacted(uri)}: give an id, its first 6 digits or a run name"
        )
    if len(found) > 1:
        some = [f"{number} ({run.info.run_name})" for number, run in list(found.items())[:5]]
        raise HourglassError(f"run {reference!r} may be any of {len(found)} runs: {', '.join(some)}")
    (entity,) = found.values()
    return entity, names[entity.info.experiment_id]


def experiments(client: RetryingClient) -> dict[str, str]:
    """The names of all experiments by their ids."""
    return {each.experiment_id: each.name for each in _pages(client.search_experiments)}


def experiment_id(client: RetryingClient, uri: str, name: str) -> str:
    """The id of the experiment `name`, which is created if missing; several processes may ask at once.

    Raises:
        HourglassError: the experiment was deleted.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location(uri, name)))
        except MlflowException as error:
            if error.error_code != ALREADY_THERE:
                raise
            found = client.get_experiment_by_name(name)  # another process was faster
    if found.lifecycle_stage != "active":
        raise HourglassError(f"tracking.experiment={name} was deleted: restore it or choose another name")
    return str(found.experiment_id)


def create_run(client: RetryingClient, place: str, name: str, tags: Mapping[str, str]) -> Any:
    """MLflow's record of a new run in the experiment with the id `place`.

    It is made once, also where a server made it and went away before it could say so: the next try finds it by a tag.

    Raises:
        TrackingUnavailable: its parent is not there: another database has taken the place of the one that holds it.
    """
    parent = tags.get(PARENT)
    made_by = uuid.uuid4().hex
    tries = 0

    def find_or_create(once: Any) -> Any:
        nonlocal tries
        tries += 1
        if parent is not None:  # in the same try, which counts only where one database has answered throughout
            once.get_run(parent)
        earlier = once.search_runs([place], f"tags.`{_MADE_BY}` = '{made_by}'") if tries > 1 else []
        return earlier[0] if earlier else once.create_run(place, tags={**tags, _MADE_BY: made_by}, run_name=name)

    return client.retried(find_or_create)


def _pages(search: Any, *arguments: Any, **keywords: Any) -> Iterator[Any]:
    """Everything that a search finds, page after page."""
    token = None
    while True:
        page = search(*arguments, **keywords, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
