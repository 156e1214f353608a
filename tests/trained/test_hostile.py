"""What a stranger may have written: every case is refused in one line, and nothing of it runs.

A canary is a file that a case would make if anything in it were called.
"""

import copy
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from omegaconf import OmegaConf
from PIL import Image

import hourglass
from hourglass.configuration import trust
from hourglass.configuration.composition import compose_config
from hourglass.data import idx, image_folder, npz
from hourglass.data.fetch import DataCorruptError
from hourglass.pipeline.compose import compose
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run, initialise_store
from hourglass.tracking.files import Files
from hourglass.tracking.processes import identity, mark_dead_runs
from hourglass.trained import arrays
from hourglass.trained.load import Trained

SECRET = "what only this machine knows"  # noqa: S105 - no password
SPLITS: dict[str, Any] = {
    "test_share": 0.2,
    "validation_size": 1,
    "validation": "split",
    "split_seed": 0,
    "train_size": None,
    "test_size": None,
    "order_seed": 0,
    "resident": "auto",
}


class Store:
    """A store whose runs a stranger has written, from a run of ours."""

    def __init__(self, folder: Path) -> None:
        self.uri = f"sqlite:///{folder}/mlflow.db"
        initialise_store(self.uri)
        config, _ = compose_config(["data=digits", "model.code_size=3"])
        parts = compose(config)
        self.config: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        self.weights = parts.model.state_dict()
        self.metadata = parts.data.metadata
        self.count = 0

    def leave(
        self,
        config: dict[str, Any] | bytes | None = None,
        metadata: dict[str, str] | None = None,
        files: dict[str, bytes] | None = None,
    ) -> Run:
        """A finished run with this configuration, these words about its weights, these files."""
        self.count += 1
        run = Run.start(uri=self.uri, experiment="hourglass", name=f"stranger {self.count}", tags={}, params={})
        run.log_weights(self.weights, metadata=self.metadata if metadata is None else metadata)
        text = config if isinstance(config, bytes) else yaml.safe_dump(config or self.config).encode()
        for name, content in {"config.yaml": text, **(files or {})}.items():
            path = (
                Path(self.uri.removeprefix("sqlite:///")).parent / "mlartifacts/hourglass" / run.id / "artifacts" / name
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        run.finish()
        return run


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def refused(call: Callable[[], object], canary: Path, *words: str) -> str:
    """What a call that must fail says, in one line that holds these words."""
    with pytest.raises((HourglassError, ValueError, DataCorruptError)) as error:
        call()
    said = str(error.value)
    assert not canary.exists()
    assert said.isprintable(), said
    assert SECRET not in said
    assert "Traceback" not in said
    for word in words:
        assert word in said, said
    return said


# Configurations

Change = Callable[[dict[str, Any], str], object]


def at(key: str, value: Any) -> Change:
    """Put a value at a key; `CANARY` in it becomes the canary's path."""

    def change(config: dict[str, Any], canary: str) -> None:
        *above, last = key.split("/")
        node = config
        for name in above:
            node = node[name]
        node[last] = json.loads(json.dumps(value).replace("CANARY", canary))

    return change


def call(target: str, *arguments: Any, **settings: Any) -> dict[str, Any]:
    return {"_target_": target, **({"_args_": list(arguments)} if arguments else {}), **settings}


TOUCH = ["touch", "CANARY"]
RUN = call("mlflow.utils.process._exec_cmd", cmd=TOUCH)

CONFIGS: dict[str, tuple[Change, str]] = {
    # What a node calls
    "a command for a bottleneck": (at("model/bottleneck", RUN), "model.bottleneck._target_"),
    "one that is made later": (at("model/bottleneck", {**RUN, "_partial_": True}), "model.bottleneck._target_"),
    "one in a mapping": (at("model/widths", {"a": {"b": RUN}}), "model.widths.a.b._target_"),
    "one in a list": (at("model/widths", [[RUN]]), "model.widths[0][0]._target_"),
    "one as an argument": (at("model/_args_", [RUN]), "model._args_"),
    "one in functools.partial": (
        at("model/bottleneck", call("functools.partial", call("hydra.utils.get_method", path="os.system"))),
        "model.bottleneck._target_",
    ),
    "one under a key of the person's own": (at("study", RUN), "study._target_"),
    "one under a new key": (at("extra", {"more": RUN}), "extra.more._target_"),
    "one among the noise": (at("noise/harmless", RUN), "noise.harmless._target_"),
    "one among the penalties": (at("regularizer/l1", RUN), "regularizer.l1._target_"),
    "one for data": (at("data", RUN), "data._target_"),
    "one for an optimizer": (at("optimizer/_target_", "os.system"), "optimizer._target_"),
    "one for the recorder": (at("tracking/uri", RUN), "tracking.uri._target_"),
    "os.system": (at("model", call("os.system", "touch CANARY")), "model._target_"),
    "builtins.exec": (at("model", call("builtins.exec", "open('CANARY', 'w')")), "model._target_"),
    "by way of one of our modules": (
        at("model/bottleneck", call("hourglass.pipeline.recorder.subprocess.run", TOUCH)),
        "hourglass.pipeline.recorder.subprocess.run",
    ),
    "by way of a library": (at("model", call("torch.utils.data.os.system", "touch CANARY")), "model._target_"),
    "Hydra itself": (at("model", call("hydra.utils.instantiate", RUN)), "model._target_"),
    "a helper of ours": (at("model", call("hourglass.configuration.build.build", RUN)), "model._target_"),
    "an attribute of a class of ours": (at("model/_target_", "hourglass.models.MLP.__init__"), "model._target_"),
    "a class of ours, of another kind": (at("model/bottleneck", {"_target_": "hourglass.models.MLP"}), "TopK"),
    "a data source for a model": (at("model/_target_", "hourglass.data.npz"), "hourglass.models.MLP"),
    "a noise in the place of all noise": (at("noise/_target_", "hourglass.noise.Masking"), "noise.Corruption"),
    # How it is written
    "blanks around a name": (at("model/_target_", " hourglass.models.MLP "), "model._target_"),
    "a line end behind it": (at("model/_target_", "hourglass.models.MLP\n"), "'hourglass.models.MLP\\n'"),
    "capitals": (at("model/_target_", "Hourglass.Models.MLP"), "model._target_"),
    "letters that look the same": (at("model/_target_", "hourglass.mоdels.MLP"), "model._target_"),
    "two dots": (at("model/_target_", "hourglass..models.MLP"), "model._target_"),
    "a relative name": (at("model/_target_", ".models.MLP"), "model._target_"),
    "a name of 100,000 letters": (at("model/_target_", "os." + "a" * 100_000), "model._target_"),
    "a list for a name": (at("model/_target_", ["os.system"]), "model._target_"),
    "a mapping for a name": (at("model/_target_", {"_target_": "os.system"}), "model._target_"),
    "a number for a name": (at("model/_target_", 5), "model._target_"),
    "no name": (at("model/_target_", None), "model._target_"),
    "an unknown word of Hydra's": (at("model/_call_", "os.system"), "model._call_"),
    "parts that are not made": (at("model/_recursive_", False), "model._recursive_"),
    "positions": (at("model/bottleneck/_args_", [5]), "model.bottleneck._args_"),
    "text for a switch": (at("model/bottleneck/_partial_", "yes"), "model.bottleneck._partial_"),
    "a word of Hydra's without a name": (at("noise/masking", {"_convert_": "all"}), "noise.masking._convert_"),
    # What would be filled in
    "the environment": (at("name", "${oc.env:HOSTILE_SECRET}"), "name"),
    "the environment, in a list": (at("model/widths", ["${oc.env:HOSTILE_SECRET}"]), "model.widths[0]"),
    "the environment, in a key": (at("model/${oc.env:HOSTILE_SECRET}", 1), "a key of model"),
    "the environment, escaped": (at("name", "\\${oc.env:HOSTILE_SECRET}"), "name"),
    "another key": (at("study", "${model.code_size}"), "study"),
    "half of it": (at("study", "a ${ b"), "study"),
    # What is no configuration
    "no model": (lambda config, _: config.pop("model"), "model must be there"),
    "text for a model": (at("model", "hourglass.models.MLP"), "model must be there"),
    "a list for the training": (at("training", ["hourglass.training.Backprop"]), "training must be there"),
    "nothing for the noise": (at("noise", None), "noise must be there"),
    "no number": (at("optimizer/lr", float("nan")), "optimizer.lr"),
    "a number of 300 digits": (at("model/code_size", 10**300), "model.code_size"),
    "a key of another line": (at("model/a\nb", 1), "a key of model"),
    "a key that steers a terminal": (at("model/\x1b[2J", 1), "a key of model"),
    "a key of markup": (at("noise/<script>alert(1)<", {}), "a key of noise"),
    "a key that is a path": (at("regularizer/..%..%etc".replace("%", "\u2215"), 1), "a key of regularizer"),
    "a folder to write to": (at("trainer/default_root_dir", "CANARY"), "trainer.default_root_dir"),
    # What no machine has room for
    "a code of 10^12 units": (at("model/code_size", 10**12), "weights.safetensors"),
    "a code of -5 units": (at("model/code_size", -5), "model.code_size"),
    "another size than the weights": (at("model/code_size", 4), "weights.safetensors"),
    "a width of 10^15": (lambda config, _: config["model"].update(depth=1, widths=[10**15]), "stranger"),
    "10^9 layers": (at("model/depth", 10**9), "model.depth=1000000000"),
    "activations by another name": (at("model/activation", "__class__"), "model.activation"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_configurations(case: str, store: Store, canary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTILE_SECRET", SECRET)
    change, key = CONFIGS[case]
    config = copy.deepcopy(store.config)
    change(config, str(canary))
    run = store.leave(config)
    refused(lambda: hourglass.load(run.id, uri=store.uri), canary, key)


@pytest.mark.parametrize("part", trust.ONLY_TRAINING)
def test_what_only_a_training_builds_is_not_read_by_others(part: str, store: Store, canary: Path) -> None:
    """Own callbacks need no trust to use a model that was trained with them; to go on with its training they do."""
    config = copy.deepcopy(store.config)
    at(f"trainer/{part}", [RUN])(config, str(canary))
    run = store.leave(config)
    assert hourglass.load(run.id, uri=store.uri).code_size > 0
    assert not canary.exists()
    refused(lambda: trust.recorded(run, training=True), canary, f"trainer.{part}[0]._target_")


TEXTS: dict[str, bytes] = {
    "an object of Python's": b"model: !!python/object/apply:os.system ['touch canary']",
    "a name of Python's": b"model: !!python/name:os.system",
    "nothing": b"",
    "text": b"model",
    "a list": b"- model",
    "an open bracket": b"model: [",
    "a zero": b"model: \0",
    "no text": b"\xff\xfe\xfa",
    "a billion laughs": b"a: &a [x, x]\n"
    + b"".join(b"%c: &%c [*%c, *%c]\n" % (97 + n, 97 + n, 96 + n, 96 + n) for n in range(1, 26)),
    "a mapping that holds itself": b"model: &a {b: *a}",
    "a key that is a mapping": b"? {a: 1}\n: 2",
    "many levels": b"a: " + b"[" * 50_000 + b"]" * 50_000,
    "many levels of lines": b"\n".join(b" " * n + b"a:" for n in range(300)),
    "many values": b"a: [" + b"1," * 100_000 + b"]",
    "many bytes": b"a: " + b"x" * 2_000_000,
    "a number of 100,000 digits": b"a: " + b"9" * 100_000,
    "a date": b"model: 2020-01-01",
    "bytes": b"model: !!binary AAAA",
    "a set": b"model: !!set {a, b}",
}


@pytest.mark.parametrize("case", TEXTS)
def test_texts_that_are_no_configuration(
    case: str, store: Store, canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(canary.parent)
    run = store.leave(TEXTS[case])
    refused(lambda: hourglass.load(run.id, uri=store.uri), canary, f"run {run.name}")


# Weights and what is said of them

METADATA: dict[str, dict[str, str]] = {
    "a shape of 10^12": {"shape": "1,1000000,1000000"},
    "a negative shape": {"shape": "1,-8,8"},
    "a shape of nothing": {"shape": "0"},
    "a shape of text": {"shape": "__import__('os')"},
    "a shape of 1,000 axes": {"shape": ",".join(["1"] * 1000)},
    "a shape of 100,000 digits": {"shape": "9" * 100_000},
    "another shape": {"shape": "1,8,9"},
    "a range that is none": {"low": "nan"},
    "a range without an end": {"high": "inf"},
    "a range upside down": {"low": "2", "high": "1"},
    "a scaling that is none": {"scaling": "[]"},
    "a scaling of other words": {"scaling": '{"__class__": [1], "scale": [1]}'},
    "a scaling of text": {"scaling": '{"offset": ["a"], "scale": ["b"]}'},
    "a scaling of nan": {"scaling": '{"offset": [NaN], "scale": [1]}'},
    "a scaling by zero": {"scaling": '{"offset": [0], "scale": [0]}'},
    "a scaling of other columns": {"scaling": '{"offset": [0], "scale": [1]}'},
    "many levels": {"columns": "[" * 100_000},
    "columns that are none": {"columns": '{"a": 1}'},
    "columns of numbers": {"columns": "[1]"},
    "a column too many": {"columns": '["a", "b"]'},
}


@pytest.mark.parametrize("case", METADATA)
def test_words_about_the_weights(case: str, store: Store, canary: Path) -> None:
    run = store.leave(metadata={**store.metadata, **METADATA[case]})
    refused(lambda: hourglass.load(run.id, uri=store.uri), canary, f"run {run.name}", "weights.safetensors")


class Bomb:
    """What a pickle would call."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.canary}",)


def pickled(canary: Path) -> bytes:
    file = io.BytesIO()
    torch.save({"state_dict": Bomb(canary)}, file)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        lambda _: b"",
        lambda _: b"junk",
        pickled,
        lambda canary: pickle.dumps(Bomb(canary)),
        lambda _: struct.pack("<Q", 2**62) + b"{}",
        lambda _: struct.pack("<Q", 60) + b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}',
    ],
    ids=["nothing", "junk", "a checkpoint of torch's", "a pickle", "a head of 2^62 bytes", "a tensor without data"],
)
def test_files_that_are_no_weights(content: Callable[[Path], bytes], store: Store, canary: Path) -> None:
    run = store.leave(files={"weights.safetensors": content(canary)})
    refused(lambda: hourglass.load(run.id, uri=store.uri), canary, f"run {run.name}", "weights.safetensors")


@pytest.mark.parametrize("content", [pickled, lambda canary: pickle.dumps(Bomb(canary))], ids=["torch's", "a pickle"])
def test_a_checkpoint_runs_nothing(content: Callable[[Path], bytes], store: Store, canary: Path) -> None:
    from hourglass.pipeline.train import train

    config = copy.deepcopy(store.config)
    config["callback"] = {name: config["callback"][name] for name in ("health", "checkpoints")}
    config["trainer"].update(accelerator="cpu")
    run = store.leave(config, files={"checkpoints/last.ckpt": content(canary)})
    config["resume"], config["tracking"]["uri"] = run.id, store.uri
    with pytest.raises(HourglassError, match=r"^run .* its checkpoints/last\.ckpt can't be read[^\n]*$"):
        train(OmegaConf.create(config), choices={}, folder=canary.parent)
    assert not canary.exists()


def test_a_classifier_that_is_none(store: Store, canary: Path) -> None:
    from safetensors.torch import save

    config = copy.deepcopy(store.config)
    config["training"].update(_target_="hourglass.training.Finetune", head_widths=[], frozen=True, keep="best")
    for weights in (
        {},
        {"a": torch.zeros(2)},
        {"0.weight": torch.zeros(3), "0.bias": torch.zeros(3)},
        {"0.weight": torch.zeros(2, 99), "0.bias": torch.zeros(2)},
    ):
        run = store.leave(config, files={"classifier.safetensors": save(weights)})
        refused(lambda run=run: hourglass.load_classifier(run.id, uri=store.uri), canary, "classifier.safetensors")


# Runs and the store


def test_evaluate_and_resume_look_before_the_words_of_the_person(store: Store, canary: Path) -> None:
    """What the person says replaces what is hostile, but the record is refused first; what is theirs is free."""
    from hourglass.commands.train import resumed
    from hourglass.pipeline.evaluate import evaluate

    config = copy.deepcopy(store.config)
    config["data"] = json.loads(json.dumps(RUN).replace("CANARY", str(canary)))
    run = store.leave(config)
    refused(lambda: evaluate(run.id, ["data=digits"], uri=store.uri), canary, "data._target_")
    composed, _ = compose_config([f"resume={run.id}", f"tracking.uri={store.uri}"])
    refused(lambda: resumed(composed, ["data._target_=hourglass.data.digits"]), canary, "data._target_")
    refused(
        lambda: compose(compose_config([f"start={run.id}", f"tracking.uri={store.uri}", "data=digits"])[0]),
        canary,
        "start",
        "data._target_",
    )
    good = store.leave()
    composed, _ = compose_config([f"resume={good.id}", f"tracking.uri={store.uri}"])
    assert resumed(composed, ["optimizer._target_=ownpkg.Mine"]).optimizer._target_ == "ownpkg.Mine"


def test_a_name_is_printed_as_one_line(store: Store, canary: Path) -> None:
    name = "a\nb\x1b[2J\u202e<script>\r\x9b31m"
    run = Run.start(uri=store.uri, experiment="hourglass", name=name, tags={}, params={})
    run.finish()
    found = Run.find(run.id, store.uri)
    assert found.name.isprintable()
    assert "<script>" in found.name
    refused(lambda: hourglass.load(run.id, uri=store.uri), canary, r"a b\x1b[2J\u202e<script>")


@pytest.mark.parametrize("name", [".", "..", "a\nb", "\x1b[2J", "x" * 300, ""])
def test_an_experiment_that_can_be_no_folder(name: str, canary: Path, store: Store) -> None:
    from hourglass.configuration.build import build

    tracking = OmegaConf.create({"tracking": {**store.config["tracking"], "experiment": name}})
    refused(lambda: build(tracking.tracking), canary, "tracking.experiment must be a name")


@pytest.mark.parametrize(
    "tags", [{"machine.pid": "x"}, {"machine.pid": "-1"}, {"machine.pid": "9" * 40}, {"machine.process_start": "soon"}]
)
def test_tags_that_are_no_process(tags: dict[str, str], store: Store) -> None:
    run = Run.start(uri=store.uri, experiment="left", name="left", tags={}, params={})
    run.set_tags({**identity(), **tags})
    assert mark_dead_runs(store.uri, "left") == [run.id]


class Server:
    """What a store brings that another person runs."""

    def __init__(self, make: Callable[[Path], Path]) -> None:
        self.make = make

    def download_artifacts(self, _run: str, _path: str, folder: str) -> str:
        return str(self.make(Path(folder)))

    def list_artifacts(self, _run: str) -> list[Any]:
        return []


def outside(_: Path) -> Path:
    return Path(sys.executable)


def linked(folder: Path) -> Path:
    (folder / "config.yaml").symlink_to("/etc/hostname")
    return folder / "config.yaml"


def directory(folder: Path) -> Path:
    (folder / "config.yaml").mkdir()
    return folder / "config.yaml"


@pytest.mark.parametrize("make", [outside, linked, directory])
def test_a_store_that_brings_something_else(make: Callable[[Path], Path]) -> None:
    server: Any = Server(make)
    number = f"../../{make.__name__}"
    files = Files(client=server, uri="http://store", run_id=number, name="theirs", place="mlflow-artifacts:/0/theirs")
    with pytest.raises(HourglassError, match=r"^run theirs .*config\.yaml[^\n]*$"):
        files.read("config.yaml", Path.read_bytes)


# Data


def npy_header(shape: str) -> bytes:
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (63 - (len(head) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head


def npz_of(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def object_array(canary: Path) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([Bomb(canary)], dtype=object), allow_pickle=True)
    return file.getvalue()


ARRAYS: dict[str, Callable[[Path], bytes]] = {
    "objects": object_array,
    "a pickle": lambda canary: pickle.dumps(Bomb(canary)),
    "10^13 values in no bytes": lambda _: npy_header("(10000000, 1000000)"),
    "a negative shape": lambda _: npy_header("(-1, 5)"),
    "a shape that is called": lambda canary: npy_header(f"__import__('os').system('touch {canary}')"),
    "nothing": lambda _: b"",
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays(case: str, tmp_path: Path, canary: Path, store: Store) -> None:
    content = ARRAYS[case](canary)
    (tmp_path / "x.npz").write_bytes(npz_of(x=content))
    refused(lambda: npz(path=str(tmp_path / "x.npz"), **SPLITS), canary, "x.npz")
    (tmp_path / "x.npy").write_bytes(content)
    trained = Trained.of(store.leave().id, uri=store.uri)
    refused(lambda: arrays.read_codes(str(tmp_path / "x.npy"), trained), canary, "x.npy")


@pytest.mark.parametrize(
    "content",
    [
        struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1),
        b"\0\0\x08\xff" + b"\xff" * 1020,
        b"\x1f\x8b\x08junk",
        b"\0\0\x80\x01\0\0\0\1" + pickle.dumps("x"),
    ],
    ids=["10^28 values", "255 axes", "gzip", "type"],
)
def test_idx_files(content: bytes, tmp_path: Path, canary: Path) -> None:
    (tmp_path / "x.idx").write_bytes(content)
    paths = {"path": str(tmp_path / "x.idx"), "labels": None, "test_path": None, "test_labels": None}
    refused(lambda: idx(**paths, **SPLITS), canary, "x.idx")


TABLES = {
    "a formula": b"a,b\n=cmd|' /C calc'!A0,1\n",
    "a zero": b"a,b\n1,\x00\n",
    "a cell of 200,000 letters": b"a,b\n1," + b"x" * 200_000 + b"\n",
    "nan": b"a,b\n1,nan\n",
    "infinity": b"a,b\n1,1e999\n",
    "another alphabet": b"\xff\xfe\x00",
    "a name that steers a terminal": b'"\x1b[2J\n<script>",b\n1,x\n',
}


@pytest.mark.parametrize("case", TABLES)
def test_tables(case: str, tmp_path: Path, canary: Path) -> None:
    from hourglass.configuration.build import build

    (tmp_path / "x.csv").write_bytes(TABLES[case])
    config, _ = compose_config(["data=csv", f"data.path={tmp_path / 'x.csv'}"])
    refused(lambda: build(config.data), canary, "data")


def bomb_png(_: Path) -> bytes:
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


PICTURES: dict[str, Callable[[Path], bytes]] = {
    "10^10 pixels in 100 bytes": bomb_png,
    "a program in PostScript": lambda canary: (
        f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n({canary}) (w) file closefile\nshowpage\n".encode()
    ),
    "a page": lambda _: b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "a pickle": lambda canary: pickle.dumps(Bomb(canary)),
}


@pytest.mark.parametrize("case", PICTURES)
def test_pictures(case: str, tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "x.png").write_bytes(PICTURES[case](canary))
    for number in range(9):
        Image.new("L", (4, 4), number).save(folder / f"{number}.png")
    refused(lambda: image_folder(path=str(folder), size=4, colour=False, **SPLITS), canary, "x.png")


def test_names_in_data_leave_nothing_outside_and_break_no_picture(tmp_path: Path) -> None:
    """A training on columns and a name as nobody would call them, to its end."""
    names = ["$\\frac{", "<img src=x onerror=alert(1)>", "../../../etc", "\x1b[2J", "a\nb", "=1+1"]
    table = tmp_path / "in" / "table.csv"
    table.parent.mkdir()
    rows = np.random.default_rng(0).normal(size=(60, len(names) + 1)).round(3)
    rows[:, -1] = np.arange(60) % 3
    quoted = ",".join(f'"{name}"' for name in [*names, "label"])
    table.write_text("\n".join([quoted, *(",".join(map(str, row)) for row in rows)]))
    words = ["data=csv", f"data.path={table}", "data.label_column=label", "data.scaling=standard",
             "data.header=present", "model.code_size=2", "model.output_activation=linear", "training.epochs=1",
             "trainer.accelerator=cpu", f"tracking.uri=sqlite:///{tmp_path}/store/mlflow.db"]  # fmt: skip
    for name in ("store", "run"):
        (tmp_path / name).mkdir()
    config, choices = compose_config(words)
    config.name, config.study = "../../<b>\x1b[2J\nname", "../../<b>study"
    from hourglass.commands.summary import summary
    from hourglass.pipeline.train import train

    before = {*tmp_path.parent.iterdir()}
    result = train(config, choices=choices, folder=tmp_path / "run")
    assert summary(result, folder=tmp_path / "run").replace("\n", "").isprintable()
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "store", "run"}
    assert {*tmp_path.parent.iterdir()} == before
    assert hourglass.load(result.run.id, uri=result.run.uri)(torch.tensor(rows[:3, :-1])).code.shape == (3, 2)
    assert Trained.of(result.run.id, uri=result.run.uri).columns == tuple(names)


@pytest.mark.long
def test_the_command_says_one_line_and_ends_with_2(store: Store, canary: Path) -> None:
    config = copy.deepcopy(store.config)
    CONFIGS["a command for a bottleneck"][0](config, str(canary))
    run = store.leave(config)
    done = subprocess.run(
        [sys.executable, "-m", "hourglass", "encode", run.id, "in.npy", "out.npy"],
        env={**os.environ, "MLFLOW_TRACKING_URI": store.uri},
        cwd=canary.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(
        f"hourglass: the config.yaml of run {run.name} ({run.id}) is refused: model.bottleneck"
    )
    assert "allowed are hourglass.bottlenecks.BatchTopK, " in done.stderr
    assert not canary.exists()
