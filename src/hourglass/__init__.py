"""Hourglass: a research pipeline for autoencoders.

fitted = hourglass.fit(x, model="conv", noise="masking")
code = fitted.encode(x)
learner = hourglass.module(x, model="conv")  # for a pl.Trainer of your own
table = hourglass.sweep(x, code_size=[2, 8, 32], seed=[0, 1, 2])
model = hourglass.load(run_id)
classes = hourglass.load_classifier(run_id)(x).argmax(1)
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any

from hourglass.system.lazy_packages import defer

if TYPE_CHECKING:
    from pandas import DataFrame

    from hourglass.pipeline.estimator import Hourglass as Hourglass
    from hourglass.pipeline.fitted import Fitted
    from hourglass.pipeline.module import module as module
    from hourglass.trained.classifier import Classifier
    from hourglass.trained.model import TrainedModel

Choice = str | Sequence[str | Sequence[str]] | None
"""A choice of a group by its name, or for a sweep a list of choices, each of which may be several in a tuple."""

defer()  # before any module of ours imports Lightning


def __getattr__(name: str) -> Any:
    """`Hourglass`, the estimator of scikit-learn, and `module`, which are imported when they are asked for."""
    homes = {"Hourglass": "estimator", "module": "module"}
    if name not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"hourglass.pipeline.{homes[name]}"), name)


def fit(
    x: Any,
    y: Any = None,
    *,
    target: Any = None,
    validation: Any = None,
    test: Any = None,
    encoder: Any = None,
    decoder: Any = None,
    model: str | None = None,
    bottleneck: str | None = None,
    prior: str | None = None,
    flow: str | None = None,
    condition: str | None = None,
    noise: str | Sequence[str] | None = None,
    regularizer: str | Sequence[str] | None = None,
    loss: str | None = None,
    sampler: str | None = None,
    optimizer: str | None = None,
    schedule: str | None = None,
    training: str | None = None,
    trainer: str | None = None,
    callback: str | Sequence[str] | None = None,
    experiment: str | None = None,
    code_size: int | None = None,
    depth: int | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    overrides: Sequence[str | Mapping[str, Any]] | Mapping[str, Any] = (),
    tracking: str | None = "mlflow",
    folder: str | PathLike[str] | None = None,
    name: str | None = None,
    study: str | None = None,
) -> "Fitted":
    """Train an autoencoder on arrays, test and record it, as `hourglass train` does on files.

    The process is left as it was: random numbers, loggers, warnings, an application of Hydra around it.

    Args:
        x: the samples, (N, D), (N, H, W) or (N, C, H, W): uint8 grey levels, seen as 0 to 1, or floats, taken as they
            are; a NumPy array, a tensor, lists, a pandas DataFrame, whose columns are scaled as those of a csv file,
            a torch Dataset of items x or (x, y) or a DataLoader, which are read once.
        y: labels (N,), whole numbers; of a DataFrame also the name of their column. The code is measured by them;
            learned from they are with condition="labels" or training="finetune" alone.
        target: what is to be made of each sample, in any shape; None: the sample itself.
        validation: samples, or a pair (x, y), that stand in for `data.validation_size` of x.
        test: the same for `data.test_share` of x.
        encoder: a module of your own, (B, *shape) to (B, ...), without an activation at its end: a copy is trained. Or
            its class, or a `functools.partial` of it with arguments by name: then `load` can build it again.
        decoder: the same, codes to (B, *shape). See `hourglass.models.Modules`.
        model: a choice, as `hourglass list model` shows them; None, here and below: as on the command line, vanilla.
        bottleneck: a choice.
        prior: a choice, of a variational code.
        flow: a choice, of a variational code.
        condition: a choice; `labels` tells encoder and decoder y.
        noise: a choice, or several in a list.
        regularizer: the same.
        loss: a choice.
        sampler: a choice.
        optimizer: a choice.
        schedule: a choice.
        training: a choice.
        trainer: a choice.
        callback: a choice, or several in a list.
        experiment: a recipe, whose choices and values hold where nothing else is said.
        code_size: `model.code_size`.
        depth: `model.depth`.
        epochs: `training.epochs`.
        seed: of weights and noise; None: 0.
        overrides: every other value, as `{"optimizer.lr": 1e-3}` or `["optimizer.lr=1e-3"]`.
        tracking: "mlflow" records a run, in `mlflow.db` of the current directory, or where `tracking.uri` or
            MLFLOW_TRACKING_URI say; "none" or None keeps nothing.
        folder: where callbacks put files besides; None: nowhere that stays.
        name: of the run.
        study: tag that holds the runs of one question together.

    Raises:
        ValueError: a mistake, in one line that names the key, the value and what is allowed; nothing is recorded then.
    """
    from hourglass.pipeline.fit import fit as trained_on

    return trained_on(
        x,
        y,
        target=target,
        validation=validation,
        test=test,
        modules={"encoder": encoder, "decoder": decoder},
        choices={
            "experiment": experiment,
            "model": model,
            "bottleneck": bottleneck,
            "prior": prior,
            "flow": flow,
            "condition": condition,
            "noise": noise,
            "regularizer": regularizer,
            "loss": loss,
            "sampler": sampler,
            "optimizer": optimizer,
            "schedule": schedule,
            "training": training,
            "trainer": trainer,
            "callback": callback,
        },
        values={
            "model.code_size": code_size,
            "model.depth": depth,
            "training.epochs": epochs,
            "seed": seed,
            "name": name,
            "study": study,
        },
        overrides=overrides,
        tracking=tracking,
        folder=folder,
    )


def sweep(
    x: Any,
    y: Any = None,
    *,
    target: Any = None,
    validation: Any = None,
    test: Any = None,
    model: Choice = None,
    bottleneck: Choice = None,
    prior: Choice = None,
    flow: Choice = None,
    condition: Choice = None,
    noise: Choice = None,
    regularizer: Choice = None,
    loss: Choice = None,
    sampler: Choice = None,
    optimizer: Choice = None,
    schedule: Choice = None,
    training: Choice = None,
    trainer: Choice = None,
    callback: Choice = None,
    experiment: Choice = None,
    code_size: int | Sequence[int] | None = None,
    depth: int | Sequence[int] | None = None,
    epochs: int | Sequence[int] | None = None,
    seed: int | Sequence[int] | None = None,
    overrides: Sequence[str | Mapping[str, Any]] | Mapping[str, Any] = (),
    tracking: str | None = "mlflow",
    folder: str | PathLike[str] | None = None,
    name: str | None = None,
    study: str | None = None,
) -> "DataFrame":
    """Train one autoencoder for each combination of values, recorded as a study, as `hourglass train -m` does.

    A list is an axis: `code_size=[2, 8, 32], seed=[0, 1, 2]` trains nine. What is several at once is one value, and
    stands in a tuple or in a list of its own: `noise=["none", ("masking", "gaussian")]` trains two,
    `overrides={"model.widths": (128, 64)}` one. Words, `overrides=["optimizer.lr=1e-3,1e-2"]`, are those of the command
    line.

    The jobs run in processes of their own, as many at a time as there are GPUs or cores, in stacks where that is faster
    (`sweep.workers`, `sweep.max_stack`). The same call again on the same arrays trains only what is missing: also after
    an interruption, and with longer lists.

    Args:
        x: see `fit`, as for every argument that isn't here.
        y: see `fit`.
        target: see `fit`.
        validation: see `fit`.
        test: see `fit`.
        model: a choice, or a list of them as an axis; so are those that follow.
        bottleneck: as `model`.
        prior: as `model`.
        flow: as `model`.
        condition: as `model`.
        noise: as `model`.
        regularizer: as `model`.
        loss: as `model`.
        sampler: as `model`.
        optimizer: as `model`.
        schedule: as `model`.
        training: as `model`.
        trainer: as `model`.
        callback: a choice, or several for every job: it makes no other job.
        experiment: as `model`; axes of a recipe are swept unless they are given here.
        code_size: a number, or a list of them as an axis; so are those that follow.
        depth: as `code_size`.
        epochs: as `code_size`.
        seed: as `code_size`.
        overrides: every other value, where a list is an axis: `{"optimizer.lr": [1e-3, 1e-2]}`.
        tracking: "none" or None keeps nothing, and a second call trains all again.
        folder: where the files of jobs go, what they print for one; None: `runs/`, as on the command line, or with
            `tracking=None` nowhere that stays.
        name: of the runs, beside what tells each from the others.
        study: name of the study.

    Returns:
        one row per job: its values of the axes, `status` (FINISHED, FAILED, or REFUSED for what makes no sense), every
        last metric, the id of its `run`, and the `error`; the id of the study is `frame.attrs["study"]`.

    Raises:
        ValueError: a mistake that all jobs share, in one line; nothing is recorded then.
    """
    from hourglass.sweeps.from_python import sweep as swept

    return swept(
        x,
        y,
        target=target,
        validation=validation,
        test=test,
        choices={
            "experiment": experiment,
            "model": model,
            "bottleneck": bottleneck,
            "prior": prior,
            "flow": flow,
            "condition": condition,
            "noise": noise,
            "regularizer": regularizer,
            "loss": loss,
            "sampler": sampler,
            "optimizer": optimizer,
            "schedule": schedule,
            "training": training,
            "trainer": trainer,
            "callback": callback,
        },
        values={
            "model.code_size": code_size,
            "model.depth": depth,
            "training.epochs": epochs,
            "seed": seed,
            "name": name,
            "study": study,
        },
        names={"model.code_size": "code_size", "model.depth": "depth", "training.epochs": "epochs"},
        overrides=overrides,
        tracking=tracking,
        folder=folder,
    )


def load(run_id: str, *, uri: str | None = None, trust: Sequence[str] = ()) -> "TrainedModel":
    """The trained model of a run, in evaluation mode on the CPU.

    Executes nothing that was pickled, and builds nothing from the run's configuration but Hourglass's own models.

    It takes tensors, arrays and lists: images as floats in the range of the training data or as uint8 grey levels, rows
    in their table's own units. What has another shape, or lies far from the training data, is refused in one line; its
    `model` is the bare autoencoder, which checks and scales nothing. See `hourglass.trained.model`.

    Args:
        run_id: id of the run, a unique beginning of at least 6 digits, or its name; or what `hourglass push` wrote, a
            folder or "hf:USER/REPO", which needs no store.
        uri: tracking server or database; None: MLFLOW_TRACKING_URI, else mlflow.db in the current directory.
        trust: packages of your own, as `("mypkg",)`, whose classes the configuration may name too; so may those of
            the environment variable HOURGLASS_TRUST.

    Raises:
        ValueError: no such run, or one without weights; one that names what is not trusted.
    """
    # Here, so that importing the package stays instant.
    from hourglass.trained.load import Trained

    return Trained.of(run_id, uri=uri, trust=trust).in_own_units


def load_classifier(run_id: str, *, uri: str | None = None, trust: Sequence[str] = ()) -> "Classifier":
    """The classifier that a run of `training=finetune` trained, in evaluation mode on the CPU.

    It takes what the model of `load` takes: `classifier(x)` gives logits (B, classes), `classifier.probabilities(x)`
    their softmax. `load` gives the autoencoder of the same run, whose encoder it is.

    Args:
        run_id: see `load`.
        uri: see `load`.
        trust: see `load`.

    Raises:
        ValueError: no such run, or one that trained no classifier.
    """
    from hourglass.trained.classifier import Classifier
    from hourglass.trained.load import Trained

    return Classifier.of(Trained.of(run_id, uri=uri, trust=trust))
