"""`hourglass report`, `compare` and `runs`: what is recorded, read again."""

import re
from collections.abc import Sequence
from pathlib import Path

from hourglass.commands.parsing import Parser
from hourglass.system import process
from hourglass.system.errors import HourglassError, nearest

_URI = {"uri": "where the runs are (mlflow.db or MLFLOW_TRACKING_URI)"}
OPTIONS = {
    "report": {
        "into": "the page that is written (report.html)",
        "markdown": "a folder for README.md and the pictures, for a record in a repository",
        "figures": "a folder for the pictures, those that can be as SVG",
        "map": "pca or tsne: how the code becomes a plane (pca)",
        "models": "true or false: whether models are loaded for mosaic, map and units (true)",
        **_URI,
    },
    "compare": {"into": "a page that is written too", **_URI},
    "runs": {
        "kind": "study, training or evaluation",
        "status": "finished, failed, killed or running",
        "model": "the choice in this group, so too data, noise and any tag; model.code_size and any other key",
        "sort": "time or error (time)",
        "limit": "lines at most (40)",
        **_URI,
    },
}
"""What each command takes, and what it is."""


def report(words: Sequence[str]) -> int:
    """Write the report of a study or of runs."""
    parser = Parser("report", "Write what a study or some runs found as one page that needs nothing else.")
    parser.add_argument("runs", nargs="+", metavar="STUDY|RUN", help="id, first digits or name")
    references, options = _read(parser, words, "report")
    for key, allowed in (("map", ("pca", "tsne")), ("models", ("true", "false"))):
        if options.get(key, allowed[0]) not in allowed:
            raise HourglassError(f"report: {key} must be one of {', '.join(allowed)}, got {options[key]!r}")
    from hourglass.reports.content import Picture
    from hourglass.reports.html import html
    from hourglass.reports.markdown import write_markdown
    from hourglass.sweeps.studies.gathering import gather
    from hourglass.sweeps.studies.report import report as made
    from hourglass.tracking import resolve_uri

    process.show_messages()
    uri = resolve_uri(options.get("uri"))
    given = gather(references, uri=uri)
    page = made(given, uri=uri, models=options.get("models") != "false", code_map=options.get("map", "pca"))
    into = Path(options.get("into", "report.html"))
    written = [_write(into, html(page))]
    if "markdown" in options:
        written.append(write_markdown(page, Path(options["markdown"]), vector=False))
    if "figures" in options:
        folder = Path(options["figures"])
        for block in (block for section in page.sections for block in section.blocks if isinstance(block, Picture)):
            form, content = ("svg", block.svg()) if block.has_vector else ("png", block.png())
            written.append(_write(folder / f"{block.name}.{form}", content))
    for line in page.conclusion:
        print(f"  {line}")
    for path in written:
        print(f"{path}: {path.stat().st_size / 1024:,.0f} KB")
    return 0


def compare(words: Sequence[str]) -> int:
    """Print how runs differ, and write the page where it is asked for."""
    parser = Parser("compare", "Put runs side by side: configuration, numbers, the same test images, units.")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="id, first digits or name, two or more")
    references, options = _read(parser, words, "compare")
    from hourglass.reports.compared import comparison, conclusion, configuration, numbers, sides
    from hourglass.reports.content import told
    from hourglass.reports.html import html
    from hourglass.reports.listing import table
    from hourglass.sweeps.studies.gathering import records
    from hourglass.tracking import resolve_uri

    process.show_messages()
    uri = resolve_uri(options.get("uri"))
    compared = sides(records(references, uri=uri), uri=uri)
    print("\n".join(f"{side.name}  ({side.record.info.run_id})" for side in compared))
    for grid in (configuration(compared), numbers(compared)):
        letters = [column.name[:1] if column.name[1:2] == ":" else column.name for column in grid.columns]
        print(f"\n{grid.caption}")
        if grid.rows:
            print(table([letters, *([told(value) for value in row] for row in grid.rows)]))
    print()
    print("\n".join(conclusion(compared)))
    if "into" in options:
        path = _write(Path(options["into"]), html(comparison(compared, uri=uri)))
        print(f"\n{path}: {path.stat().st_size / 1024:,.0f} KB")
    return 0


def runs(words: Sequence[str]) -> int:
    """Print runs and studies, a line each."""
    parser = Parser("runs", "Runs and studies, latest first.")
    parser.add_argument("runs", nargs="*", metavar="WORD", help="only those whose name, id or verdict has it")
    wanted, given = _read(parser, words, "runs")
    limit, order = given.pop("limit", "40"), given.pop("sort", "time")
    if not limit.isdigit() or not int(limit):
        raise HourglassError(f"runs: limit must be at least 1, got {limit!r}")
    if order not in ("time", "error"):
        raise HourglassError(f"runs: sort must be time or error, got {order!r}")
    from hourglass.reports.listing import HEAD, error_of, line, matching, table
    from hourglass.tracking import resolve_uri

    uri = resolve_uri(given.pop("uri", None))
    found = matching(wanted, given, uri=uri)
    if order == "error":
        found = sorted((run for run in found if error_of(run) is not None), key=lambda run: error_of(run) or 0.0)
    print(table([HEAD, *map(line, found[: int(limit)])]) if found else "no run is like that")
    if len(found) > int(limit):
        print(f"and {len(found) - int(limit)} more: limit={len(found)} shows all")
    return 0


def _read(parser: Parser, words: Sequence[str], command: str) -> tuple[list[str], dict[str, str]]:
    """References and, in any order, `key=value`; a name may have a = further on."""
    parser.explain(OPTIONS[command])
    options = [word for word in words if re.match(r"[a-z_.]+=", word)]
    return parser.parse_args([word for word in words if word not in options]).runs, _options(command, options)


def _options(command: str, words: Sequence[str]) -> dict[str, str]:
    """`into=page.html` and its like.

    Raises:
        HourglassError: a key that the command doesn't take, or one without a value.
    """
    known = OPTIONS[command]
    options = dict(word.partition("=")[::2] for word in words)
    for key, value in options.items():
        if key not in known and command != "runs":
            close = nearest(key, list(known))
            raise HourglassError(f"{command} takes {', '.join(f'{each}=' for each in known)}, got {key}={value}{close}")
        if not value:
            raise HourglassError(f"{command}: {key} must have a value, got none")
    return options


def _write(path: Path, content: str | bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise HourglassError(f"{path} can't be written: {error.strerror or error}") from error
    return path
