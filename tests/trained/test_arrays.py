"""Trained models applied: loaded, and used on arrays in files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import hourglass
from hourglass.commands.main import main
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.train import Result, train
from hourglass.system.errors import HourglassError
from hourglass.trained import arrays
from hourglass.trained.load import Trained


def trained_in(folder: Path, *overrides: str) -> Result:
    whole, choices = compose_config(
        [
            "data=digits",
            "training.epochs=2",
            "optimizer.lr=0.01",
            "trainer.accelerator=cpu",
            "~callback.pictures",
            f"tracking.uri=sqlite:///{folder}/mlflow.db",
            *overrides,
        ]
    )
    return train(whole, choices=choices, folder=folder)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def images(home: Path) -> Result:
    return trained_in(home, "noise=masking", "model.code_size=5", "name=images")


@pytest.fixture(scope="module")
def conv(home: Path, images: Result) -> Result:  # noqa: ARG001 - the store is made by the first
    return trained_in(home, "model=conv", "name=conv", "callback=[quick,pictures,baselines]")


@pytest.fixture(scope="module")
def rows(home: Path, images: Result) -> Result:  # noqa: ARG001
    return trained_in(
        home,
        "data=purchases",
        "data.rows=300",
        "model.code_size=3",
        "name=rows",
        "callback=[quick,pictures,baselines]",
    )


def uri_of(result: Result) -> str:
    return result.run.uri


def trained(result: Result) -> Trained:
    return Trained.of(result.run.id, uri=uri_of(result))


# -- loading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["images", "conv", "rows"])
def test_load_gives_the_model_that_was_trained(which: str, request: pytest.FixtureRequest) -> None:
    result: Result = request.getfixturevalue(which)
    original = result.parts.model.eval()
    x = result.parts.data.scaled(result.parts.data.test.x)
    for reference in (result.run.id, result.run.id[:8], which):
        model = hourglass.load(reference, uri=uri_of(result))
        assert not model.training
        assert torch.equal(model(x).reconstruction, original(x).reconstruction)
        assert torch.equal(model.encode(x), original.encode(x))
        assert torch.equal(model.decode(model.encode(x)), original(x).reconstruction)


def test_load_finds_the_store_in_the_current_directory_and_in_the_environment(
    home: Path, images: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(home)
    assert hourglass.load("images").code_size == 5
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri_of(images))
    assert hourglass.load("images").code_size == 5


def test_load_of_an_unknown_run(images: Result) -> None:
    with pytest.raises(ValueError, match=r"^run 'nobody' is not in sqlite:"):
        hourglass.load("nobody", uri=uri_of(images))


def test_load_does_not_disturb_the_random_numbers_of_the_caller(images: Result) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    hourglass.load("images", uri=uri_of(images))
    assert torch.equal(torch.rand(3), expected)


# -- arrays in files -------------------------------------------------------------------------------------------------


@pytest.fixture
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the store of the trained models."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("which", ["images", "conv", "rows"])
def test_encode_decode_and_reconstruct_agree(which: str, here: Path, request: pytest.FixtureRequest) -> None:
    result: Result = request.getfixturevalue(which)
    data, model = result.parts.data, result.parts.model.eval()
    x = data.scaled(data.test.x)
    np.save(here / "x.npy", data.test.x.numpy())
    assert main(["encode", which, "x.npy", "codes.npy"]) == 0
    assert main(["decode", which, "codes.npy", "decoded.npy"]) == 0
    assert main(["reconstruct", which, "x.npy", "reconstructed.npy"]) == 0
    codes, decoded, reconstructed = (np.load(here / f"{n}.npy") for n in ("codes", "decoded", "reconstructed"))
    assert codes.shape == (len(x), model.code_size)
    assert codes.dtype == decoded.dtype == reconstructed.dtype == np.float32
    assert np.array_equal(codes, model.encode(x).detach().numpy())
    assert np.array_equal(reconstructed, model(x).reconstruction.detach().numpy())
    assert np.array_equal(decoded, reconstructed)
    assert reconstructed.shape == tuple(x.shape)


def test_grey_levels_and_floats_and_flat_images_are_the_same_samples(images: Result, here: Path) -> None:
    grey = images.parts.data.test.x.numpy()
    x = grey / np.float32(255)
    expected = trained(images).model.encode(torch.from_numpy(x)).detach().numpy()
    for array in (grey, x, x.astype(np.float64), x[:, 0], grey.reshape(len(grey), -1)):
        np.save(here / "x.npy", array)
        samples = arrays.read_samples("x.npy", trained(images))
        np.testing.assert_allclose(arrays.encode(trained(images), samples).numpy(), expected, rtol=1e-6, atol=1e-6)
    # a file in the other byte order, and one that isn't contiguous
    for array in (x.astype(">f4"), np.asfortranarray(x)):
        np.save(here / "x.npy", array)
        samples = arrays.read_samples("x.npy", trained(images))
        np.testing.assert_allclose(arrays.encode(trained(images), samples).numpy(), expected, rtol=1e-6, atol=1e-6)


def test_more_samples_than_a_batch_and_none_at_all(images: Result, here: Path) -> None:
    x = np.random.default_rng(0).random((2 * arrays.EVAL_BATCH + 1, 1, 8, 8), dtype=np.float32)
    model = trained(images)
    np.save(here / "x.npy", x)
    codes = arrays.encode(model, arrays.read_samples("x.npy", model))
    torch.testing.assert_close(codes, model.model.encode(torch.from_numpy(x)).detach())
    np.save(here / "x.npy", x[:0])
    assert arrays.encode(model, arrays.read_samples("x.npy", model)).shape == (0, 5)


def test_floats_beyond_the_range_are_taken_where_the_data_had_no_bounds(here: Path, home: Path) -> None:
    # Standardised data have the range they happen to have: new rows may leave it.
    table = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    np.savez(home / "table.npz", x=table)
    result = trained_in(
        home,
        "data=npz",
        f"data.path={home}/table.npz",
        "model.output_activation=linear",
        "model.code_size=2",
        "name=unbounded",
        "callback=[quick,pictures,baselines]",
    )
    np.save(here / "x.npy", 3 * table)
    assert arrays.read_samples("x.npy", trained(result)).shape == (100, 6)


# -- shapes, ranges and pictures --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def colour(home: Path, images: Result) -> Result:  # noqa: ARG001
    """A model of wide colour images, floats in [-1, 1]."""
    x = np.random.default_rng(0).uniform(-0.999, 0.999, (60, 3, 4, 6)).astype(np.float32)
    np.savez(home / "colour.npz", x=x)
    return trained_in(
        home,
        "data=npz",
        f"data.path={home}/colour.npz",
        "model.output_activation=tanh",
        "model.code_size=4",
        "name=colour",
        "callback=[quick,pictures,baselines]",
    )


@pytest.mark.parametrize("shape", [(5, 4, 6, 3), (5, 3, 6, 4), (5, 12, 6), (5, 71), (3, 4, 6)])
def test_what_has_as_many_values_in_another_shape_is_refused(
    colour: Result, here: Path, capsys: pytest.CaptureFixture[str], shape: tuple[int, ...]
) -> None:
    np.save(here / "x.npy", np.zeros(shape, np.float32))
    for command in ("encode", "reconstruct"):
        assert main([command, "colour", "x.npy", "out.npy"]) == 2
        said = capsys.readouterr().err
        assert said.startswith(
            f"hourglass: x.npy holds an array of shape {shape}, the model takes (N, 3, 4, 6), or (N, 72)"
        )
        assert said.count("\n") == 1
    assert not (here / "out.npy").exists()
    with pytest.raises(HourglassError, match=r"^x holds an array of shape .*, the model takes \(N, 3, 4, 6\), or"):
        hourglass.load("colour", uri=uri_of(colour)).encode(np.zeros(shape, np.float32))


def test_values_of_another_range_are_refused_or_scaled(
    colour: Result, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = colour.parts.data.test.x
    expected = trained(colour).model.encode(x).detach().numpy()
    levels = ((x + 1) / 2 * 255).numpy()
    np.save(here / "x.npy", levels)
    assert main(["encode", "colour", "x.npy", "out.npy"]) == 2
    said = capsys.readouterr().err
    assert "the model was trained on data from -0.99" in said
    assert "say range=LOW,HIGH to have values of that range scaled, or range=any to take them as they are" in said
    assert main(["encode", "colour", "x.npy", "out.npy", "range=0,255"]) == 0
    np.testing.assert_allclose(np.load(here / "out.npy"), expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        hourglass.load("colour", uri=uri_of(colour)).encode(levels, range=(0, 255)).detach().numpy(),
        expected,
        rtol=1e-3,
        atol=1e-3,
    )
    np.save(here / "x.npy", levels.round().astype(np.uint8))  # grey levels are known to be 0 to 255
    assert main(["encode", "colour", "x.npy", "out.npy"]) == 0
    np.testing.assert_allclose(np.load(here / "out.npy"), expected, atol=0.05)
    assert main(["encode", "colour", "x.npy", "out.npy", "range=any"]) == 0
    assert abs(np.load(here / "out.npy")).max() > 10 * abs(expected).max()
    capsys.readouterr()
    for wrong in ("range=5", "255", "rnage=0,255"):
        assert main(["encode", "colour", "x.npy", "out.npy", wrong]) == 2
        assert "range" in capsys.readouterr().err


@pytest.mark.usefixtures("images", "colour")
def test_pictures_and_folders_of_them_are_samples(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    levels = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
    for number, pixels in enumerate(levels):
        (here / "many" / "below").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(here / "many" / "below" / f"{number}.png")
    np.save(here / "x.npy", levels.transpose(0, 3, 1, 2))
    for source in ("many", "x.npy"):
        assert main(["encode", "colour", source, f"{source}.out.npy"]) == 0
    assert np.array_equal(np.load(here / "many.out.npy"), np.load(here / "x.npy.out.npy"))
    Image.fromarray(levels[0]).resize((40, 30)).save(here / "photo.JPG")
    capsys.readouterr()
    for which in ("colour", "images"):
        assert main(["encode", which, "photo.JPG", "out.npy"]) == 0
    assert capsys.readouterr().out.splitlines() == ["out.npy: float32 (1, 4)", "out.npy: float32 (1, 5)"]
    (here / "broken.png").write_bytes(b"no picture")
    (here / "empty").mkdir()
    for source, message in (
        ("broken.png", "broken.png can't be read as an image"),
        ("empty", "path must be a folder with images"),
        ("nothing.jpg", "nothing.jpg can't be read: there is no such file"),
    ):
        assert main(["encode", "colour", source, "out.npy"]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert message in said


def test_whole_numbers_are_codes(images: Result, here: Path) -> None:
    np.save(here / "codes.npy", np.ones((2, 5), np.uint8))
    assert arrays.read_codes("codes.npy", trained(images)).tolist() == [[1.0] * 5] * 2
    np.save(here / "codes.npy", np.full((2, 5), np.nan))
    with pytest.raises(HourglassError, match=r"^codes\.npy holds values that are not finite$"):
        arrays.read_codes("codes.npy", trained(images))


# -- tables, in their own units --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scaled(home: Path, images: Result) -> Result:  # noqa: ARG001
    """A model of 200 rows (metres, grams, class) whose columns are far from [0, 1]."""
    random = np.random.default_rng(0)
    height = random.uniform(1.5, 2, 200)
    table = np.stack([height, 40_000 * height + random.normal(0, 500, 200), np.arange(200) % 2], axis=1)
    np.savetxt(home / "people.csv", table, delimiter=";", header="height;weight;kind", comments="")
    return trained_in(
        home,
        "data=csv",
        f"data.path={home}/people.csv",
        "data.delimiter=';'",
        "data.label_column=kind",
        "data.scaling=standard",
        "model.output_activation=linear",
        "model.code_size=2",
        "model.bottleneck.activation=linear",
        "training.epochs=60",
        "optimizer.lr=0.05",
        "name=scaled",
        "callback=[quick,pictures,baselines]",
        "tracking.log_model=true",
    )


def test_a_loaded_table_model_works_in_the_units_of_the_table(scaled: Result) -> None:
    data = scaled.parts.data
    assert data.scaling is not None
    model, bare = hourglass.load("scaled", uri=uri_of(scaled)), scaled.parts.model.eval()
    rows = data.unscaled(data.test.x)  # metres and grams
    assert rows[:, 0].mean().item() == pytest.approx(1.75, abs=0.1)
    code = model.encode(rows)
    torch.testing.assert_close(code, bare.encode(data.test.x))
    output = model(rows)
    torch.testing.assert_close(output.code, code)
    assert output.reconstruction.dtype == torch.float64
    # by hand: offset + scale g(h)
    expected = bare.decode(code).double() * data.scaling.scale + data.scaling.offset
    torch.testing.assert_close(output.reconstruction, expected)
    torch.testing.assert_close(model.decode(code), expected)
    assert (output.reconstruction - rows).abs().mean(0)[1].item() < 3000  # grams, of 60,000 to 80,000
    assert (model.shape, model.code_size) == ((2,), 2)


def test_the_columns_of_a_frame_are_taken_by_their_names(scaled: Result) -> None:
    model = hourglass.load("scaled", uri=uri_of(scaled))
    frame = pd.DataFrame({"height": [1.6, 1.9], "weight": [64_000.0, 77_000.0], "name": ["x", "y"]})
    expected = model.encode(frame[["height", "weight"]].to_numpy())
    assert torch.equal(model.encode(frame[["weight", "height"]]), expected)
    assert torch.equal(model.encode(frame), expected)
    with pytest.raises(HourglassError, match=r"^x must have the columns height, weight, got none named weight$"):
        model.encode(frame[["height", "name"]])
    with pytest.raises(
        HourglassError, match=r"^x must have the columns height, weight, got none named height, weight$"
    ):
        model.encode(pd.DataFrame([[1.6, 64_000.0]]))


def test_rows_go_in_and_out_of_files_in_the_units_of_the_table(
    scaled: Result, here: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = scaled.parts.data.unscaled(scaled.parts.data.test.x).numpy()
    np.save(here / "rows.npy", rows)
    assert main(["reconstruct", "scaled", "rows.npy", "out.npy"]) == 0
    assert capsys.readouterr().out == "out.npy: float64 (20, 2)\n"
    assert main(["encode", "scaled", "rows.npy", "codes.npy"]) == 0
    assert main(["decode", "scaled", "codes.npy", "decoded.npy"]) == 0
    out, codes, decoded = (np.load(here / f"{name}.npy") for name in ("out", "codes", "decoded"))
    model = hourglass.load("scaled", uri=uri_of(scaled))
    np.testing.assert_allclose(out, model(torch.from_numpy(rows)).reconstruction.detach().numpy())
    np.testing.assert_array_equal(out, decoded)
    assert codes.dtype == np.float32
    # the same from a csv file, which may hold the label, into one
    assert main(["reconstruct", "scaled", str(home / "people.csv"), "out.csv"]) == 0
    lines = (here / "out.csv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("height,weight", 201)
    whole = np.loadtxt(home / "people.csv", delimiter=";", skiprows=1)[:, :2]
    np.save(here / "whole.npy", whole)
    assert main(["reconstruct", "scaled", "whole.npy", "whole_out.npy"]) == 0
    np.testing.assert_allclose(np.loadtxt(here / "out.csv", delimiter=",", skiprows=1), np.load(here / "whole_out.npy"))
    # whole numbers are numbers too, uint8 not grey levels
    for kind in (np.int64, np.uint8):
        np.save(here / "whole.npy", np.full((1, 2), 2, dtype=kind))
        assert arrays.read_samples("whole.npy", trained(scaled)).tolist() == [[2.0, 2.0]]


def test_the_mlflow_model_of_a_table_works_in_its_units_too(
    scaled: Result, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri_of(scaled))
    (kept,) = mlflow.MlflowClient(uri_of(scaled)).get_run(scaled.run.id).outputs.model_outputs
    served = mlflow.pyfunc.load_model(f"models:/{kept.model_id}")
    rows = np.loadtxt(home / "people.csv", delimiter=";", skiprows=1)[:5, :2]  # metres and grams
    expected = hourglass.load("scaled", uri=uri_of(scaled))(torch.from_numpy(rows)).reconstruction
    np.testing.assert_allclose(served.predict(rows), expected.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("which", "text", "message"),
    [
        ("scaled", "weight;height\n1;2\n", "more.csv must hold the columns height, weight, got weight, height"),
        ("scaled", "height;weight\n1;x\n", "column weight must hold numbers, got 'x' in line 2 of more.csv"),
        ("scaled", "height;weight\n1;nan\n", "more.csv holds values that are not finite"),
        ("rows", "1,2\n", "more.csv must hold the columns basket_value, "),
        ("images", "1,2\n", r"more.csv holds rows, the model takes \(N, 1, 8, 8\) in a .npy file"),
    ],
)
def test_csv_files_that_do_not_fit(
    which: str, text: str, message: str, here: Path, request: pytest.FixtureRequest
) -> None:
    model = trained(request.getfixturevalue(which))
    (here / "more.csv").write_text(text)
    with pytest.raises(HourglassError, match=message):
        arrays.read_samples("more.csv", model)


@pytest.mark.usefixtures("images")
def test_of_a_table_some_of_whose_columns_were_chosen_these_are_taken(here: Path, home: Path) -> None:
    table = np.random.default_rng(0).uniform(size=(60, 4))
    words = ["data=csv", "data.columns=[c,a]", "model.code_size=1", "callback=[quick,pictures,baselines]"]
    for header, name, chosen in (("a,b,c,d", "named", "[c,a]"), ("", "bare", "[2,0]")):
        np.savetxt(here / f"{name}.csv", table, delimiter=",", header=header, comments="")
        given = [f"data.path={here}/{name}.csv", f"data.columns={chosen}", f"name={name}", "training.epochs=1"]
        trained_in(home, *words, *given)
        np.save(here / "picked.npy", table[:, [2, 0]])
        assert main(["encode", name, f"{name}.csv", "codes.npy"]) == 0
        assert main(["encode", name, "picked.npy", "expected.npy"]) == 0
        np.testing.assert_allclose(np.load(here / "codes.npy"), np.load(here / "expected.npy"), atol=1e-6)


@pytest.mark.usefixtures("scaled")
def test_rows_of_another_unit_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "more.csv").write_text("height;weight\n175;70000\n180;72000\n")  # centimetres
    assert main(["encode", "scaled", "more.csv", "out.npy"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("hourglass: more.csv holds column height with half of its values at 175 or above, the model")
    assert said.endswith("say range=any to take them as they are\n")
    assert main(["encode", "scaled", "more.csv", "out.npy", "range=any"]) == 0
    assert main(["encode", "scaled", "more.csv", "out.npy", "range=0,255"]) == 2
    assert "range takes any here" in capsys.readouterr().err


def test_only_rows_can_be_written_to_csv(here: Path) -> None:
    with pytest.raises(
        HourglassError, match=r"^out.csv can't hold an array of shape \(2, 1, 8, 8\): write it to a .npy"
    ):
        arrays.write("out.csv", torch.zeros(2, 1, 8, 8))
    arrays.write("out.csv", torch.tensor([[1.5, 2.0]]), columns=["a", "b, c"])
    assert (here / "out.csv").read_text().splitlines() == ['a,"b, c"', "1.5,2.0"]


def test_what_is_written_is_whole_and_replaces_what_was_there(here: Path) -> None:
    values = torch.rand(3, 2)
    (here / "out.npy").write_text("old")
    arrays.write("out.npy", values)
    assert np.array_equal(np.load(here / "out.npy"), values.numpy())
    assert [path.name for path in here.iterdir()] == ["out.npy"]
    with pytest.raises(HourglassError, match=r"^nowhere/out.npy can't be written: there is no folder nowhere"):
        arrays.write("nowhere/out.npy", values)
