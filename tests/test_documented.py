"""What the pages tell a reader to type: each command composes, each key and choice exists, each example runs.

`make test` composes every command in this process, and runs examples in Python and what needs no training.
`make test-slow` runs every command as it stands, on few samples. Commands and examples are given a folder as the pages
assume it: runs called RUN, CONDITIONAL, quickstart, generator and classifier, a table, arrays, pictures, own parts.
"""

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from hourglass.commands.main import COMMANDS, main
from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import choices, conf_dir
from hourglass.pipeline.train import train

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    {ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")} | set((ROOT / "docs").glob("*.md"))
)
SMALL = ("training.epochs=1", "callback=quick")
FEW = ("data.train_size=128", "data.test_size=32")
"""What makes any training a matter of seconds; of data sets that are read whole anyway, the samples that are used."""

NOT_RUN = {
    "pip install": "changes the environment",
    "source ": "is the shell's",
    "mlflow models serve": "serves until it is stopped",
    "curl ": "asks such a server",
    "mlflow server": "serves to other machines until it is stopped",
    "export RAY_AUTH_MODE": "needs a cluster",
    "head=": "needs a cluster",
    "ray start": "needs a cluster",
    "srun ": "needs Slurm",
    "sleep ": "waits for a cluster",
    ".ci/run": "runs these tests",
}
"""Lines that no test runs, by how they begin."""

COMPOSED_ONLY = {
    "sweep.address=auto": "needs a Ray cluster",
    "experiment=activations": "needs what experiments/activations/host.py writes",
    "experiment=transcoder": "needs the same",
    "hydra/launcher=submitit_slurm": "needs Slurm",
    "tracking.uri=http://HOST": "needs a server",
    "hf:": "needs the Hub",
    "./people": "needs what another command of the page writes",
    "data.dataset={_target_:torchvision.datasets.KMNIST": "fetches it",
    "FILE": "stands for a file of one's own",
    "mine/": "a folder of such files",
}
"""Words of commands that are composed and not run."""


class Command(NamedTuple):
    """A line that begins with hourglass or make, as a page has it."""

    page: Path
    text: str
    environment: tuple[tuple[str, str], ...]
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.name}: {self.text}"


class Block(NamedTuple):
    """A fenced block."""

    page: Path
    language: str
    title: str
    """The file that it is; empty for examples."""
    text: str


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """The fenced blocks of a page."""
    found = re.findall(
        r"^```(\w*)(?: title=\"([^\"\n]+)\")?\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S
    )
    return tuple(Block(page, language, title, text) for language, title, text in found)


@cache
def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def spans(text: str) -> list[str]:
    """Code within lines."""
    return [code.replace("\n", " ") for code in re.findall(r"`([^`]+)`", text)]


def read(page: Path, line: str) -> Command | None:
    """A line as the shell reads it; None for what no command is."""
    inner = re.search(r"\$\((hourglass [^)]*)\)", line)  # eval "$(hourglass ...)"
    if not inner and not re.match(r"([A-Z_]+=\S* )*(hourglass|make)\b", line):
        return None
    words = shlex.split(inner[1] if inner else line, comments=True)
    environment = []
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        name, _, value = words.pop(0).partition("=")
        environment.append((name, value))
    return Command(page, line.partition(" #")[0].strip(), tuple(environment), tuple(words))


@cache
def commands(page: Path) -> tuple[Command, ...]:
    """Every command of a page, in blocks and within lines."""
    found = []
    for block in blocks(page):
        for line in block.text.splitlines() if block.language in ("", "sh", "bash", "shell", "console") else ():
            command = read(page, line)
            if command is not None:
                found.append(command)
            elif re.match(r"[a-z./]", line) and not re.match(r"(src/|[a-z_]+/ |[a-z_./]+ {2,}|job |min )", line):
                assert line.startswith(tuple(NOT_RUN)), f"{page.name}: is this a command, and who runs it? {line}"
    for code in spans(prose(page)):
        if re.match(r"(make [a-z]|hourglass (%s)\b)" % "|".join(COMMANDS), code):  # noqa: UP031
            found.append(read(page, code))
    return tuple(dict.fromkeys(command for command in found if command is not None))


def all_commands(*, slow: bool = False) -> list[Command]:
    """Those of all pages, each once, but for those that only show or that can't be run here."""
    found = {command.words: command for page in reversed(PAGES) for command in commands(page)}
    return [command for command in found.values() if not slow or is_run(command)]


def is_run(command: Command) -> bool:
    """Whether the slow test runs it: what uses a trained model, the quick one does."""
    own = command.words[0] == "hourglass" and command.words[1] not in ("encode", "decode", "reconstruct")
    own &= len(command.words) > 2 or command.words[1] in ("train", "list", "runs", "ui")  # others are only named
    return own and not any(word.startswith(tuple(COMPOSED_ONLY)) for word in command.words)


def split(command: Command) -> tuple[list[str], list[str]]:
    """The flags of `hourglass train`, each with its value, and the other words."""
    flags, words, left = [], [], list(command.words[2:])
    while left:
        word = left.pop(0)
        if word == "--cfg":
            flags += [word, left.pop(0)]
        elif word.startswith("-"):
            flags.append(word)
        else:
            words.append(word)
    return flags, words


def thinned(word: str, count: int) -> str:
    """An axis of a sweep with so many of its values, or the least of a range; any other word as it is."""
    key, equals, value = word.partition("=")
    if count == 1 and (within := re.search(r"(?:range|interval)\(([^,]+),", value)):
        return f"{key}={within[1]}"
    return word if not equals or re.search(r"[(\[{]", value) else f"{key}={','.join(value.split(',')[:count])}"


# What the pages say, without running it


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_composes(page: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in commands(page):
        program, *words = command.words
        if program == "make":
            targets = [word for word in words if "=" not in word]
            subprocess.run(["make", "-n", *targets], cwd=ROOT, check=True, capture_output=True)
        elif words[0] == "train" and "--shell-completion" not in words:
            _, given = split(command)
            with contextlib.chdir(folder):
                composed(*(thinned(word, 1) for word in given))
        elif words[0] == "evaluate":
            composed(*(word for word in words[2:] if "=" in word))  # else a folder, which a test that runs it reads
        elif words[0] == "list":
            with contextlib.chdir(folder):
                assert main(words) == 0, command
            assert capsys.readouterr().out
        else:
            assert words[0] in COMMANDS or words[0].startswith("--"), command


@cache
def composed(*words: str) -> None:
    """Compose a configuration, each once."""
    compose_config(words)


def test_commands_are_found() -> None:
    found = all_commands()
    assert len(found) > 100
    assert len([command for command in found if is_run(command)]) > 80
    assert {command.words[1] for command in found if command.words[0] == "hourglass"} >= set(COMMANDS) - {"ui"}
    assert all(commands(ROOT / "docs" / f"{name}.md") for name in ("composing", "own_data", "sweeps", "types"))


def test_every_choice_that_makes_a_type_has_its_place() -> None:
    text = (ROOT / "docs" / "types.md").read_text(encoding="utf-8")
    for group in ("model", "bottleneck", "prior", "flow", "noise", "regularizer", "training", "sampler"):
        for name in choices()[group].keys() - {"none", "normal", "linear", "backprop", "closed_form", "conv_dae"}:
            assert re.search(rf"\b{group}='?\[?([a-z0-9_]+,)*{name}\b", text), f"docs/types.md: no {group}={name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_choice_and_key_in_the_text_exists(page: Path) -> None:
    for code in spans(prose(page)):
        if re.fullmatch(r"'?[~+]?[a-z_.]+=[^ ].*", code) and "(" not in code:
            check_words(code, where=page.name)


def test_every_type_of_the_table_exists() -> None:
    cells = [row.split(" | ")[1] for row in prose(ROOT / "README.md").splitlines() if row.startswith("| ")]
    found = []
    for cell in cells:
        group = ""
        for code in spans(cell):
            if "=" in code and "(" not in code:
                group = check_words(code, where=cell)
                found += [word for word in shlex.split(code) if word.partition("=")[0] in choices()]
            elif re.fullmatch(r"[a-z_]+", code):  # another choice of the group named before
                check_words(f"{group}={code}", where=cell)
                found.append(f"{group}={code}")
    told = {f"{group}={name}" for group in ("bottleneck", "noise") for name in choices()[group]}
    assert told - set(found) <= {"noise=none", "bottleneck=linear"}


def check_words(text: str, *, where: str) -> str:
    """Assert that what the words of a line set is there; returns the group of the last one."""
    group = ""
    for word in shlex.split(text):
        key, _, value = word.lstrip("~+").partition("=")
        group = key
        if key in choices():
            for name in value.strip("[]").split(","):
                assert name in choices()[key] or name in ("NAME", "..."), f"{where}: {text}: no {key}={name}"
        elif key not in ("range", "uri", "port", "picture", "private"):
            assert key in known_keys(), f"{where}: {text}: nothing reads {key}"
    return group


@cache
def known_keys() -> set[str]:
    """Every key of every choice."""
    found = {"trainer.callbacks", "hydra/launcher", "hydra/sweeper"}
    for path in conf_dir().rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        package = re.match(r"# @package (\S+)", text)
        prefix = package[1] if package else ".".join(path.relative_to(conf_dir()).parts[:-1])
        found |= set(dotted(yaml.safe_load(text), "" if prefix in ("_global_", "") else f"{prefix}."))
    return found


def dotted(node: object, prefix: str) -> Iterator[str]:
    """The keys of a mapping, joined by dots."""
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f"{prefix}{key}"
        yield from dotted(value, f"{prefix}{key}.")


def test_an_unknown_key_and_an_unknown_choice_are_seen() -> None:
    with pytest.raises(AssertionError, match=r"nothing reads model\.cod_size"):
        check_words("model.cod_size=3", where="here")
    with pytest.raises(AssertionError, match="no noise=maskin"):
        check_words("'noise=[maskin,gaussian]'", where="here")


# The folder that the pages assume


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files under the names that the pages use."""
    place = tmp_path_factory.mktemp("documented")
    draw = np.random.default_rng(0)
    grey = draw.integers(0, 256, (120, 1, 28, 28), dtype=np.uint8)
    np.savez(place / "images.npz", x=grey, y=np.arange(120) % 10)
    np.save(place / "images.npy", grey[:4])
    np.save(place / "grey_levels.npy", grey[:4].astype(float))
    (place / "images-idx3-ubyte.gz").write_bytes(idx(grey[:, 0]))
    for number, image in enumerate(grey[:60, 0]):
        (place / "mine" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / "mine" / "ab"[number % 2] / f"{number}.png")
    (place / "shards").mkdir()
    hidden = draw.random((200, 16)).astype(np.float16)
    np.save(place / "shards" / "train_0.npy", hidden[:160])
    np.save(place / "shards" / "test_0.npy", hidden[160:])
    for name, rows in (("before", hidden), ("after", hidden[:, ::2] ** 2)):
        (place / name).mkdir()
        np.save(place / name / "0.npy", rows)
    np.savez(place / "pairs.npz", x=grey, colour=grey.repeat(3, axis=1))
    np.savez(place / "signals.npz", x=draw.random((80, 2, 16)).astype(np.float32))
    rows = "\n".join(f"{a:.3f},{b:.3f},{int(a < b)}" for a, b in draw.random((80, 2)))
    (place / "table.csv").write_text(f"width,height,kind\n{rows}\n", encoding="utf-8")
    (place / "test.csv").write_text(f"width,height,kind\n{rows}\n", encoding="utf-8")
    pd.read_csv(place / "table.csv").to_parquet(place / "table.parquet")
    np.save(place / "x.npy", grey)
    np.save(place / "y.npy", np.arange(120) % 10)
    for page in PAGES:
        for block in blocks(page):
            if block.title:
                (place / block.title).parent.mkdir(parents=True, exist_ok=True)
                (place / block.title).write_text(block.text, encoding="utf-8")
    return place


def idx(images: np.ndarray) -> bytes:
    """MNIST's format, gzipped."""
    import gzip

    return gzip.compress(bytes([0, 0, 8, images.ndim]) + np.array(images.shape, ">i4").tobytes() + images.tobytes())


@pytest.fixture(scope="session")
def trained(folder: Path) -> Path:
    """The same folder, with the runs that the pages speak of in its own mlflow.db."""
    common = (*SMALL, "data=npz", f"data.path={folder}/images.npz", "trainer.accelerator=cpu")
    with there(folder):
        for words in (
            ("name=RUN",),
            ("experiment=quickstart", "trainer=exact"),
            ("bottleneck=gaussian", "name=generator"),
            ("bottleneck=gaussian", "condition=labels", "name=CONDITIONAL"),
            ("training=finetune", "start=RUN", "training.frozen=false", "name=classifier"),
        ):
            config, made = compose_config([*words, *common])
            train(config, choices=made, folder=folder / "runs")
    return folder


@contextlib.contextmanager
def there(folder: Path) -> Iterator[None]:
    """In a folder, whose runs are those of its own mlflow.db."""
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


# What runs at once


@pytest.mark.long
def test_every_example_in_python_runs(trained: Path) -> None:
    examples = [block for page in PAGES for block in blocks(page) if block.language == "python" and not block.title]
    assert len(examples) > 4
    with there(trained):
        for example in examples:
            exec(compile(example.text, example.page.name, "exec"), {})  # noqa: S102 - our own pages


def test_trained_models_are_used_as_written(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    used = [command for command in all_commands() if command.words[1] in ("encode", "decode", "reconstruct")]
    assert len(used) > 4
    with there(trained):
        for command in used:
            assert main(list(command.words[1:])) == 0, f"{command}: {capsys.readouterr().err}"


# Everything, as it stands


@pytest.mark.slow
@pytest.mark.parametrize("command", all_commands(slow=True), ids=lambda command: " ".join(command.words[1:])[:100])
def test_every_command_runs(command: Command, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = list(command.words[1:])
    if words[0] == "ui":
        check_dashboard(words, trained)
    elif words[0] == "train":
        words = ["train", *reduced(command)]
    if "-m" in words:
        command_line = [sys.executable, "-m", "hourglass", *words]
        own = {**os.environ, **dict(command.environment)}
        own.pop("MLFLOW_TRACKING_URI", None)
        done = subprocess.run(command_line, cwd=trained, env=own, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    elif words[0] != "ui":  # in this process, which has imported everything already
        with there(trained), pytest.MonkeyPatch.context() as patch:
            for name, value in command.environment:
                patch.setenv(name, value)
            assert main(words) == 0, f"{command}\n{' '.join(words)}\n{capsys.readouterr().err}"
        assert capsys.readouterr().out


def reduced(command: Command) -> list[str]:
    """The words of a training with fewer samples, epochs and points of its axes."""
    flags, words = split(command)
    words = [f"{word}_again" if word.startswith("name=") else word for word in words]  # names that examples load by
    if {"--shell-completion", "--cfg", "--help"} & set(flags):
        return list(command.words[2:])
    if any(word.startswith("resume=") for word in words):
        return [*words, "training.epochs=2"]
    if "-m" in flags:
        axes = [word for word in words if "," in word and not re.search(r"[(\[]", word)]
        words = [thinned(word, 2 if word in axes[:1] else 1) if word in axes else word for word in words]
        words += ["hydra.sweeper.n_trials=2"] if "hydra/sweeper=hourglass_optuna" in words else []
    few = (*FEW, "data.validation_size=64") if "data.path" not in " ".join(words) else ()
    few = (*few, "data.test_size=100") if "generation" in " ".join(words) else few
    few = (*few, "sampler.codes=100") if {"sampler=slerp", "sampler=neighbours"} & set(words) else few
    epochs = ("training.epochs=3", "training.pretrain_epochs=1") if "training=layerwise" in words else SMALL[:1]
    small = SMALL[1:] if not any(re.match(r"~?callback\b", word) for word in words) else ()
    closed = any(word in words for word in ("model=pca", "model=mean", "model=identity"))
    return [*flags, *words, *(() if closed else epochs), *small, *few]


def check_dashboard(words: list[str], folder: Path) -> None:
    """That the dashboard comes up, and goes with Ctrl-C."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [*(word for word in words if not word.startswith("port=")), f"port={port}"]
    command = [sys.executable, "-m", "hourglass", *words]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        assert str(port) in served.stdout.readline()
        served.send_signal(signal.SIGINT)
        assert served.wait(60) in (0, 130)


# Beside other libraries

ELSEWHERE = {
    "pythae": """
        AE VAE BetaVAE DisentangledBetaVAE BetaTCVAE FactorVAE IWAE MIWAE PIWAE CIWAE VAE_LinNF VAE_IAF VAMP SVAE
        PoincareVAE WAE_MMD INFOVAE_MMD Adversarial_AE VAEGAN MSSSIM_VAE VQVAE HRQVAE RAE_L2 RAE_GP HVAE RHVAE
        NormalSampler GaussianMixtureSampler TwoStageVAESampler MAFSampler IAFSampler VAMPSampler RHVAESampler
        HypersphereUniformSampler PoincareDiskSampler PixelCNNSampler
    """.split(),  # noqa: SIM905
    "PyTorch-VAE": """
        HVAE LVAE IWAE SWAE MIWAE VQVAE DFCVAE DIPVAE BetaVAE InfoVAE WAE_MMD VampVAE GammaVAE MSSIMVAE JointVAE
        BetaTCVAE FactorVAE LogCoshVAE VanillaVAE ConditionalVAE CategoricalVAE
    """.split(),  # noqa: SIM905
    "SAELens and dictionary_learning": [
        *("standard, L1", "top-k", "batch top-k", "JumpReLU", "gated", "Matryoshka", "Matryoshka batch top-k"),
        *("p-annealing", "transcoder", "resampling", "auxiliary k", "decoder's bias off the input", "tied start"),
        *("unit norm", "activation store", "loss recovered"),
    ],
    "Others": [
        "MAE, solo-learn's MAE",
        *(
            f"vector-quantize-pytorch: {name}"
            for name in ("VectorQuantize", "rotation trick", "ResidualVQ", "FSQ", "LFQ", "image feature maps")
        ),
        *("diffusers: AutoencoderKL", "diffusers: VQModel"),
    ],
}
"""By section of docs/libraries.md the types; of pythae `models` and `samplers`, of PyTorch-VAE `vae_models`."""


def rows_of_libraries(section: str) -> list[list[str]]:
    """The rows of a section's tables, without their heads."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", prose(ROOT / "docs/libraries.md"), re.M | re.S)
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines() if line.startswith("| ")]
    return [row for row in cells if row[1] != "here"]


def test_the_lists_of_other_libraries_are_whole() -> None:
    models = [name for name in ELSEWHERE["pythae"] if not name.endswith("Sampler")]
    assert (len(models), len(ELSEWHERE["pythae"]) - len(models), len(ELSEWHERE["PyTorch-VAE"])) == (26, 10, 21)


@pytest.mark.parametrize("section", ELSEWHERE)
def test_every_type_of_another_library_has_a_row_and_a_choice(section: str) -> None:
    rows = rows_of_libraries(section)
    assert all(len(row) == 3 for row in rows)
    names = [row[0] for row in rows]
    assert len(set(names)) == len(names)
    assert set(ELSEWHERE[section]) <= set(names)
    for name, here, remark in rows:
        words = spans(here)
        assert bool(words) != remark.startswith("missing"), f"{name}: a choice, or said to be missing"
        for code in words:
            check_words(code, where=name)
            assert {word.partition("=")[0] for word in shlex.split(code)} & set(choices()), f"{name}: {code}: no choice"
    assert [row[0] for row in rows if row[2].startswith("missing")] == []
