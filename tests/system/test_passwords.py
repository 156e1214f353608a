"""Passwords in addresses: shown nowhere, written nowhere, and used all the same by a real server that asks for one."""

import base64
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hourglass.system import passwords
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run, TrackingUnavailable, resolve_uri, search_runs

SECRETS = (
    "secret",
    "p@ss@word",
    "a:b:secret",
    "sec/ret",
    "sec#ret?",
    "100%secret",
    "sec%40ret",
    "sec ret",
    "'sec\"ret",
    "*",
)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg2", "postgres", "nonsense"])
def test_an_address_is_shown_without_its_password(scheme: str, secret: str) -> None:
    uri = f"{scheme}://me:{secret}@127.0.0.1:5000/runs"
    assert passwords.redacted(uri) == f"{scheme}://me:***@127.0.0.1:5000/runs"
    escaped = passwords.escaped(uri)
    assert passwords.redacted(escaped) == passwords.redacted(uri)
    assert passwords.without_passwords(f"can't open {escaped}: no") == f"can't open {passwords.redacted(uri)}: no"
    assert passwords.escaped(escaped) == escaped
    header = passwords.apart(escaped)[1]["Authorization"].split()[1]
    assert base64.b64decode(header).decode() == f"me:{secret.replace('%40', '@')}"


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:5000", "sqlite:////home/me:and@you/x.db", "http://me@host/x", "mlruns"]
)
def test_what_holds_no_password_stays(uri: str) -> None:
    assert passwords.redacted(uri) == passwords.escaped(uri) == uri
    assert passwords.apart(uri) == (uri, {})


@pytest.mark.parametrize(
    "uri", ["postgres://me:secret@host/db", "me:secret@host", "http:me:sec@ret@host", "htp://u:secret@h"]
)
def test_an_address_of_no_store_is_refused_without_its_password(uri: str) -> None:
    with pytest.raises(TrackingUnavailable, match=r"tracking.uri must be .* got '.*\*\*\*@h") as caught:
        resolve_uri(uri)
    assert "sec" not in str(caught.value)


def test_the_whole_address_is_found_again_where_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(passwords.VARIABLE, raising=False)
    with passwords.kept_out(["-m", "tracking.uri=http://me:p@s's#@host:1/", "seed=0"]) as words:
        assert words == ["-m", "tracking.uri='http://me:***@host:1/'", "seed=0"]
        assert resolve_uri("http://me:***@host:1/") == resolve_uri(None) == "http://me:p%40s%27s%23@host:1"
    assert passwords.VARIABLE not in os.environ
    with pytest.raises(TrackingUnavailable, match=r"uri=http://me:\*\*\*@host:1/: its password is not known here"):
        resolve_uri("http://me:***@host:1/")
    with passwords.kept_out(['++tracking.uri="http://me:it\\"s@host"', "tracking.uri=http://host"]) as words:
        assert words == ["++tracking.uri='http://me:***@host'", "tracking.uri=http://host"]
        assert resolve_uri("http://me:***@host") == "http://me:it%22s@host"


def test_no_error_of_ours_holds_one() -> None:
    assert str(HourglassError("x http://me:secret@host y")) == "x http://me:***@host y"


class Gate(BaseHTTPRequestHandler):
    """Lets those through to a server who know the password."""

    port = 0
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        expected = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {expected}":
            return self._answer(401, b"You are not authenticated")
        connection = HTTPConnection("127.0.0.1", self.port)
        headers = {key: value for key, value in self.headers.items() if key.lower() not in ("authorization", "host")}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        return self._answer(answer.status, answer.read())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


PASSWORD = "p@ss/wörd's"  # noqa: S105 - a made-up one


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address, without name and password, of an MLflow server behind a gate."""
    folder = tmp_path_factory.mktemp("server")
    code = "import sys; from hourglass.tracking import serve; serve(uri=sys.argv[1], port=0)"
    server = subprocess.Popen(
        [sys.executable, "-c", code, f"sqlite:///{folder}/mlflow.db"], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    Gate.port = int(server.stdout.readline().split()[1].rpartition(":")[2])
    front = ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    threading.Thread(target=front.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{front.server_port}"
    front.shutdown()
    front.server_close()
    server.kill()
    server.wait()


SMALL = [
    *("data=digits", "data.train_size=64", "training.epochs=1", "trainer.accelerator=cpu"),
    "callback=quick",
]


def assert_nowhere(folder: Path, *said: str) -> None:
    """No file, and nothing said, holds the password, in whole or in part, as it is or escaped."""
    for part in (PASSWORD, "ss/w", "rd's", "%40ss", "w%C3%B6rd"):
        for text in said:
            assert part not in text
        for path in folder.rglob("*"):
            if path.is_file():
                assert part.encode() not in path.read_bytes(), path


@pytest.mark.long
def test_a_server_that_asks_for_a_password_gets_it_and_no_file_does(gate: str, tmp_path: Path) -> None:
    uri = f"http://me:{PASSWORD}@{gate}"
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.yaml").write_text(f'defaults: [config, _self_]\ntracking:\n  uri: "{uri}"\n')
    work = tmp_path / "work"
    work.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != passwords.VARIABLE}

    def hourglass(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "hourglass", *words],
            cwd=work, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert_nowhere(work, done.stdout, done.stderr)
        return done.stdout + done.stderr

    said = hourglass("train", *SMALL, f"tracking.uri={uri}", "name=single")
    assert f"in http://me:***@{gate}" in said
    known = resolve_uri(uri)
    run = Run.find("single", known)
    assert PASSWORD not in f"{run.params} {run.tags} {run.artifact('config.yaml').read_text()}"
    assert run.params["tracking.uri"] == f"http://me:***@{gate}"
    hourglass("train", "-m", *SMALL, f"tracking.uri={uri}", "seed=1,2", "sweep.max_stack=1", "name=swept")
    with_yaml = ("--config-dir", str(own), "--config-name", "mine")
    hourglass("train", *with_yaml, "-m", *SMALL, "hydra/launcher=basic", "seed=3", "name=basic")
    names = {found.info.run_name.split()[-1] for found in search_runs(known, None, "tags.kind = 'training'")}
    assert names == {"single", "swept", "basic"}
    assert "hourglass ui" in said


@pytest.mark.long
def test_a_wrong_password_is_one_line(gate: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hourglass", "train", *SMALL, f"tracking.uri=http://me:wr@ng@{gate}"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("hourglass: ")]
    assert f"tracking.uri=http://me:***@{gate} cannot be used: " in line
    assert "401" in line
    assert "Traceback" not in done.stderr
    assert "wr@ng" not in done.stderr
    assert "wr%40ng" not in done.stderr
