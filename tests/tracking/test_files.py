"""Files of a run: whole or not there, and nothing elsewhere."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from hourglass.configuration.composition import compose_config
from hourglass.pipeline.train import train
from hourglass.tracking import Run
from hourglass.tracking.files import local_folder


def held(run: Run) -> set[str]:
    return {path.name for path in run.artifact(".").rglob("*")}


def test_a_file_that_is_not_finished_leaves_the_one_before(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.log_text("before", "notes/a.txt")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run.log_text("after", "notes/a.txt")
    assert run.artifact("notes/a.txt").read_text() == "before"
    assert held(run) == {"notes", "a.txt"}


def test_what_a_killed_process_had_not_finished_goes_when_the_run_goes_on(run: Run, uri: str) -> None:
    run.log_text("whole", "notes/a.txt")
    draft = run.artifact("notes") / ".artifact.uploading.a.txt.12345"  # as a SIGKILL leaves it
    draft.write_text("wh")
    run.finish()
    with pytest.raises(ValueError, match=r"it holds notes$"):
        run.artifact("nothing")
    Run.resume(run.id, uri=uri)
    assert held(run) == {"notes", "a.txt"}


def test_a_training_needs_no_temporary_folder(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["data=digits", "data.train_size=200", "training.epochs=2", "model.code_size=4", "noise=masking"]
    config, choices = compose_config([*words, f"tracking.uri={uri}"])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    run = train(config, choices=choices, folder=tmp_path).run
    assert run.status == "FINISHED"
    assert {"config.yaml", "last.ckpt", "weights.safetensors"} <= held(run)
    with pytest.raises(OSError, match="missing"):
        tempfile.mkdtemp()


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"a: [open"])
def test_a_file_that_cannot_be_read_is_named(run: Run, content: bytes) -> None:
    run.log_bytes(content, "config.yaml")
    with pytest.raises(ValueError, match=rf"^run first \({run.id}\): its config.yaml can't be read: [^\n]*$"):
        run.read_config()


def test_weights_that_cannot_be_read_are_named(run: Run) -> None:
    run.log_bytes(b"junk", "weights.safetensors")
    damaged = r"its weights.safetensors can't be read, it is cut off, damaged or something else \(/[^\n]*\)$"
    with pytest.raises(ValueError, match=rf"^run first \({run.id}\): {damaged}"):
        run.load_weights()


def test_where_files_are_on_this_machine() -> None:
    assert local_folder("file:///a/b%20c") == Path("/a/b c")
    assert local_folder("/a/b") == Path("/a/b")
    for place in ("mlflow-artifacts:/1/2", "s3://bucket/a", "file://far/a", "a/b", "dbfs:/a"):
        assert local_folder(place) is None


def test_weights_of_another_kind_are_named(run: Run) -> None:
    from safetensors.numpy import save

    run.log_bytes(save({"x": np.zeros(2)})[:-3], "weights.safetensors")
    with pytest.raises(ValueError, match=r"its weights\.safetensors can't be read"):
        run.load_weights()
    run.log_weights({"x": torch.zeros(2)})
    assert run.load_weights()["x"].shape == (2,)


def test_a_link_out_of_the_run_is_no_file_of_it(run: Run, tmp_path: Path) -> None:
    run.log_text("mine", "a.txt")
    (tmp_path / "secret.txt").write_text("secret")
    (run.artifact(".") / "b.txt").symlink_to(tmp_path / "secret.txt")
    for path in ("b.txt", "../../../../secret.txt"):
        with pytest.raises(ValueError, match="holds no"):
            run.artifact(path)
