import math
import re
import shutil
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from hourglass.tracking import Run, TrackingUnavailable, search_runs
from hourglass.tracking.points import POINTS_PER_WRITE


def test_a_run_is_found_by_id_beginning_and_name_with_what_it_was_given(run: Run, uri: str) -> None:
    for reference in (run.id, run.id[:6], "first"):
        found = Run.find(reference, uri)
        assert (found.id, found.name, found.experiment, found.status) == (run.id, "first", "hourglass", "RUNNING")
    assert found.params == {"seed": "0"}
    assert found.tags["model"] == "conv"


def test_a_child_names_its_parent(run: Run, uri: str) -> None:
    child = Run.start(uri=uri, experiment="hourglass", name="child", tags={}, params={}, parent_id=run.id)
    assert child.tags["mlflow.parentRunId"] == run.id


def test_a_child_is_not_recorded_where_its_parent_is_not(uri: str) -> None:
    with pytest.raises(TrackingUnavailable, match=f"cannot be used: Run with id={'0' * 32} not found$"):
        Run.start(uri=uri, experiment="hourglass", name="child", tags={}, params={}, parent_id="0" * 32)
    assert search_runs(uri, None, "") == []


@pytest.mark.parametrize("reference", ["abcdef", "it's", 'a "name"', "first%", "both ' and \"", ""])
@pytest.mark.usefixtures("run")
def test_an_unknown_run_is_named(uri: str, reference: str) -> None:
    with pytest.raises(ValueError, match=r"is not in sqlite:///.*: give an id, its first 6 digits or a run name"):
        Run.find(reference, uri)


def test_an_ambiguous_name_lists_the_runs(run: Run, uri: str) -> None:
    twin = Run.start(uri=uri, experiment="other", name="first", tags={}, params={})
    with pytest.raises(ValueError, match="any of 2 runs") as caught:
        Run.find("first", uri)
    assert run.id in str(caught.value)
    assert twin.id in str(caught.value)


def test_points_wait_and_are_written_together(run: Run) -> None:
    for step in range(POINTS_PER_WRITE - 1):
        run._points.add({"train/loss": 1 / (step + 1)}, step)
    run._points.add({"val/loss": 3.0}, 0)
    assert len(run.history("train/loss")) == POINTS_PER_WRITE - 1
    run.log_metrics({"train/loss": math.nan}, 1000)
    run.log_metrics({"code/dead": torch.tensor(2)}, 1000)
    assert run.metrics["val/loss"] == 3.0
    run.finish()
    assert math.isnan(run.metrics["train/loss"])
    assert run.metrics["code/dead"] == 2.0


def test_params_are_uncut_and_any_number(uri: str) -> None:
    params = {f"group.key_{index}": str(index) for index in range(250)} | {"long": "x" * 5999}
    run = Run.start(uri=uri, experiment="hourglass", name="wide", tags={}, params=params)
    assert run.params == params


def test_a_run_that_cannot_start_whole_is_not_left_running(uri: str) -> None:
    with pytest.raises(Exception, match="Invalid"):
        Run.start(uri=uri, experiment="hourglass", name="odd", tags={}, params={"a key with é|": "1"})
    assert Run.find("odd", uri).status == "FAILED"


def test_weights_come_back_bit_for_bit(run: Run) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    model[2].weight = nn.Parameter(torch.tensor([[1e-40, math.nan, -0.0, math.inf]] * 3))
    state = dict(model.state_dict())
    state["tied"] = state["0.weight"]
    state["transposed"] = state["0.weight"].T
    state["slice"] = state["0.weight"][:, 1]
    state["half"] = torch.randn(5).bfloat16()
    state["none"] = torch.empty(0, 7)
    run.log_weights(state, metadata={"config_hash": "abc"})
    loaded = run.load_weights()
    assert loaded.keys() == state.keys()
    for key, value in state.items():
        assert loaded[key].dtype == value.dtype
        assert loaded[key].shape == value.shape
        assert torch.equal(_bytes(loaded[key]), _bytes(value))


def _bytes(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous().flatten().view(torch.uint8)


def test_pictures_of_every_kind_keep_their_pixels(run: Run) -> None:
    from matplotlib.figure import Figure

    from hourglass.figures import to_array

    pixels = np.arange(12 * 20 * 3, dtype=np.uint8).reshape(12, 20, 3)
    run.log_image(pixels, "reconstructions", 5)
    run.log_image(Image.fromarray(pixels), "final/reconstructions", 0)
    run.log_image(to_array(Figure(figsize=(2, 1), dpi=100)), "code_map", 5)
    files = sorted(file.path for file in run._client.list_artifacts(run.id, "images") if file.path.endswith(".png"))
    assert [file.split("+")[0:3] for file in files] == [
        ["images/code_map", "step", "5"],
        ["images/final~reconstructions", "step", "0"],
        ["images/reconstructions", "step", "5"],
    ]
    for file in files[1:]:
        assert np.array_equal(np.asarray(Image.open(run.artifact(file))), pixels)
    assert Image.open(run.artifact(files[0])).size == (200, 100)


def test_config_text_and_files_are_kept_beside_the_database(run: Run, tmp_path: Path) -> None:
    run.log_text("model:\n  code_size: 32\n", "config.yaml")
    assert run.read_config() == {"model": {"code_size": 32}}
    run.log_bytes(b"a", "notes/a.txt")
    assert run.artifact("notes/a.txt").read_text() == "a"
    assert (tmp_path / "mlartifacts" / "hourglass" / run.id / "artifacts" / "config.yaml").is_file()
    with pytest.raises(
        ValueError, match=r"run first \(.*\) holds no 'weights.safetensors', it holds config.yaml, notes"
    ):
        run.artifact("weights.safetensors")


def test_the_data_set_is_recorded(run: Run) -> None:
    run.log_dataset("mnist", "0123456789" * 6, {"train": 55000, "test": 10000})
    (entry,) = run._client.get_run(run.id).inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("mnist", ("0123456789" * 6)[:36])
    assert entry.dataset.profile == '{"train": 55000, "test": 10000}'
    assert {tag.key: tag.value for tag in entry.tags} == {"mlflow.data.context": "train, test"}


def test_a_normal_end_is_finished(run: Run) -> None:
    with run:
        run.log_metrics({"loss": 1.0}, 3)
    assert run.status == "FINISHED"
    assert run.history("loss") == [(3, 1.0)]


def test_an_error_is_failed_with_traceback_and_reason_and_goes_on(run: Run) -> None:
    run.log_metrics({"loss": 1.0}, 3)
    with pytest.raises(RuntimeError, match="loss became"), run:
        raise RuntimeError("loss became NaN\nat step 3")
    assert run.status == "FAILED"
    assert run.tags["failure"] == "RuntimeError: loss became NaN"
    text = run.artifact("traceback.txt").read_text()
    assert "test_run.py" in text
    assert "at step 3" in text
    assert run.history("loss") == [(3, 1.0)]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_killed_and_goes_on(run: Run, kind: type[BaseException]) -> None:
    with pytest.raises(kind), run:
        raise kind
    assert run.status == "KILLED"
    assert run.tags["failure"] == f"interrupted by {kind.__name__}"


def test_lightnings_sigterm_is_killed(run: Run) -> None:
    from pytorch_lightning.utilities.exceptions import SIGTERMException

    with pytest.raises(SIGTERMException), run:
        raise SIGTERMException
    assert run.status == "KILLED"


def test_an_end_already_recorded_stands(run: Run) -> None:
    with run:
        run.kill("the loss became NaN in a stack")
    assert run.status == "KILLED"


def test_points_that_cannot_be_written_fail_the_run(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Exception, match="Invalid"), run:
        run.log_metrics({"é|": 1.0}, 0)
    assert run.status == "FAILED"
    assert "the last points of run first" in caplog.text


def test_a_resumed_run_continues(run: Run, uri: str) -> None:
    run.log_metrics({"loss": 1.0}, 1)
    with pytest.raises(ZeroDivisionError), run:
        raise ZeroDivisionError
    again = Run.resume(run.id[:8], uri=uri)
    assert again.status == "RUNNING"
    assert "failure" not in again.tags
    with again:
        again.log_metrics({"loss": 0.5}, 2)
    assert again.history("loss") == [(1, 1.0), (2, 0.5)]
    assert again.params == {"seed": "0"}
    assert again.status == "FINISHED"


def test_unavailable_is_a_value_error() -> None:
    assert issubclass(TrackingUnavailable, ValueError)


def test_the_names_and_marks_of_pictures_are_those_of_mlflow(run: Run) -> None:
    pixels = np.zeros((300, 100), dtype=np.uint8)
    run.log_image(pixels, "a/b", 3)
    theirs = Run.start(uri=run.uri, experiment="hourglass", name="theirs", tags={}, params={})
    theirs._client.log_image(theirs.id, pixels, key="a/b", step=3, synchronous=True)

    def names(of: Run) -> list[str]:
        files = [file.path for file in of._client.list_artifacts(of.id, "images")]
        return sorted(re.sub(r"\d{13}|[0-9a-f-]{36}", "*", file) for file in files)

    assert (
        names(run)
        == names(theirs)
        == ["images/a~b+step+3+timestamp+*+*+compressed.webp", "images/a~b+step+3+timestamp+*+*.png"]
    )
    assert run.tags["mlflow.loggedImages"] == theirs.tags["mlflow.loggedImages"] == "True"
    small = next(file.path for file in run._client.list_artifacts(run.id, "images") if file.path.endswith("webp"))
    assert Image.open(run.artifact(small)).size == (85, 256)
    with pytest.raises(ValueError, match="key must be of letters"):
        run.log_image(pixels, "a:b", 0)


def test_a_full_disk_that_gets_room_again_loses_nothing(blank: Path, small_disk: Path) -> None:
    uri = f"sqlite:///{small_disk}/mlflow.db"
    shutil.copy(blank, small_disk / "mlflow.db")
    run = Run.start(uri=uri, experiment="hourglass", name="squeezed", tags={}, params={})
    with suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    room = threading.Timer(3.0, (small_disk / "filler").unlink)
    room.start()
    for step in range(3000):
        run.log_metrics({"loss": float(step)}, step)
    run.log_weights({"w": torch.ones(1000)})
    run.finish()
    room.join()
    assert run.history("loss") == [(step, float(step)) for step in range(3000)]
    assert torch.equal(run.load_weights()["w"], torch.ones(1000))
    assert run.status == "FINISHED"
