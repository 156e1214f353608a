"""A report as Markdown, with its pictures as files beside it: for a record in a repository."""

from pathlib import Path

from hourglass.reports.content import Block, Command, Grid, Page, Picture, Sentences
from hourglass.system.errors import HourglassError

_ROWS = 100
"""The most of a table that is written out; the page has all."""


def write_markdown(page: Page, folder: Path, *, vector: bool) -> Path:
    """Write `README.md` and its pictures into a folder, which is made; returns the file.

    Args:
        page: the report.
        folder: where.
        vector: whether pictures that can be are SVG.

    Raises:
        HourglassError: it can't be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"# {page.title}", ""]
        if page.question:
            lines += [f"**Question.** {_escaped(page.question)}", ""]
        if page.conclusion:
            lines += [f"**Conclusion.** {_escaped(page.conclusion[0])}", ""]
            lines += [*(f"- {_escaped(line)}" for line in page.conclusion[1:]), ""]
        for section in page.sections:
            lines += [f"## {section.title}", ""]
            for block in section.blocks:
                lines += [_written(block, folder, vector=vector), ""]
        lines += [page.foot, ""]
        text = "\n".join(lines)
        while "\n\n\n" in text:
            text = text.replace("\n\n\n", "\n\n")
        path = folder / "README.md"
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HourglassError(f"report: {folder} can't be written: {error.strerror or error}") from error
    return path


def _written(block: Block, folder: Path, *, vector: bool) -> str:
    match block:
        case Sentences():
            return "\n\n".join(map(_escaped, block.lines)) if not block.listed else _list(block)
        case Command():
            return f"```\n{block.text}\n```"
        case Picture():
            form = "svg" if vector and block.has_vector else "png"
            (folder / f"{block.name}.{form}").write_bytes(block.svg() if form == "svg" else block.png())
            return f"![{_escaped(block.says)}]({block.name}.{form})"
        case Grid():
            return _table(block)
    return ""  # what a reader turns has no Markdown


def _list(block: Sentences) -> str:
    return "\n".join(f"- {_escaped(line)}" for line in block.lines)


def _table(grid: Grid) -> str:
    lines = [[column.name for column in grid.columns], ["---:" if c.number else "---" for c in grid.columns]]
    lines += [[_escaped(cell["text"]) for cell in row] for row in grid.cells[:_ROWS]]
    more = f"\n\n{len(grid.rows) - _ROWS} more rows: see the page." if len(grid.rows) > _ROWS else ""
    return f"{_escaped(grid.caption)}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + more


def _escaped(text: str) -> str:
    r"""Names are a stranger's text: `|`, `<` and `[` would be more than text."""
    for char in "\\|<[*`":
        text = text.replace(char, f"\\{char}")
    return " ".join(text.split())
