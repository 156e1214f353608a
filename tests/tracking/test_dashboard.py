import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import psutil
import pytest

from hourglass.tracking import Run, TrackingUnavailable, serve
from hourglass.tracking.dashboard import with_first_choices
from hourglass.tracking.retries import at_most

INDEX = '<!doctype html><html><head><script defer src="main.js"></script></head></html>'


def _server(uri: str, port: int = 0) -> tuple["subprocess.Popen[str]", str]:
    code = "import sys; from hourglass.tracking import serve; serve(uri=sys.argv[1], port=int(sys.argv[2]))"
    server = subprocess.Popen(
        [sys.executable, "-c", code, uri, str(port)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert server.stdout is not None
    return server, server.stdout.readline().split()[1]


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.status == 200
        return str(answer.read().decode())


def _status(url: str, data: bytes | None = None, **headers: str) -> int:
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_choices_stand_before_any_other_script_and_only_fill_gaps() -> None:
    page = with_first_choices(INDEX, "#/experiments/1/runs")
    script = page[: page.index("main.js")]
    for key, value in [
        ("mlflow.workflowType_v1", '"machine_learning"'),
        ("mlflow.assistant.panelOpen_v1", "false"),
        ("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true"),
    ]:
        assert f"if (localStorage.getItem('{key}') === null) localStorage.setItem('{key}', '{value}');" in script
    assert "if (location.hash === '') location.replace('#/experiments/1/runs');" in script
    assert "location" not in with_first_choices(INDEX, "")


def test_a_page_that_is_not_understood_is_refused() -> None:
    with pytest.raises(ValueError, match="this version of MLflow is not supported"):
        with_first_choices("<html></html>", "")


@pytest.mark.long
def test_a_server_shows_the_runs_ends_without_a_trace_and_loses_no_points_when_it_comes_back(
    run: Run, uri: str
) -> None:
    run.log_text("hello", "note.txt")
    experiment = run._client.get_experiment_by_name("hourglass").experiment_id
    server, url = _server(uri)
    try:
        # Pages
        assert _get(f"{url}/health") == "OK"
        page = _get(f"{url}/")
        assert "mlflow.workflowType_v1" in page
        assert f"location.replace('#/experiments/{experiment}/runs')" in page
        assert _get(f"{url}/get-artifact?path=note.txt&run_id={run.id}") == "hello"
        far = Run.start(uri=url, experiment="remote", name="far", tags={}, params={})
        far.log_metrics({"loss": 1.0}, 1)
        far.flush()

        # Not for pages of other sites, which may call this address by a name of theirs, or post to it
        search = f"{url}/api/2.0/mlflow/runs/search"
        assert _status(f"{url}/", Host="127.0.0.1:1234") == 200
        for path in (f"{url}/", f"{url}/get-artifact?path=note.txt&run_id={run.id}", search):
            assert _status(path, Host="evil.example") == 403
        for origin in ("https://evil.example", "http://127.0.0.1.evil.example", "null"):
            assert _status(search, b"{}", Origin=origin) == 403

        # One process, for this machine only, that ends cleanly
        process = psutil.Process(server.pid)
        listening = [each.laddr for each in process.net_connections() if each.status == psutil.CONN_LISTEN]
        assert [address.ip for address in listening] == ["127.0.0.1"]
        assert process.children(recursive=True) == []
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", listening[0].port))

        # Points wait while it is away
        for step in range(2, 1000):
            far.log_metrics({"loss": 1 / step}, step)
        with pytest.raises(TrackingUnavailable, match=f"tracking.uri={url} cannot be used"), at_most(0.5):
            far.flush()
        server, _ = _server(uri, listening[0].port)
        far.log_weights({}, metadata={"empty": "yes"})
        far.finish()
        assert far.history("loss") == [(step, 1 / step) for step in range(1, 1000)]
        assert Run.find("far", url).artifact("weights.safetensors").is_file()
        assert Run.find("far", uri).status == "FINISHED"
        server.send_signal(signal.SIGINT)
        assert server.wait() == 0
    finally:
        server.kill()
        server.wait()


def test_a_port_in_use_is_named(uri: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port={port} on 127.0.0.1 cannot be used .*in use.*port={port + 1}"):
            serve(uri=uri, port=port)
    with pytest.raises(ValueError, match="port must be from 0 to 65535, got 70000"):
        serve(uri=uri, port=70000)
