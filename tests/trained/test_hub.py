"""The Hub's own client, against a server on this machine that keeps repositories in memory as the Hub does."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import hourglass
from hourglass.commands.main import main
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose
from hourglass.system import extras
from hourglass.tracking import Run, initialise_store
from hourglass.trained.hub import FILES


class Hub(ThreadingHTTPServer):
    """Repositories by name: their files, and what was asked to make them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.made: list[dict[str, Any]] = []
        self.fetched: list[str] = []


class Answers(BaseHTTPRequestHandler):
    """What huggingface_hub asks of the Hub to write and read a repository of small files."""

    server: Hub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != "Bearer hf_mine":
            return self.say(401, {"error": "Invalid username or password."})
        if self.path == "/api/repos/create":
            said = json.loads(body)
            self.server.made.append(said)
            name = f"{said['organization']}/{said['name']}"
            self.server.repositories.setdefault(name, {})
            return self.say(200, {"url": f"http://{self.headers['Host']}/{name}", "name": name})
        if self.path == "/api/validate-yaml":
            return self.say(200, {"errors": [], "warnings": []})
        name = self.repository()
        if "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self.say(200, {"files": files})
        if "/commit/" in self.path:
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.server.repositories[name][line["value"]["path"]] = content
                elif line["key"] == "deletedFile":
                    del self.server.repositories[name][line["value"]["path"]]
            address = f"http://{self.headers['Host']}/{name}/commit/{self.commit(name)}"
            return self.say(200, {"success": True, "commitOid": self.commit(name), "commitUrl": address})
        return self.say(404, {"error": self.path})

    def do_GET(self) -> None:
        name = self.repository()
        if name not in self.server.repositories:
            return self.say(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        files = self.server.repositories[name]
        entity = {"id": name, "sha": self.commit(name), "siblings": [{"rfilename": path} for path in files]}
        if "/tree/" in self.path:
            entries = [
                {"type": "file", "path": path, "size": len(content), "oid": digest(content)}
                for path, content in files.items()
            ]
            return self.say(200, entries)
        if found := re.fullmatch(r"/[^/]+/[^/]+/resolve/[^/]+/(.+)", self.path.partition("?")[0]):
            if (content := files.get(found[1])) is None:
                return self.say(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            if self.command == "GET":
                self.server.fetched.append(found[1])
            return self.send(200, content, {"X-Repo-Commit": self.commit(name), "ETag": f'"{digest(content)}"'})
        return self.say(200, entity)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def repository(self) -> str:
        found = re.match(r"/(?:api/models/)?([^/]+/[^/?]+)", self.path)
        return found[1] if found else ""

    def commit(self, name: str) -> str:
        return digest(
            json.dumps({key: digest(value) for key, value in self.server.repositories[name].items()}).encode()
        )

    def say(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self.send(status, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """The Hub, where its client looks for it, and a person who is logged in; a run `mine` in the current folder."""
    from huggingface_hub import constants

    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        f"http://127.0.0.1:{server.server_port}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
    )
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    initialise_store(uri)
    config, choices = compose_config(["data=digits", "model.code_size=3"])
    parts = compose(config)
    with Run.start(uri=uri, experiment="hourglass", name="mine", tags=choices, params={}) as run:
        from omegaconf import OmegaConf

        run.log_text(yaml.safe_dump(OmegaConf.to_container(config, resolve=True)), "config.yaml")
        run.log_weights(parts.model.state_dict(), metadata=parts.data.metadata)
        run.log_metrics({"test/mse": 0.5}, step=0)
    yield server
    server.shutdown()
    server.server_close()


def test_pushed_to_the_hub_and_loaded_from_it(hub: Hub, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["push", "mine", "hf:somebody/digits", "license=mit"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("/somebody/digits")
    held = hub.repositories["somebody/digits"]
    assert set(held) - {".gitattributes"} == {"README.md", "config.yaml", "run.json", "weights.safetensors"}
    assert set(held) - {".gitattributes"} <= set(FILES)
    assert hub.made[0]["name"] == "digits"
    assert hub.made[0].get("visibility") == "private" or hub.made[0].get("private") is True
    assert b'hourglass.load("hf:somebody/digits")' in held["README.md"]
    held["sampler.safetensors"], held["evil.py"] = b"of an earlier model", b"raise SystemExit"
    assert main(["push", "mine", "hf:somebody/digits", "private=false"]) == 0
    assert "sampler.safetensors" not in held

    mine, theirs = hourglass.load("mine"), hourglass.load("hf:somebody/digits")
    x = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(mine(x).reconstruction, theirs(x).reconstruction)
    assert "evil.py" not in hub.fetched  # only what push writes
    assert not list(tmp_path.rglob("evil.py"))
    hub.fetched.clear()
    hourglass.load("hf:somebody/digits")
    assert hub.fetched == []  # it is there already
    assert main(["pull", "hf:somebody/digits", "name=theirs"]) == 0
    assert Run.find("theirs", None).tags["pulled_from"] == "hf:somebody/digits"


def test_what_the_hub_refuses_is_one_line(
    hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*words: str) -> str:
        assert main(list(words)) == 2
        printed = capsys.readouterr().err
        assert printed.count("\n") == 1, printed
        return printed

    assert "hf:somebody/else can't be fetched: " in said("pull", "hf:somebody/else")
    assert "without @v1" in said("push", "mine", "hf:somebody/digits@v1")
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    assert "hf:somebody/digits can't be written: " in said("push", "mine", "hf:somebody/digits")
    assert hub.repositories == {}
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    assert said("pull", "hf:a/b") == "hourglass: hf: needs huggingface_hub: pip install 'hourglass[hub]'\n"
