"""Trained models handed to others: a run written to a folder of its own, and such a folder made a run again.

What is written is what a model needs and what tells how good it is, in numbers and text (`hourglass.tracking.shared`).
Left out is what names this machine: paths become file names, the address of the store is dropped. What is pulled is
looked at as every record is (`configuration.trust`) before anything is kept of it.
"""

from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from hourglass.configuration.groups import choices
from hourglass.system.errors import HourglassError
from hourglass.system.files import drafts
from hourglass.tracking import Run, flatten, initialise_store, resolve_uri, search_runs
from hourglass.tracking.machine import GIT_SHA
from hourglass.tracking.shared import CARD, CONFIG, DESCRIPTION, FINAL, NETWORKS, PICTURE, SharedRun, description
from hourglass.trained.classifier import FINETUNE, HEAD
from hourglass.trained.load import SAMPLER, WEIGHTS, Trained

__all__ = ["pull", "shared_tags", "without_paths", "write"]

OTHER_TAGS = ("health", "hourglass_version", GIT_SHA)
"""Tags that go with a model besides the choices of the groups."""


def write(trained: Trained, folder: Path, *, card: str, picture: bool) -> list[Path]:
    """Write a run's model to a folder, which `hourglass.load` takes as it takes a run.

    Args:
        trained: the model with its run.
        folder: where to; it is made, and what it holds under the same names is replaced.
        card: the text of `README.md`.
        picture: whether the run's final picture goes along: it shows samples of the data.

    Raises:
        HourglassError: the folder can't be written.
    """
    run = trained.run
    pictures = run.pictures() if picture else {}
    shown = pictures.get(FINAL) or pictures.get("reconstructions")
    with drafts(folder) as place:
        for name in _networks(trained):
            (place / name).write_bytes(run.read_file(name, Path.read_bytes))
        (place / CONFIG).write_text(yaml.safe_dump(without_paths(trained), sort_keys=False), encoding="utf-8")
        (place / DESCRIPTION).write_text(description(run, tags=shared_tags(run)), encoding="utf-8")
        (place / CARD).write_text(card, encoding="utf-8")
        if shown is not None:
            shown.save(place / PICTURE)
        written = sorted(file.name for file in place.iterdir())
    for name in {PICTURE, *NETWORKS} - set(written):  # of a model that was here before
        (folder / name).unlink(missing_ok=True)
    return [folder / name for name in written]


def shared_tags(run: Run) -> dict[str, str]:
    """The tags that go with a model."""
    tags = run.tags
    return {key: tags[key] for key in (*choices(), *OTHER_TAGS) if key in tags}


def pull(source: SharedRun, *, name: str | None, address: str) -> Run:
    """Make what was shared a run of the store, FINISHED, with its configuration, weights, metrics and picture.

    A sweep does not count it as done: it is marked by the tag `pulled_from`, not by what its configuration computes.

    Args:
        source: a folder's run.
        name: of the new run; None: that which it had.
        address: where it came from.

    Raises:
        HourglassError: a record that Hourglass didn't write; a run of that name is there.
    """
    trained = Trained.from_run(source)
    called, uri = name or source.called, resolve_uri(None)
    initialise_store(uri)
    _check_free(called, uri)
    held: dict[str, Any] = OmegaConf.to_container(trained.config)  # type: ignore[assignment]
    tags = {**shared_tags(source), "kind": "training", "pulled_from": address}
    with Run.start(uri=uri, experiment="hourglass", name=called, tags=tags, params=flatten(held)) as run:
        run.log_dataset(*source.data_set)
        run.log_text(yaml.safe_dump(held, sort_keys=False), CONFIG)
        for network in _networks(trained):
            run.log_bytes(source.read_file(network, Path.read_bytes), network)
        for key, picture in source.pictures().items():
            run.log_image(picture, key, 0)
        run.log_metrics(source.metrics, step=0)
    return run


def _networks(trained: Trained) -> list[str]:
    """The files of weights that a run's use takes; of others, as a discriminator's, only its training had one."""
    fitted = [SAMPLER] if trained.sampler.state_dict() else []
    return [WEIGHTS, *fitted, *([HEAD] if trained.config.training._target_ == FINETUNE else [])]


def _check_free(name: str, uri: str) -> None:
    quote = '"' if "'" in name else "'"
    if quote not in name and search_runs(uri, None, f"attributes.run_name = {quote}{name}{quote}"):
        raise HourglassError(f"a run called {name!r} is there already: give this one another, name=...")


def without_paths(trained: Trained) -> dict[str, Any]:
    """The configuration, as plain values, without where things lie on this machine."""
    held: dict[str, Any] = OmegaConf.to_container(trained.config)  # type: ignore[assignment]
    held["tracking"]["uri"] = None
    return _named(held)  # type: ignore[no-any-return]


def _named(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _named(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_named(value) for value in node]
    if isinstance(node, str) and (node.startswith(("/", "~", "file:")) or "/../" in f"/{node}/"):
        return Path(node).name
    return node
