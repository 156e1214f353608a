"""Registered models answer over HTTP, in the units of the data."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch

import hourglass
from hourglass.commands.main import main
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.train import train

ROWS = [[1.6, 64_000.0], [1.9, 76_000.0], [1.7, 68_000.0]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run `table` lies, of metres and grams, registered as `people`."""
    home = tmp_path_factory.mktemp("home")
    height = np.random.default_rng(0).uniform(1.5, 2, 120)
    np.savetxt(home / "people.csv", np.stack([height, 40_000 * height], 1), delimiter=",", header="m,g", comments="")
    words = [
        "data=csv",
        f"data.path={home}/people.csv",
        f"tracking.uri=sqlite:///{home}/mlflow.db",
        "tracking.register=people",
        "model.code_size=1",
        "training.epochs=1",
        "callback=quick",
        "name=table",
    ]
    config, choices = compose_config(words)
    train(config, choices=choices, folder=home)
    return home


@pytest.fixture
def there(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(home)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    yield home
    mlflow.set_registry_uri("")


def expected(gives: str) -> np.ndarray:
    output = hourglass.load("table")(torch.tensor(ROWS, dtype=torch.float64))
    return np.asarray({"reconstruction": output.reconstruction, "code": output.code}[gives].detach())


@pytest.mark.usefixtures("there")
def test_a_registered_model_answers_as_the_run_in_the_units_of_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    from mlflow.pyfunc.scoring_server import init
    from starlette.testclient import TestClient

    served = mlflow.pyfunc.load_model("models:/people/1")
    signature = served.metadata.signature
    assert (signature.inputs.inputs[0].shape, signature.inputs.inputs[0].type) == ((-1, 2), np.dtype("float64"))
    assert served.metadata.metadata == {"units": "the table's own", "columns": ["m", "g"]}
    assert np.asarray(served.input_example).shape == (2, 2)
    client = TestClient(init(served))
    answer = client.post("/invocations", json={"inputs": ROWS})
    assert np.allclose(answer.json()["predictions"], expected("reconstruction"), rtol=1e-6)
    assert client.post("/invocations", json={"inputs": [[1.0]]}).status_code == 400
    assert main(["register", "table", "people", "gives=code"]) == 0
    address, line = capsys.readouterr().out.splitlines()
    assert address == "models:/people/2"
    assert line.endswith(" mlflow models serve -m models:/people/2 --env-manager local --port 5001")
    found = mlflow.pyfunc.load_model(address).predict(np.array(ROWS))
    assert np.allclose(found, expected("code"), atol=1e-5)


@pytest.mark.slow
def test_mlflow_serves_it_over_http(there: Path) -> None:
    program = next(Path(str(file.locate())) for file in files("uvicorn") or [] if file.name == "uvicorn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["models", "serve", "-m", "models:/people/1", "--env-manager", "local", "--port", str(port)]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words, "--host", "127.0.0.1"],
        env={**os.environ, "PATH": f"{program.resolve().parent}{os.pathsep}{os.environ['PATH']}"},
        cwd=there,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        while not answers(port):
            assert server.poll() is None, server.communicate()[0].decode()
            time.sleep(0.5)
        found = ask(port, {"inputs": ROWS})
        assert np.allclose(found["predictions"], expected("reconstruction"), rtol=1e-6)
        with pytest.raises(urllib.error.HTTPError, match="400"):
            ask(port, {"inputs": [[1.0]]})
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def ask(port: int, body: Any) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
