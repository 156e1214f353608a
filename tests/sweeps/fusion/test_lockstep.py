"""Many trainings in one process: runs that can't be told from unfused ones, each with its own end."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import hourglass
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.train import Result, train
from hourglass.sweeps.fusion import Ended, Member, fusable, lockstep, train_fused
from hourglass.system.errors import Diverged
from hourglass.tracking import Run
from hourglass.training.batches import Chunk
from hourglass.training.minibatch import Minibatch

BASE = (
    "data=digits",
    "data.train_size=300",
    "training.batch_size=32",
    "training.epochs=4",
    "trainer.accelerator=cpu",
    "tracking.log_every_n_steps=10",
)


def jobs(folder: Path, *members: Sequence[str], common: Sequence[str] = ()) -> list[Member]:
    made = []
    for number, overrides in enumerate(members):
        config, choices = compose_config([*BASE, f"tracking.uri=sqlite:///{folder}/mlflow.db", *common, *overrides])
        made.append(Member(config, choices, folder / str(number)))
        made[-1].folder.mkdir(parents=True, exist_ok=True)
    return made


def single(job: Member) -> Result:
    return train(job.config, choices=job.choices, folder=job.folder, parent=job.parent)


QUIET = ("callback=quick",)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Ended], list[Result]]:
    """Three members, one of which loses patience, fused and one by one."""
    members = (
        ["model.code_size=8"],
        ["model.code_size=3", "seed=1", "callback=[quick,pictures,baselines]"],
        # Warming up to so high a rate, its second epoch is worse than its first by far more than rounding.
        ["model.code_size=5", "optimizer.lr=10", "training.patience=1", "~callback.pictures"],
    )
    # A rectified code: of a linear one that rate makes values so large that rounding alone tells the two apart.
    common = ["training.warmup_steps=40", "bottleneck=relu"]
    fused, alone = (jobs(tmp_path_factory.mktemp(name), *members, common=common) for name in ("fused", "alone"))
    return train_fused(fused), [single(job) for job in alone]


def test_a_fused_run_records_what_an_unfused_one_does(both: tuple[list[Ended], list[Result]]) -> None:
    for ended, alone in zip(*both, strict=True):
        assert ended.error is None
        assert ended.result is not None
        run = ended.result.run
        assert run.status == "FINISHED"
        assert ended.result.metrics.keys() == alone.metrics.keys()
        for name, value in alone.metrics.items():
            if not name.startswith("time/"):
                assert ended.result.metrics[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name
        for name in ("train/loss", "val/loss", "val/mse"):
            steps, values = zip(*run.history(name), strict=True)
            expected = list(zip(*alone.run.history(name), strict=True))
            assert steps == expected[0]
            assert values == pytest.approx(expected[1], rel=1e-4)
        own = {
            "fused",
            "machine.pid",
            "mlflow.runName",
            "mlflow.hourglass.made_by",
            "mlflow.note.content",
        }  # it says its id
        assert {k for k, v in run.tags.items() if alone.run.tags.get(k) != v} <= own
        assert run.tags["fused"] == "3"
        assert files(run) == files(alone.run)


def files(run: Run) -> list[str]:
    """Every artifact's path; the number that a picture's name ends with is random."""
    client, found, waiting = run._client, [], [""]
    while waiting:
        for entry in client.list_artifacts(run.id, waiting.pop()):
            waiting += [entry.path] if entry.is_dir else []
            found.append(re.split(r"[+%]timestamp", entry.path)[0])
    return sorted(found)


def test_a_member_that_loses_patience_leaves_the_others_alone(both: tuple[list[Ended], list[Result]]) -> None:
    steps = [ended.result.parts.learner.steps_done for ended in both[0] if ended.result]
    assert steps == [result.parts.learner.steps_done for result in both[1]]
    assert steps[2] < steps[0] == steps[1] == 40


def test_weights_of_a_fused_run_are_loaded_like_any_other(both: tuple[list[Ended], list[Result]]) -> None:
    result = both[0][1].result
    assert result is not None
    model = hourglass.load(result.run.id, uri=result.run.uri)
    x = result.parts.data.scaled(result.parts.data.test.x[:5])
    assert model.encode(x).shape == (5, 3)
    torch.testing.assert_close(model(x).reconstruction, result.parts.model.eval()(x).reconstruction)
    alone = both[1][1].parts.model.eval()
    torch.testing.assert_close(model(x).reconstruction, alone(x).reconstruction, rtol=1e-3, atol=1e-4)


def test_a_fused_training_can_be_gone_on_with(both: tuple[list[Ended], list[Result]], tmp_path: Path) -> None:
    result = both[0][1].result
    assert result is not None
    (job,) = jobs(tmp_path, ["model.code_size=3", "bottleneck=relu", "seed=1", *QUIET, f"resume={result.run.id}"])
    job.config.tracking.uri = result.run.uri
    job.config.training.epochs = 6
    assert single(job).parts.learner.steps_done == 60


def test_a_stack_that_draws_at_random_repeats_itself(tmp_path: Path) -> None:
    members = (["seed=3"], ["seed=4", "model.code_size=5"])
    common = [*QUIET, "noise=masking", "bottleneck=gaussian", "loss.reduction=sum"]
    weights = []
    for name, before in (("once", 1), ("again", 2)):
        torch.manual_seed(before)  # whatever was drawn in the process before
        ended = train_fused(jobs(tmp_path / name, *members, common=common))
        weights.append([each.result.parts.model.state_dict() for each in ended if each.result is not None])
    assert len(weights[0]) == 2
    for once, again in zip(*weights, strict=True):
        assert all(torch.equal(once[name], again[name]) for name in once)


@pytest.mark.long
def test_a_member_that_diverges_fails_alone(tmp_path: Path) -> None:
    """With a loss that becomes infinite, and with one that refuses a number that is none."""
    for loss in ("mse", "bce"):
        folder = tmp_path / loss
        common = (*QUIET, f"loss={loss}", "model.bottleneck.activation=linear")
        if loss == "mse":
            common += ("optimizer=sgd", "model.output_activation=linear")
        made = jobs(folder, ["seed=0"], ["optimizer.lr=1e38", "seed=1"], ["seed=2"], common=common)
        ends = train_fused(made)
        assert [ended.error is None for ended in ends] == [True, False, True]
        with pytest.raises((Diverged, RuntimeError)) as refused:
            single(made[1])
        assert type(ends[1].error) is refused.type
        (failed,) = [run for run in runs(made[0]) if run.tags.get("fused") and run.status == "FAILED"]
        assert failed.tags["failure"].endswith(str(refused.value))
        for number in (0, 2):
            result = ends[number].result
            assert result is not None
            assert result.metrics["test/mse"] == pytest.approx(single(made[number]).metrics["test/mse"], rel=1e-3)


def test_a_model_for_which_no_stack_fits_the_memory_makes_its_own_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where a single model is a stack too; where its own steps lack memory as well, it fails."""
    sizes: list[int] = []

    def too_large(*, members: Sequence[Minibatch], **_: object) -> None:
        sizes.append(len(members))
        raise torch.OutOfMemoryError("out of memory")

    def own_steps(learner: Minibatch, chunk: Chunk) -> dict[str, torch.Tensor]:
        if learner.model.code_size == 5:
            raise torch.OutOfMemoryError("out of memory")
        return its_own(learner, chunk)

    its_own = Minibatch.own_steps
    monkeypatch.setattr(lockstep, "_pays_alone", lambda _: True)
    monkeypatch.setattr(lockstep, "Stack", too_large)
    made = jobs(tmp_path, ["model.code_size=8"], ["model.code_size=5"], ["model.code_size=3"], common=QUIET)
    with monkeypatch.context() as short:
        short.setattr(Minibatch, "own_steps", own_steps)
        ends = train_fused(made)
    assert sizes == [3, 1, 2, 1, 1]
    assert [type(ended.error) for ended in ends] == [type(None), torch.OutOfMemoryError, type(None)]
    for number in (0, 2):
        result = ends[number].result
        assert result is not None
        assert result.metrics["test/mse"] == pytest.approx(single(made[number]).metrics["test/mse"], rel=1e-3)


def runs(job: Member) -> list[Run]:
    from hourglass.tracking import search_runs

    uri = job.config.tracking.uri
    return [Run.find(found.info.run_id, uri) for found in search_runs(uri, job.config.tracking.experiment, "")]


def test_a_job_that_makes_no_sense_fails_before_the_others_train(tmp_path: Path) -> None:
    ends = train_fused(jobs(tmp_path, ["seed=0"], ["model.code_size=0"], ["seed=2"], common=QUIET))
    assert [str(ended.error) for ended in ends][1].startswith("model.code_size must be at least 1, got 0")
    assert [ended.error is None for ended in ends] == [True, False, True]


@pytest.mark.long
@pytest.mark.parametrize(
    "overrides", [("trainer.precision=64-true",), ("trainer=fast", "trainer.precision=bf16-mixed")]
)
def test_every_precision_gives_what_it_would_alone(overrides: Sequence[str], tmp_path: Path) -> None:
    common = (*QUIET, "data=wine", "data.train_size=null", "model.output_activation=linear", *overrides)
    made = jobs(tmp_path, ["model.code_size=4"], ["model.code_size=2", "seed=1"], common=common)
    for job, ended in zip(made, train_fused(made), strict=True):
        assert ended.result is not None
        double = overrides[0].endswith("64-true")
        expected = single(job).metrics["test/mse"]
        assert ended.result.metrics["test/mse"] == pytest.approx(expected, rel=1e-9 if double else 2e-2)


def test_jobs_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="jobs must have one structure"):
        train_fused(jobs(tmp_path, ["model.code_size=4"], ["model.depth=1"]))
    with pytest.raises(ValueError, match="jobs must be fusable, got one that isn't: Recirculation makes steps"):
        train_fused(jobs(tmp_path, ["training=recirculation", "model.tied=true"]))


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_lockstep import jobs, train_fused, QUIET
made = jobs(Path({folder!r}), ["seed=0"], ["seed=1"], ["seed=2"], common=(*QUIET, "training.epochs=100000"))
train_fused(made)
"""


@pytest.mark.long
@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_signal_ends_every_run_as_killed(number: signal.Signals, tmp_path: Path) -> None:
    script = SCRIPT.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, env={**os.environ})
    (job,) = jobs(tmp_path, ["seed=0"])
    deadline = time.monotonic() + 180
    while not (tmp_path / "mlflow.db").exists() or len(trained := [r for r in runs(job) if r.history("val/loss")]) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.2)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == (143 if number == signal.SIGTERM else -signal.SIGINT)
    assert [run.status for run in trained] == ["KILLED"] * 3
    assert all(run.tags["failure"].startswith("interrupted by") for run in trained)


def test_jobs_of_one_group_are_found(tmp_path: Path) -> None:
    made = jobs(tmp_path, ["seed=0"], ["seed=1"], ["model.depth=1"])
    assert [group.jobs for group in fusable([job.config for job in made])] == [(0, 1), (2,)]
