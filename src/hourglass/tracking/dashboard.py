"""The dashboard: MLflow's own pages, opened where training runs are compared.

A browser that meets MLflow for the first time is shown the tools for language-model applications, with an
assistant panel over half the page. Which of the two faces appears is kept in the browser (local storage), so the
start page is served with a script that writes the other choice before MLflow reads it, and only where none was
made yet; so are the columns and the order of the table of runs (`first_page`). Everything runs in this one process:
no workers, no job consumers, nothing that can be left behind.
"""

import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hourglass.system.errors import HourglassError
from hourglass.system.passwords import redacted
from hourglass.tracking import mlflow_internals
from hourglass.tracking.first_page import first_view, script
from hourglass.tracking.retries import import_mlflow
from hourglass.tracking.store import initialise_store, open_client, resolve_uri, sqlite_path


def serve(
    *,
    uri: str | None,
    experiment: str = "hourglass",
    host: str = "127.0.0.1",
    port: int = 5000,
    open_browser: bool = False,
    announce: Callable[[str], object] = print,
) -> None:
    """Serves the runs of `uri` until Ctrl-C or SIGTERM, and then returns.

    Args:
        uri: a tracking server or database; None: see `resolve_uri`.
        experiment: where the start page leads, if it exists.
        host: the address to listen at; the default is reachable from this machine only.
        port: 0 to 65535; 0 takes a free one.
        open_browser: whether to open its start page.
        announce: is told the address once the pages can be opened.

    Raises:
        ValueError: the port is out of range or in use, the host is not of this machine.
        TrackingUnavailable: the store cannot be used.
    """
    uri = resolve_uri(uri)
    if not 0 <= port <= 65535:
        raise ValueError(f"port must be from 0 to 65535, got {port}")
    if uri.startswith("http"):
        initialise_store(uri)
        announce(f"The tracking server has a dashboard of its own: {redacted(uri)}")
        return
    before = signal.getsignal(signal.SIGTERM)
    listener = _listen(host, port)
    try:
        # SIGTERM then ends it as Ctrl-C does, also while MLflow is still being imported.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        initialise_store(uri)
        _run(application(uri, experiment), listener, open_browser, announce)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        listener.close()


def application(uri: str, experiment: str) -> Any:
    """MLflow's server as an ASGI application on the store `uri`, with our start page."""
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    import_mlflow()
    path = sqlite_path(uri)
    artifacts = Path("mlartifacts").absolute() if path is None else path.parent / "mlartifacts"
    served, index = mlflow_internals.server_application(uri, artifacts)
    client = open_client(uri)

    def start_page(_request: Any) -> HTMLResponse:
        found = client.get_experiment_by_name(experiment)
        target, table = "", ""
        if found is not None:
            target = f"#/experiments/{quote(str(found.experiment_id), safe='')}/runs"
            table = script(found.experiment_id, first_view(client, found.experiment_id))
        # The page names files that change with the version of MLflow, so the browser may not keep it.
        return HTMLResponse(with_first_choices(index, target, table), headers={"Cache-Control": "no-cache"})

    served.router.routes.insert(0, Route("/", start_page, methods=["GET"]))
    return served


def with_first_choices(index: str, target: str, table: str = "") -> str:
    """The page `index` with first choices, the way to `target`, and pictures that their captions leave room for.

    Args:
        index: MLflow's start page.
        target: what stands behind its address; empty: it stays there.
        table: a script that chooses what the table of runs shows.
    """
    head = mlflow_internals.HEAD
    if head not in index:
        raise ValueError(f"MLflow's start page has no {head}: this version of MLflow is not supported")
    lines = [
        f"if (localStorage.getItem('{key}') === null) localStorage.setItem('{key}', '{value}');"
        for key, value in mlflow_internals.FIRST_CHOICES.items()
    ]
    lines.append(table)
    if target:
        lines.append(f"if (location.hash === '') location.replace('{target}');")
    style = f".{mlflow_internals.CAPTION} > div + div {{ display: none; }}"
    return index.replace(head, f"{head}<script>{''.join(lines)}</script><style>{style}</style>", 1)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    # A port that was in use a moment ago is free at once; one in use is not.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise HourglassError(
            f"port={port} on {host} cannot be used ({error.strerror}): choose another, such as port={port + 1}"
        ) from error
    return listener


def _run(served: Any, listener: socket.socket, open_browser: bool, announce: Callable[[str], object]) -> None:
    import uvicorn

    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    config = uvicorn.Config(served, log_level="warning", timeout_graceful_shutdown=2)
    announce(f"Dashboard: {url} (Ctrl-C ends it)")
    sys.stdout.flush()
    if open_browser:
        threading.Timer(0.5, webbrowser.open, [url]).start()
    uvicorn.Server(config).run(sockets=[listener])
