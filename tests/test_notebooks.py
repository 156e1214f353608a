"""The notebooks: stripped, run by the kernel of a person's own notebook, and what a training shows there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert [path.name for path in NOTEBOOKS] == ["first_run.ipynb", "own_autoencoder.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stripped_and_its_links_lead_somewhere(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert set(notebook.metadata.kernelspec.values()) == {"Python 3", "python", "python3"}
    for cell in notebook.cells:
        assert cell.metadata == {}
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
        for link in re.findall(r"\]\(([^)#]+)", cell.source) if cell.cell_type == "markdown" else ():
            assert (FOLDER / link).exists(), link


class Shown:
    """A notebook that was run: what its cells show."""

    def __init__(self, client: NotebookClient) -> None:
        self.client = client
        self.outputs = [each for cell in client.nb.cells for each in cell.get("outputs", [])]

    def said(self) -> str:
        return "".join(each.text for each in self.outputs if each.output_type == "stream")

    def results(self) -> list[str]:
        return [each.data["text/plain"] for each in self.outputs if each.output_type == "execute_result"]

    def pictures(self) -> int:
        return sum("image/png" in each.get("data", {}) for each in self.outputs)

    def bars(self) -> Iterator[dict[str, Any]]:
        for state in self.client.widget_state.values():
            if state.get("_model_name") == "FloatProgressModel":
                yield state

    def texts(self) -> list[str]:
        """What stands beside bars."""
        held = [state for state in self.client.widget_state.values() if state.get("_model_name") == "HTMLModel"]
        return [state["value"].replace("\u2007", " ") for state in held]


def run(name: str, folder: Path) -> Shown:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute()  # raises what a cell raises
    assert (folder / "mlflow.db").exists()
    return Shown(client)


@pytest.mark.long
def test_the_first_run(tmp_path: Path) -> None:
    shown = run("first_run", tmp_path)
    assert shown.pictures() == 3
    assert re.fullmatch(r"Fitted autoencoder: .*\n  run +first \([0-9a-f]{32}\)", shown.results()[1], re.DOTALL)
    assert shown.results()[-1] == "(0.0, 16)"  # the same codes as before it was recorded; the largest code is best
    # One bar, which has come to its end, and what it says of the last epoch; no lines of epochs beside it.
    pytest.importorskip("ipywidgets")
    (bar,) = shown.bars()
    assert (bar["value"], bar["max"], bar["bar_style"]) == (360, 360, "success")
    left, right = (text for text in shown.texts() if text)
    assert left == "training: 100%"
    assert re.match(r" 360/360 \[.*step/s, epoch 60, val loss 0\.\d+, mse 0\.\d+\]$", right)
    said = shown.said()
    assert "epoch" not in said
    assert "measuring on the 180 test samples of arrays\n" in said
    assert "done     model.code_size=16: test/mse" in said
    assert "\r" not in said


@pytest.mark.long
def test_an_autoencoder_of_ones_own_and_lines_where_there_are_no_widgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "site"
    hidden.mkdir()
    # As if it were not installed, for every import and every look.
    (hidden / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "found = PathFinder.find_spec\n"
        "PathFinder.find_spec = lambda name, *rest: None if name == 'ipywidgets' else found(name, *rest)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(hidden))
    shown = run("own_autoencoder", tmp_path)
    assert shown.pictures() == 1
    before, after = map(float, re.findall(r"\d\.\d{3}", shown.results()[-2]))
    assert after < 0.1 < before
    assert re.search(r"^bundled +0\.\d+", shown.results()[-1], re.MULTILINE)
    assert not list(shown.bars())
    lines = re.findall(r"^epoch (\d+), step (\d+) of 360: val loss \d\.\d+, mse \d\.\d+$", shown.said(), re.MULTILINE)
    assert lines == 3 * [(str(6 * tenth), str(36 * tenth)) for tenth in range(1, 11)]
    assert "\r" not in shown.said()
