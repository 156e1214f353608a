"""What a GPU trains is what a CPU trains, and goes on, in every precision."""

from pathlib import Path

import pytest
import torch

from hourglass.commands.main import main
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.train import Result, train
from hourglass.tracking import initialise_store, search_runs
from hourglass.training.stacks.graph import SWITCH, Graph

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.usefixtures("fork_server_of_its_own"),
]

SMALL = ("data=digits", "data.train_size=200", "data.test_size=60", "training.batch_size=50", "callback=quick")
DENSE = ("model=multilayer", "model.depth=1", "model.widths=[32]", "model.code_size=6")
CONV = ("model=conv", "model.depth=2", "model.widths=[4,3]")


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    initialise_store(f"sqlite:///{tmp_path}/mlflow.db")


def run_of(*words: str, on: str = "gpu") -> Result:
    config, choices = compose_config([*SMALL, "training.epochs=3", f"trainer.accelerator={on}", *words])
    return train(config, choices=choices, folder=Path.cwd())


def assert_same(one: Result, other: Result, *, tolerance: float) -> None:
    for (name, mine), theirs in zip(
        one.parts.model.state_dict().items(), other.parts.model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(
            mine.cpu().double(),
            theirs.cpu().double(),
            rtol=tolerance,
            atol=tolerance,
            msg=lambda text: f"{name}: {text}",  # noqa: B023
        )


@pytest.mark.parametrize("trainer", ["exact", "fast"])
@pytest.mark.parametrize("net", [DENSE, CONV], ids=["dense", "conv"])
def test_it_trains_what_a_cpu_does(net: tuple[str, ...], trainer: str) -> None:
    words = (*net, f"trainer={trainer}", "trainer.precision=64-true", "schedule=cosine")
    words = (*words, "regularizer=contractive") if net is DENSE else words
    there, here = run_of(*words), run_of(*words, on="cpu")
    assert there.metrics.keys() == here.metrics.keys()
    assert_same(there, here, tolerance=1e-6)


@pytest.mark.parametrize("net", [DENSE, CONV], ids=["dense", "conv"])
@pytest.mark.parametrize(("precision", "tolerance"), [("32-true", 2e-3), ("bf16-mixed", 0.05), ("16-mixed", 0.05)])
def test_other_precisions_come_as_far(net: tuple[str, ...], precision: str, tolerance: float) -> None:
    there = run_of(*net, "trainer=fast", f"trainer.precision={precision}", "optimizer.lr=3e-3")
    here = run_of(*net, "trainer=fast", "trainer.precision=32-true", "optimizer.lr=3e-3", on="cpu")
    assert there.metrics["test/mse"] == pytest.approx(here.metrics["test/mse"], rel=tolerance)


@pytest.mark.parametrize("words", [("noise=masking",), ("bottleneck=gaussian", "loss.reduction=sum")], ids=str)
def test_the_same_seed_gives_the_same_run_and_a_resumed_one_goes_on_bit_by_bit(words: tuple[str, ...]) -> None:
    """What is drawn on the GPU too."""
    words = (*DENSE, *words, "callback=[quick,checkpoints]", "training.keep=last", "trainer=exact")
    whole, twin = run_of(*words), run_of(*words)
    cut = run_of(*words, "training.epochs=2")
    again = run_of(*words, f"resume={cut.run.id}")
    for name, weight in whole.parts.learner.state_dict().items():
        assert torch.equal(weight, twin.parts.learner.state_dict()[name]), name
        assert torch.equal(weight, again.parts.learner.state_dict()[name]), name


@pytest.mark.parametrize("trainer", ["exact", "fast"])
@pytest.mark.parametrize("net", [DENSE, CONV], ids=["dense", "conv"])
def test_its_steps_are_a_graph(net: tuple[str, ...], trainer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[Graph] = []
    monkeypatch.setattr("hourglass.training.stacks.stack.Graph", lambda: played.append(Graph()) or played[-1])
    words = (*net, f"trainer={trainer}", "noise=masking")
    graphs = run_of(*words)
    assert [each.is_played for each in played] == [True], played[0].why_not
    monkeypatch.setenv(SWITCH, "false")
    launched = run_of(*words)
    assert len(played) == 1
    assert graphs.metrics["test/mse"] == pytest.approx(launched.metrics["test/mse"], rel=0.05)


def test_two_jobs_share_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["train", "-m", *SMALL, "training.epochs=1", "trainer.accelerator=gpu", "seed=0,1,2"]
    monkeypatch.setattr("sys.argv", ["hourglass", *words])
    assert main([*words, "sweep.max_stack=1", "sweep.slots_per_gpu=2"]) == 0
    done = search_runs(f"sqlite:///{tmp_path}/mlflow.db", None, "tags.kind = 'training' AND status = 'FINISHED'")
    assert len(done) == 3
