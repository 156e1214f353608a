"""Tables with names and missing entries, from the file to the numbers of the run and back to rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import hourglass
from hourglass.callbacks.health import measured
from hourglass.commands.main import main
from hourglass.configuration.composition import compose_config
from hourglass.measures import linear_floor
from hourglass.pipeline.compose import compose
from hourglass.pipeline.evaluate import evaluate
from hourglass.pipeline.train import Result, train
from hourglass.sweeps.fusion import Member, train_fused
from hourglass.system.errors import HourglassError

WORDS = ["data=csv", "data.path=table.csv", "data.missing=mask", "callback=[quick,floor]", "training.batch_size=64"]
WORDS += ["model.code_size=3", "training.epochs=3", "loss.reduction=mean", "optimizer.lr=0.01"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two numbers of which one follows from a name, with holes."""
    folder = tmp_path_factory.mktemp("tables")
    random = np.random.default_rng(0)
    kind = random.choice(["red", "green", "blue"], 400)
    size = pd.Series(kind).map({"red": 1.0, "green": 5.0, "blue": 9.0}) + random.normal(0, 0.1, 400)
    frame = pd.DataFrame({"size": size, "kind": kind, "other": random.normal(0, 1, 400)})
    frame.loc[random.random(400) < 0.2, "size"] = np.nan
    frame.loc[random.random(400) < 0.1, "kind"] = None
    frame.to_csv(folder / "table.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def run(home: Path) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        config, choices = compose_config([*WORDS, "name=table"])
        return train(config, choices=choices, folder=home)


@pytest.fixture(autouse=True)
def _there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def test_losses_and_errors_are_of_what_is_there(run: Result) -> None:
    model, data, metrics = run.parts.model, run.parts.data, run.metrics
    assert data.columns == ("size", "kind=blue", "kind=green", "kind=red", "other")
    target = data.target(data.test.x)
    there = ~target.isnan()
    assert 0 < there.float().mean() < 1
    with torch.no_grad():
        r = model(data.scaled(data.test.x)).reconstruction
    torch.testing.assert_close(r[:, 1:4].sum(1), torch.ones(len(r)))
    error = (r - target).square()[there]
    assert metrics["test/mse"] == pytest.approx(error.mean().item(), rel=1e-5)
    # minmax: the numbers lie in [0, 1], their loss is the cross-entropy of each.
    numbers, known = [0, 4], there[:, 1]
    p, x, seen = (each[:, numbers].double() for each in (r, target.nan_to_num(), there))
    of_numbers = -((x * p.log() + (1 - x) * (1 - p).log()) * seen).sum()
    of_names = -(target[known, 1:4] * r[known, 1:4].log()).sum()
    columns = seen.sum() + known.sum()
    assert metrics["test/loss"] == pytest.approx(((of_numbers + of_names) / columns).item(), rel=1e-4)
    assert metrics["test/cross_entropy"] == pytest.approx((of_names / known.sum()).item(), rel=1e-4)
    right = r[known, 1:4].argmax(1) == target[known, 1:4].argmax(1)
    assert metrics["test/category_accuracy"] == pytest.approx(right.float().mean().item())
    mean = data.train.x.nanmean(0)
    floor = linear_floor.linear_floor(data, run.parts.learner.noise)
    assert floor is not None
    of_none = linear_floor.errors(floor, data.test.x, data, run.parts.learner.noise, k=0).mean
    assert of_none == pytest.approx((mean - target).square()[there].mean().item(), rel=1e-4)
    spread = (target - target.nanmean(0)).square()[there].sum()
    assert metrics["test/explained_variance"] == pytest.approx(1 - (error.sum() / spread).item(), rel=1e-4)
    assert measured(run.parts.learner, data.test.x, None, data.test.x, activity=None) == pytest.approx(
        metrics["test/mse"], rel=1e-5
    )


def test_rows_with_holes_go_in_and_come_out_in_the_tables_units(run: Result, capsys: Any) -> None:
    Path("more.csv").write_text("size,kind,other\n5,green,0\n,red,0\n,,0\n")
    main(["reconstruct", "table", "more.csv", "out.csv"])
    made = pd.read_csv("out.csv")
    pd.read_csv("more.csv").assign(left=1).to_parquet("more.parquet")
    main(["reconstruct", "table", "more.parquet", "again.csv"])
    assert Path("again.csv").read_text() == Path("out.csv").read_text()
    assert list(made.columns) == ["size", "kind=blue", "kind=green", "kind=red", "other"]
    np.testing.assert_allclose(made.iloc[:, 1:4].sum(axis=1), 1, rtol=1e-5)
    assert made["size"].between(0, 10).all()
    model = hourglass.load("table")
    x = torch.tensor([[torch.nan, 0, 0, 1, 0.0]], dtype=torch.float64)
    (fill,) = (run.parts.data.fill[None],) if run.parts.data.fill is not None else (None,)
    assert run.parts.data.scaling is not None
    x_filled = torch.where(x.isnan(), run.parts.data.scaling.undo(fill), x)
    assert torch.equal(model.encode(x), model.encode(x_filled))
    Path("more.csv").write_text("size,kind,other\n5,pink,0\n")
    assert main(["encode", "table", "more.csv", "codes.npy"]) == 2
    assert "column kind must hold one of blue, green, red, got 'pink' in line 2" in capsys.readouterr().err


def test_another_table_is_measured_with_the_same_categories(run: Result) -> None:
    whole = pd.read_csv("table.csv")
    whole[:100].to_csv("other.csv", index=False)
    _, metrics = evaluate("table", ["data=csv", "data.path=other.csv"], uri=None)  # read as its own was
    assert metrics["test/cross_entropy"] == pytest.approx(run.metrics["test/cross_entropy"], rel=0.5)
    whole.dropna()[:50].to_csv("other.csv", index=False)  # nothing is missing, and the run's own has holes
    _, metrics = evaluate("table", ["data=csv", "data.path=other.csv", "data.missing=refuse"], uri=None)
    assert 0 <= metrics["test/anomaly_auroc"] <= 1
    whole[whole.kind != "red"].to_csv("other.csv", index=False)
    with pytest.raises(
        HourglassError, match=r"other categories than the model was trained on \(kind: blue, green, red\)"
    ):
        evaluate("table", ["data=csv", "data.path=other.csv", "data.missing=mask"], uri=None)


def rows_in(path: str, size: int, *, height: float, holes: bool = False) -> pd.DataFrame:
    """Rows of two columns, and a class; of the second every other is missing if there are holes."""
    random = np.random.default_rng(size)
    frame = pd.DataFrame({"x": random.uniform(0, 1, size), "height": height + random.uniform(0, 1, size)})
    if holes:
        frame.loc[::2, "height"] = np.nan
    frame = frame.assign(kind=np.array(["left", "right"])[np.arange(size) % 2])
    frame.to_csv(path, index=False)
    frame.to_parquet(Path(path).with_suffix(".parquet"))
    return frame


FILLED = ["model=mean", "data.missing=mean", "data.label_column=kind", "callback=quick", "trainer.accelerator=cpu"]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_holes_of_another_table_are_filled_with_the_runs_own_means(
    kind: str, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows_in("filled.csv", 200, height=5, holes=True)
    other = rows_in("others.csv", 80, height=7, holes=True).drop(columns="kind")
    config, made = compose_config([f"data={kind}", f"data.path=filled.{kind}", *FILLED, f"name={kind} filled"])
    ours = train(config, choices=made, folder=home).parts.data
    assert ours.scaling is not None
    means = ours.scaling.undo(ours.train.x).mean(0).numpy()  # of what is there, which the holes are filled with
    errors = ((other.fillna({"height": means[1]}).to_numpy() - means) / ours.scaling.scale.numpy()) ** 2
    caplog.set_level("INFO", "hourglass")
    done, metrics = evaluate(f"{kind} filled", [f"data={kind}", f"data.path=others.{kind}"], uri=None)
    assert metrics["test/mse"] == pytest.approx(errors.mean(), rel=1e-4)
    assert done.params["data.missing"] == "mean"
    assert any(text.endswith("in height: the mean of its column stands for each") for text in caplog.messages)
    assert done.params["data.label_column"] == "kind"  # which the file holds: no input
    other.to_csv("others.csv", index=False)
    other.to_parquet("others.parquet")
    done, bare = evaluate(f"{kind} filled", [f"data={kind}", f"data.path=others.{kind}"], uri=None)
    assert bare["test/mse"] == metrics["test/mse"]
    assert done.params["data.label_column"] == "null"


def test_holes_of_other_frames_are_filled_with_the_runs_own_means() -> None:
    given, other = (rows_in("any.csv", size, height=high, holes=True) for size, high in ((200, 5), (80, 7)))
    given, other = given.drop(columns="kind"), other.drop(columns="kind")
    words = {"data.missing": "mean", "trainer.accelerator": "cpu"}
    fitted = hourglass.fit(given, model="mean", callback="quick", tracking=None, overrides=words)
    scaling, fill = fitted.data.scaling, fitted.data.fill
    assert scaling is not None
    assert fill is not None
    means = scaling.undo(fill[None])[0].numpy()
    errors = ((other.fillna({"height": means[1]}).to_numpy() - means) / scaling.scale.numpy()) ** 2
    assert fitted.evaluate(other)["test/mse"] == pytest.approx(errors.mean(), rel=1e-4)
    whole = hourglass.fit(given.dropna(), model="mean", callback="quick", tracking=None, overrides=words)
    with pytest.raises(HourglassError, match=r"^data=arrays has missing entries, .*data\.missing must be drop or mask"):
        whole.evaluate(other)


@pytest.mark.long
def test_a_position_of_labels_is_one_where_there_are_labels(home: Path) -> None:
    rows = rows_in("any.csv", 100, height=5)
    for header in (True, False):
        name = f"labelled {header}"
        rows[["x", "kind", "height"]].to_csv("labelled.csv", index=False, header=header)
        words = ["data=csv", "data.path=labelled.csv", *FILLED, "data.label_column=1", f"name={name}"]
        config, made = compose_config(words)
        train(config, choices=made, folder=home)
        found = []
        for columns in (["x", "kind", "height"], ["x", "height"]):
            rows[columns][:60].to_csv("others.csv", index=False, header=header)
            done, metrics = evaluate(name, ["data=csv", "data.path=others.csv"], uri=None)
            found.append((done.params["data.label_column"], metrics["test/mse"]))
        assert [label for label, _ in found] == ["1", "null"]
        assert found[0][1] == found[1][1]


def test_a_stack_learns_what_single_runs_do(home: Path) -> None:
    def job(size: int, folder: str) -> Member:
        config, choices = compose_config(
            [*WORDS, "training.epochs=1", f"model.code_size={size}", "trainer.accelerator=cpu"]
        )
        (home / folder).mkdir()
        return Member(config, choices, home / folder)

    members = [job(2, "a"), job(4, "b")]
    for ended, member in zip(train_fused(members), members, strict=True):
        assert ended.result is not None
        alone = train(member.config, choices=member.choices, folder=member.folder)
        for name in ("test/loss", "test/mse", "test/cross_entropy"):
            assert ended.result.metrics[name] == pytest.approx(alone.metrics[name], rel=1e-3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["model=pca", "model.code_size=2"],
            r"data\.categorical: columns of names need a procedure that .*got ClosedForm; or data\.exclude",
        ),
        (
            ["data.exclude=[kind]", "model=pca", "model.code_size=1"],
            r"data\.missing=mask: .*got ClosedForm; or data\.missing=mean",
        ),
        (["training=recirculation"], r"data\.categorical: .*got Recirculation"),
    ],
)
def test_procedures_that_would_take_them_for_numbers_are_refused(words: list[str], message: str) -> None:
    kept = [word for word in WORDS if not word.startswith(("training", "model", "callback"))]
    with pytest.raises(HourglassError, match=message):
        compose(compose_config([*kept, *words])[0])


def test_frames_with_names_and_holes_train_from_python() -> None:
    frame = pd.read_csv("table.csv").astype({"kind": "category"})
    fitted = hourglass.fit(
        frame, model="vanilla", code_size=2, epochs=1, tracking=None, overrides={"data.missing": "mask"}
    )
    assert fitted.data.columns == ("size", "kind=blue", "kind=green", "kind=red", "other")
    assert fitted.encode(frame[["other", "kind", "size"]]).shape == (400, 2)
    assert fitted.evaluate(frame[:50])["test/category_accuracy"] <= 1
    labelled = hourglass.fit(
        np.random.default_rng(0).normal(size=(60, 4)), ["a", "b"] * 30, model="vanilla", code_size=2, epochs=1,
        tracking=None, overrides={"data.scaling": "unit"},
    )  # fmt: skip
    assert labelled.data.classes == ("a", "b")
