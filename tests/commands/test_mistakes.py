"""Wrong input through the real command line: one line that names the key, the value and what is allowed.

Every case is a process of its own that runs what the console script runs, `sys.exit(main(words))`, with its own
standard error and exit code. The processes are forked from a server that has imported the package once, because its
imports take seconds; `test_the_installed_command` starts the installed script itself.
"""

import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml

HEAVY = [
    "hourglass.commands.train",
    "hourglass.pipeline.train",
    "hourglass.pipeline.evaluate",
    "hourglass.tracking.dashboard",
]
HEAVY += ["mlflow", "mlflow.store.tracking.sqlalchemy_store", "sklearn.datasets", "sklearn.neighbors", "pytest"]


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def command(words: list[str], folder: str, environment: dict[str, str]) -> None:
    """The console script in a fresh process, its output in files."""
    os.chdir(folder)
    os.environ.update({"HYDRA_FULL_ERROR": "0", **environment})  # another test may have started the server with 1
    sys.path[:0] = environment.get("PYTHONPATH", "").split(":")  # as Python does when it starts
    for number, name in ((1, "out"), (2, "err")):
        with Path(folder, name).open("w") as file:
            os.dup2(file.fileno(), number)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    from hourglass.commands.main import main

    sys.argv = ["hourglass", *words]
    sys.exit(main())


class Shell:
    """Runs commands in a folder."""

    def __init__(self, context: ForkServerContext, folder: Path) -> None:
        self.context = context
        self.folder = folder

    def __call__(self, *words: str, **environment: str) -> Ended:
        process = self.context.Process(target=command, args=(list(words), str(self.folder), environment))
        process.start()
        process.join(120)
        assert process.exitcode is not None, f"{words} goes on and on"
        return Ended(process.exitcode, *((self.folder / name).read_text() for name in ("out", "err")))


@pytest.fixture(scope="module")
def server(fork_server_of_its_own: None) -> ForkServerContext:  # noqa: ARG001
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(HEAVY)
    return context


@pytest.fixture(scope="module")
def trained(server: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished run, `good`, and files to go wrong with."""
    folder = tmp_path_factory.mktemp("trained")
    ended = Shell(server, folder)("train", *SMALL, "name=good", "data.train_size=100")
    assert ended.code == 0, ended.err
    return folder


@pytest.fixture
def shell(server: ForkServerContext, tmp_path: Path) -> Shell:
    write_files(tmp_path)
    return Shell(server, tmp_path)


SMALL = ("data=digits", "training.epochs=1", "callback=quick")


def write_files(folder: Path) -> None:
    """Files of one's own, sound and broken."""
    x = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    np.savez(folder / "rows.npz", x=x)
    np.savez(folder / "constant.npz", x=np.full((60, 5), 0.5))
    np.savez(folder / "zeros.npz", x=np.zeros((60, 8, 8), dtype=np.uint8))
    np.savez(folder / "few.npz", x=x[:3])
    np.savez(folder / "one_class.npz", x=x, y=np.ones(60, dtype=int))
    (folder / "years.csv").write_text("\n".join(["2019,2020,2021,2022,2023", *(",".join(map(str, row)) for row in x)]))
    (folder / "semicolons.csv").write_text("\n".join(";".join(map(str, row)) for row in x))
    np.savez(folder / "nan.npz", x=np.where(x > 2, np.nan, x))
    (folder / "cut.npz").write_bytes((folder / "rows.npz").read_bytes()[:-300])
    (folder / "not.npz").write_text("no archive")
    header, *lines = ["a,b,c,d,e", *(",".join(map(str, row)) for row in x.tolist())]
    (folder / "table.csv").write_text("\n".join([header, *lines]))
    (folder / "text.csv").write_text("\n".join([header, *lines[:3], "1,2,red,4,5", *lines[3:]]))
    (folder / "ragged.csv").write_text("\n".join([header, *lines[:3], "1,2,3", *lines[3:]]))
    (folder / "empty.csv").write_text("")
    (folder / "text.db").write_text("this is no database\n" * 100)
    np.save(folder / "wide.npy", np.zeros((3, 9), dtype=np.float32))
    np.save(folder / "bright.npy", np.full((3, 1, 8, 8), 255.0))
    np.savez(folder / "bright.npz", x=np.linspace(1, 255, 5 * 64).reshape(5, 8, 8))
    np.save(folder / "square.npy", np.zeros((3, 8, 8, 1), dtype=np.float32))
    (folder / "not.jpg").write_text("no picture")
    np.save(folder / "nan.npy", np.full((3, 1, 8, 8), np.nan))
    np.save(folder / "whole.npy", np.zeros((3, 1, 8, 8), dtype=np.int64))
    np.save(folder / "words.npy", np.array([["a"] * 64] * 3))
    np.save(folder / "objects.npy", np.array([[None] * 64] * 3, dtype=object), allow_pickle=True)
    np.save(folder / "good.npy", np.zeros((3, 1, 8, 8), dtype=np.float32))
    (folder / "not.npy").write_text("no array")


def problem_of(ended: Ended) -> str:
    """The one line that a command complained with."""
    assert "Traceback" not in ended.err + ended.out, ended.err
    lines = ended.err.splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("hourglass: ")
    assert ended.code == 2
    return lines[0].removeprefix("hourglass: ")


def assert_holds(problem: str, *fragments: str) -> None:
    for fragment in fragments:
        assert fragment in problem, f"{fragment!r} is not in {problem!r}"


def runs_in(folder: Path) -> dict[str, str]:
    """Names and statuses of the runs of the folder's store."""
    if not (folder / "mlflow.db").exists():
        return {}
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    found = client.search_runs([each.experiment_id for each in client.search_experiments()])
    return {run.info.run_name: run.info.status for run in found}


TRAIN = {
    # names
    "model=convv": ["model=convv: no such choice", "nearest: conv", "allowed: conv, conv_dae, dictionary"],
    "data=minst": ["data=minst", "nearest: mnist"],
    "noise=[masking,gausian]": ["noise=gausian", "nearest: gaussian"],
    "regularizer=l3": ["regularizer=l3", "nearest: lp, l2, l1"],
    "experiment=quikstart": ["experiment=quikstart", "nearest: quickstart"],
    "modle=conv": ["modle", "nearest: model"],
    "model.codesize=3": ["model.codesize: no such key", "nearest: model.code_size"],
    "training.epoch=3": ["training.epoch: no such key", "nearest: training.epochs"],
    "seeed=3": ["seeed: no such key", "nearest: seed"],
    "+model.colour=red": ["model.colour: no such key", "model takes code_size, depth"],
    "model.activation=swish": ["model.activation must be one of linear, relu", "got 'swish'"],
    "model.bottleneck.activation=swish": ["model.bottleneck.activation must be one of", "got 'swish'"],
    "training.keep=first": ["training.keep must be one of best, last", "got 'first'"],
    "loss.reduction=median": ["loss.reduction must be one of mean, sum", "got 'median'"],
    "regularizer=l1 regularizer.l1.reduction=mean": ["regularizer.l1.reduction must be one of", "got 'mean'"],
    # types
    "model.code_size=abc": ["model.code_size must be a whole number", "got 'abc'"],
    "model.code_size=2.5": ["model.code_size must be a whole number", "got 2.5"],
    "model.widths=128": ["model.widths must be a list", "got 128"],
    "training.epochs=ten": ["training.epochs must be a whole number", "got 'ten'"],
    "optimizer.lr=fast": ["optimizer.lr must be a number of at least 0, got 'fast'"],
    "callback=default callback.baselines.picture=maybe": ["callback.baselines.picture must be true", "got 'maybe'"],
    "tracking.images=false": ["tracking.images has moved", "~callback.pictures", "callback=quick"],
    "tracking.image_count=3": ["tracking.image_count has moved: write callback.pictures.count=..."],
    "callback.pictures.every=3": ["callback.pictures.every: no such key", "callback=pictures has it"],
    "+callback.pictures.every=3": ["callback.pictures has values but was not chosen", "~callback.pictures"],
    "seed=abc": ["seed must be a whole number from 0", "got 'abc'"],
    # ranges
    "model.code_size=-3": ["model.code_size must be at least 1, got -3"],
    "model.depth=-1": ["model.depth must be at least 0, got -1"],
    "model=multilayer model.depth=2 model.widths=[9]": ["model.widths must list one width for each of depth=2", "[9]"],
    "noise=gaussian noise.gaussian.sigma=-1": ["noise.gaussian.sigma must be at least 0", "got -1"],
    "noise=masking noise.masking.share=1.5": ["noise.masking.share must be from 0 to 1, got 1.5"],
    "training.batch_size=0": ["training.batch_size must be at least 1, got 0"],
    "training.epochs=0": ["training.epochs must be at least 1, got 0"],
    "training.patience=0": ["training.patience must be at least 1", "got 0"],
    "training.code_threshold=-1": ["training.code_threshold must be at least 0", "got -1"],
    "optimizer.lr=-1": ["optimizer.lr must be a number of at least 0, got -1"],
    "regularizer=l1 regularizer.l1.weight=-1": ["regularizer.l1.weight must be at least 0", "got -1"],
    "regularizer=kl_sparsity regularizer.kl_sparsity.target=2 model.bottleneck.activation=sigmoid": [
        "regularizer.kl_sparsity.target must be strictly between 0 and 1, got 2"
    ],
    "callback=[quick,pictures] callback.pictures.count=0": ["callback.pictures.count must be at least 1, got 0"],
    "data.validation_size=1790": ["data.validation_size must be at most", "got 1790"],
    "data.train_size=5000": ["data.train_size must be at most", "got 5000"],
    "seed=-1": ["seed must be a whole number from 0", "got -1"],
    # combinations
    "loss=bce data=npz data.path=rows.npz model.output_activation=linear": ["loss", "[0, 1]", "got data from -", "mse"],
    "data=csv data.path=table.csv data.scaling=standard": ["model.output_activation", "data=csv", "linear"],
    "model.output_activation=linear": [
        "model.output_activation",
        "the loss takes reconstructions in [0, 1]",
        "sigmoid",
    ],
    "regularizer=kl_sparsity": ["regularizer kl_sparsity needs a code in [0, 1]", "[-inf, inf]", "activation=sigmoid"],
    "model=conv model.code_size=9": ["model.code_size must be from 1 to 8", "8x1x1", "got 9"],
    "model=conv model.depth=4 model.widths=null": ["model.depth must be from 0 to 3", "8x8", "got 4"],
    "model=conv data=purchases": ["model: a convolution needs images", "(18,)", "model=vanilla"],
    "model=conv model.decoder_padding=[same,same,same,valid]": ["model.decoder_padding", "6x6", "8x8"],
    # files
    "data=npz": ["data.path must be given"],
    "data=npz data.path=nowhere.npz": ["data.path", "nowhere.npz"],
    "data=npz data.path=not.npz": ["data.path must be an npz file", "not.npz"],
    "data=npz data.path=cut.npz": ["data.path must be an npz file", "cut.npz"],
    "data=npz data.path=nan.npz": ["data", "finite", "nan"],
    "data=csv data.path=text.csv": ["data", "column c must hold numbers", "'red'", "line 5", "text.csv"],
    "data=csv data.path=ragged.csv": ["data", "line 5", "ragged.csv"],
    "data=csv data.path=empty.csv": ["data.path", "empty.csv"],
    # keys that nobody reads, or that would do something else
    "+callbacks=[]": ["callbacks: no such key; nearest: callback; nothing reads it"],
    "+scheduler.name=cosine": ["scheduler: no such key"],
    "+hydra.foo=1": ["hydra.foo: no such key"],
    "+sweep.foo=1": ["sweep.foo: no such key; sweep takes engine"],
    "noise=masking +noise.frozn=true": ["noise.frozn: no such key; noise takes frozen, seed"],
    "+trainer.limit_train_batches=0.2": ["trainer.limit_train_batches", "training.max_steps", "data.train_size"],
    "+trainer.gradient_clip_val=1": ["trainer.gradient_clip_val must be null, got 1: use training.gradient_clip"],
    "+trainer.gradient_clip=1": ["trainer.gradient_clip", "takes no such key; nearest: gradient_clip_val"],
    "trainer.devices=0": ["trainer.devices must be a whole number of at least 1", "got 0"],
    "trainer.devices=2 trainer.accelerator=cpu training.batch_size=1": [
        "training.batch_size must be at least",
        "got 1",
    ],
    "trainer.devices=2 trainer.accelerator=cpu bottleneck=batch_top_k": ["trainer.devices=2", "BatchTopK", "whole"],
    "trainer.precision=16-mixed trainer.accelerator=cpu": ["trainer.precision=16-mixed needs a CUDA device"],
    "training.schedule=cosine": ["training.schedule has moved: write schedule="],
    "model.bottleneck.k=5": ["bottleneck=top_k have it"],
    "model._target_=nope.Thing": ["model._target_=nope.Thing can't be imported: there is no module nope"],
    "model._target_=hourglass.models.MLPP": ["hourglass.models has no MLPP; nearest: MLP"],
    "optimizer._target_=torch.optim.NAdam": ["torch.optim.NAdam takes no such key", "~optimizer.fused"],
    "optimizer.fused=maybe": ["optimizer.fused must be true or false or null, got 'maybe'"],
    "~model": ["model: nothing is chosen that could be built"],
    "resume=": ["resume must be text or null, got ''"],
    "model.code_size=1000000000000": ["model: RuntimeError: ", "can't allocate memory"],
    "hydra/launcher=foo": ["hydra/launcher=foo: no such choice", "basic, hourglass"],
    "hydra.run.dir=/proc/nope": ["hydra.run.dir", "/proc/nope"],
    "data=npz data.path=constant.npz": ["data=npz must hold samples that differ", "all the same (0.5)"],
    "data=npz data.path=zeros.npz": ["data=npz must hold samples that differ", "all the same (0)"],
    "data=npz data.path=few.npz loss=mse": ["data=npz must leave this model 2 training samples or more, got 1"],
    "data.test_share=1.0": ["must leave this model 2 training samples or more, got 0", "data.test_share"],
    "data=npz data.path=one_class.npz training=finetune model.output_activation=linear": [
        "needs labels, and data=npz has none: all labels are 1"
    ],
    "data=csv data.path=years.csv": ["data.header must be present or absent", "2019, 2020", "data.header=present"],
    "data=csv data.path=semicolons.csv": ["must hold numbers", "data.delimiter=';'"],
    # surroundings
    "trainer.accelerator=gpu": ["trainer.accelerator=gpu needs a CUDA device", "trainer.accelerator=cpu or auto"],
    "trainer.accelerator=quantum": ["trainer", "quantum"],
    "trainer.precision=17": ["trainer", "17"],
    "tracking.uri=http://127.0.0.1:9": ["tracking.uri=http://127.0.0.1:9 cannot be reached"],
    "tracking.uri=ftp://somewhere": ["tracking.uri must be sqlite:///FILE", "got 'ftp://somewhere'"],
    "tracking.uri=sqlite:///text.db": ["tracking.uri=sqlite:///", "text.db", "not a database"],
    # syntax
    "model=[conv": ["model=[conv"],
    "model.code_size": ["model.code_size must have a value"],
    "name=Übung": ["quotes", "'name=\"Übung\"'"],
    "=3": ["'=3' is no KEY=VALUE"],
    "model=3": ["model=3: no such choice; allowed: conv"],
    "--seed=3": ["--seed=3: no such flag; a key has no dashes: seed=3"],
    "-m +scheduler=a,b": ["scheduler: no such key"],
    "-m seed=range(0)": ["no value"],
}
"""Words of a training that goes wrong, and what the complaint must hold."""


@pytest.mark.long
@pytest.mark.parametrize("words", TRAIN)
def test_train(shell: Shell, words: str) -> None:
    ended = shell("train", *SMALL, *words.split())
    assert_holds(problem_of(ended), *TRAIN[words])
    # Nothing was recorded, not even a database, and nothing was trained.
    assert not (shell.folder / "mlflow.db").exists()
    assert ended.out == ""


APPLY = {
    "evaluate nobody": ["run 'nobody' is not in sqlite:", "run name"],
    "evaluate good model=conv": ["model=conv: evaluate takes data=..., noise=..."],
    "evaluate good data=purchases": ["data=purchases has samples of shape (18,)", "(1, 8, 8)"],
    "evaluate good noise=maskin": ["noise=maskin: no such choice", "nearest: masking"],
    "evaluate good noise=masking noise.masking.share=2": ["noise.masking.share must be from 0 to 1, got 2"],
    "evaluate good data.test_sise=3": ["data.test_sise", "nearest: data.test_size"],
    "encode nobody good.npy out.npy": ["run 'nobody' is not in sqlite:"],
    "encode good nowhere.npy out.npy": ["nowhere.npy can't be read"],
    "encode good not.npy out.npy": ["not.npy can't be read as a .npy file"],
    "encode good rows.npz out.npy": ["rows.npz holds an array of shape (60, 5), the model takes (N, 1, 8, 8)"],
    "encode good objects.npy out.npy": ["objects.npy can't be read as a .npy file"],
    "encode good words.npy out.npy": ["words.npy holds <U1, allowed are uint8 and floats"],
    "encode good whole.npy out.npy": ["whole.npy holds int64, allowed are uint8 and floats"],
    "encode good square.npy out.npy": ["square.npy holds an array of shape (3, 8, 8, 1)", "(N, 1, 8, 8)", "moveaxis"],
    "encode good bright.npy out.npy range=1": ["range must be LOW,HIGH", "got '1'"],
    "encode good not.jpg out.npy": ["not.jpg can't be read as an image"],
    "evaluate good data=npz data.path=bright.npz": [
        "data=npz holds values from 1 to 255",
        "from 0 to 1",
        "range=LOW,HIGH",
    ],
    "encode good wide.npy out.npy": ["wide.npy holds an array of shape (3, 9)", "(N, 1, 8, 8)"],
    "encode good bright.npy out.npy": ["bright.npy holds values from 255 to 255", "from 0 to 1", "uint8"],
    "reconstruct good nan.npy out.npy": ["nan.npy holds values that are not finite"],
    "encode good good.npy nowhere/out.npy": ["nowhere/out.npy can't be written", "no folder nowhere"],
    "decode good wide.npy out.npy": ["wide.npy holds an array of shape (3, 9)", "(N, 64)"],
    "train resume=nobody": ["resume: run 'nobody' is not in sqlite:"],
    "train resume=good model=conv": ["model=conv: a resumed run keeps its choices"],
    "train resume=good training.epoch=3": ["training.epoch: no such key", "nearest: training.epochs"],
    "evaluate good noise=[masking": ["noise=[masking: a [ and its ] don't go together"],
    "evaluate good noise.seed=1,2": ["noise.seed=1,2: a recorded run takes one value"],
    "evaluate good data.root=Ü": ["quotes", "'data.root=\"Ü\"'"],
    "evaluate good noise.seed=yes": ["noise.seed must be a whole number, got 'yes'"],
    "train resume=good training.epochs=yes": ["training.epochs must be a whole number, got 'yes'"],
    "train resume=good +foo.bar=3": ["+foo.bar=3: a recorded run keeps its keys"],
    "train resume=good foo.bar=3": ["foo.bar: no such key in the run's configuration"],
    "train -m resume=good training.epochs=2,3": ["-m trains new models: leave out -m"],
    "train resume=good training.epochs=0": ["training.epochs must be at least 1", "got 0"],
}
"""Words of commands that need a trained run, and what the complaint must hold."""


@pytest.mark.parametrize("words", APPLY)
def test_apply(shell: Shell, trained: Path, words: str) -> None:
    before = runs_in(trained)
    ended = shell(*words.split(), MLFLOW_TRACKING_URI=f"sqlite:///{trained}/mlflow.db")
    assert_holds(problem_of(ended), *APPLY[words])
    assert runs_in(trained) == before == {"good": "FINISHED"}
    assert not (shell.folder / "out.npy").exists()


OTHER = {
    "train --cfg model=conv": ["--cfg must be one of job, hydra, all, got model=conv"],
    "train --shell-completion install=tcsh": ["one of bash, zsh, fish", "install=tcsh"],
    "train -m seed=0,1 --cfg job": ["--cfg shows the configuration of one training: leave out -m"],
    "trian": ["'trian' is no command", "nearest: train", "hourglass --help"],
    "list modles": ["'modles' is no group", "nearest: model"],
    "ui port=abc": ["port must be from 1 to 65535, got 'abc'"],
    "ui port=99999": ["port must be from 1 to 65535, got '99999'"],
    "ui host=0.0.0.0": ["ui takes port=N and uri=URI, got host"],
    "ui uri=http://127.0.0.1:9": ["http://127.0.0.1:9"],
    "encode": ["encode: ", "required: run, IN.npy, OUT.npy", "hourglass encode --help"],
    "evaluate": ["evaluate: ", "required: run"],
    "evaluate good": ["mlflow.db: there is no such database"],
}


@pytest.mark.parametrize("words", OTHER)
def test_other_commands(shell: Shell, words: str) -> None:
    assert_holds(problem_of(shell(*words.split())), *OTHER[words])


def test_a_loss_that_becomes_nan_fails_its_run(shell: Shell) -> None:
    diverge = ("optimizer=sgd", "optimizer.lr=1e30", "loss=mse", "model.output_activation=linear", "name=diverges")
    ended = shell("train", *SMALL, *diverge)
    problem = problem_of(ended)
    assert_holds(problem, "train/loss became", "training diverged", "lower optimizer.lr")
    assert re.search(r"at step \d+", problem)
    assert runs_in(shell.folder) == {"diverges": "FAILED"}


def test_a_resumed_run_stays_the_run_it_was(shell: Shell) -> None:
    """Resumed by its name alone: neither its choices nor their tags become those of an empty command line."""
    from hourglass.tracking import Run

    first = shell("train", *SMALL, "data.train_size=100", "model=multilayer", "noise=masking", "name=first")
    assert first.code == 0, first.err
    before = Run.find("first", f"sqlite:///{shell.folder}/mlflow.db")
    assert [step for step, _ in before.history("val/loss")] == [1]
    again = shell("train", "resume=first", "training.epochs=3")
    assert again.code == 0, again.err
    after = Run.find("first", f"sqlite:///{shell.folder}/mlflow.db")
    assert after.id == before.id
    assert runs_in(shell.folder) == {"first": "FINISHED"}
    assert [step for step, _ in after.history("val/loss")] == [1, 2, 3]
    assert {group: after.tags[group] for group in ("model", "data", "noise", "optimizer")} == {
        "model": "multilayer",
        "data": "digits",
        "noise": "masking",
        "optimizer": "adam",
    }
    assert after.params == before.params  # what MLflow has recorded can't be changed


def test_a_resumed_run_takes_values_of_its_own_choices(shell: Shell) -> None:
    """Hydra, which composes the command line, knows nothing of what the run has chosen."""
    from hourglass.tracking import Run

    assert shell("train", *SMALL, "data.train_size=100", "noise=masking", "name=first").code == 0
    ended = shell("train", "resume=first", "training.epochs=2", "noise.masking.share=1e-1", "optimizer.lr=1e-4")
    assert ended.code == 0, ended.err
    config = Run.find("first", f"sqlite:///{shell.folder}/mlflow.db").read_config()
    assert (config["noise"]["masking"]["share"], config["optimizer"]["lr"]) == (0.1, 1e-4)


@pytest.mark.long
def test_words_stand_on_both_sides_of_a_flag(shell: Shell) -> None:
    shown = shell("train", "data=digits", "--cfg", "job", "model=multilayer", "--resolve", "model.depth=2")
    assert shown.code == 0, shown.err
    model = yaml.safe_load(shown.out)["model"]
    assert (model["depth"], model["widths"]) == (2, None)
    words = (*SMALL, "data.train_size=100", "-m", "hydra/launcher=basic", "seed=0,1")
    assert shell("train", *words).code == 0
    assert len(runs_in(shell.folder)) == 2
    for flag in ("--version", "--help"):
        assert shell(flag).code == 0
        for command in ("train", "evaluate", "encode", "list", "ui"):
            ended = shell(command, flag) if flag == "--help" else shell("train", flag)
            assert (ended.code, ended.err) == (0, ""), command
            assert ended.out.startswith(("usage", "hourglass"))


OWN = """
from torch import nn

from hourglass.models import Autoencoder


class Net(Autoencoder):
    def __init__(self, *, shape, bottleneck, hidden: int, width=8) -> None:
        super().__init__(
            shape=shape,
            encoder=nn.Sequential(nn.Flatten(), nn.Linear(64, hidden)),
            bottleneck=bottleneck(code_size=int(hidden)),
            decoder=nn.Sequential(nn.Linear(hidden, int(width)), nn.Linear(int(width), 64), nn.Unflatten(1, shape)),
            output_activation="sigmoid",
        )
"""


@pytest.mark.long
def test_mistakes_in_an_own_class_are_one_line_too(shell: Shell) -> None:
    (shell.folder / "conf" / "model").mkdir(parents=True)
    (shell.folder / "own_net.py").write_text(OWN)
    (shell.folder / "conf/model/net.yaml").write_text("# A net\n_target_: own_net.Net\nhidden: 5\n")
    (shell.folder / "own_broken.py").write_text("def f(:\n")
    words = (*SMALL, "data.train_size=100", "--config-dir", "conf", "model=net")
    for word, problem in {
        "model.hidden=abc": "model.hidden must be a whole number, got 'abc'",
        "+model.width=abc": "model.width=abc: invalid literal for int() with base 10: 'abc'",
        "model.hidden=-3": "model: ",
        "+model.hiden=3": "model.hiden: own_net.Net takes no such key; nearest: hidden",
        "~model.hidden": "model.hidden must be given",
        "model._target_=own_broken.f": "model._target_=own_broken.f can't be imported: SyntaxError",
    }.items():
        ended = shell("train", *words, word, PYTHONPATH=str(shell.folder))
        assert problem_of(ended).startswith(problem)
    assert shell("train", *words, PYTHONPATH=str(shell.folder)).code == 0
    assert list(runs_in(shell.folder).values()) == ["FINISHED"]


def test_a_sweep_goes_on_past_a_job_that_fails(shell: Shell) -> None:
    words = ["-m", "hydra/launcher=basic", *SMALL, "data.train_size=100", "model.code_size=-1,3"]
    ended = shell("train", *words)
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert "hourglass: model.code_size must be at least 1, got -1" in ended.err.splitlines()
    assert list(runs_in(shell.folder).values()) == ["FINISHED"]


def test_the_traceback_is_there_for_those_who_ask(shell: Shell) -> None:
    ended = shell("train", *SMALL, "model.code_size=-1", HYDRA_FULL_ERROR="1")
    assert ended.code != 0
    assert "Traceback (most recent call last)" in ended.err
    assert "model.code_size must be at least 1, got -1" in ended.err


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["trian"], ["'trian' is no command"]),
        (["train", *SMALL, "model=convv"], ["model=convv: no such choice", "nearest: conv"]),
        (["train", *SMALL, "model.code_size=-3"], ["model.code_size must be at least 1, got -3"]),
    ],
    ids=lambda value: value[-1],
)
def test_the_installed_command(tmp_path: Path, words: list[str], fragments: list[str]) -> None:
    script = shutil.which("hourglass", path=str(Path(sys.executable).parent))
    assert script is not None
    done = subprocess.run([script, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert_holds(problem_of(Ended(done.returncode, done.stdout, done.stderr)), *fragments)
    assert not (tmp_path / "mlflow.db").exists()
