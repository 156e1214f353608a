"""The page of claims: a table of verdicts, then for each claim its sentence, numbers and picture, as Markdown.

Beside it, in a folder that is named after it, `results.csv` with every number of every arm and seed, and the pictures.
"""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from hourglass.claims.picture import draw
from hourglass.claims.verdict import ALPHA, Effect, Judged
from hourglass.figures.canvas import to_png
from hourglass.system.errors import HourglassError

__all__ = ["Page", "read_page", "read_values", "sentence", "text", "write"]

HEAD = f"""\
Each claim is a yaml file: arms that are trained with the same seeds on the same batches, a metric, and what is expected
of them. The effect is the mean over the seeds of the margin by which the comparison holds, with a 95 % interval (paired
bootstrap). A verdict needs that interval on one side of 0 and p < {ALPHA:g} of the paired t-test, adjusted over all
comparisons of this page (Holm). UNDECIDED is no proof that there is no effect."""


class Page(NamedTuple):
    """What a page says beside its claims."""

    title: str
    command: str
    """That makes it."""
    remark: str = ""
    """A person's, of how it was made; below the command."""


def read_page(path: Path) -> Page:
    """What a page says beside its claims.

    Raises:
        HourglassError: another text than `write` makes.
    """
    found = re.match(
        r"# (.*)\n\n```\n(.*)\n```\n\n(.*?)" + re.escape(HEAD), path.read_text(encoding="utf-8"), re.DOTALL
    )
    if found is None:
        raise HourglassError(f"{path} must begin as a page of claims does: a title, a command, and what a verdict is")
    return Page(found[1], found[2], found[3].strip())


def read_values(path: Path) -> dict[str, dict[int, dict[str, dict[str, float]]]]:
    """Of a page's results.csv by claim, seed and arm the metrics that its verdicts rest on, see `judge`."""
    found: dict[str, dict[int, dict[str, dict[str, float]]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            seeds = found.setdefault(row["claim"], {}).setdefault(int(row["seed"]), {})
            seeds.setdefault(row["arm"], {})[row["metric"]] = float(row["value"])
    return found


def write(judged: Sequence[Judged], path: Path, page: Page) -> list[Path]:
    """Write the page, the numbers and the pictures.

    Args:
        judged: the claims, in order.
        path: of the page, a .md file; the folder for the rest has its name in small letters, without the ending.
        page: what it says beside them.

    Returns:
        what was written.
    """
    if path.suffix != ".md":
        raise HourglassError(f"into must be a .md file, got {path}")
    folder = path.with_name(path.stem.lower())
    folder.mkdir(parents=True, exist_ok=True)
    written = [path, folder / "results.csv"]
    for each in judged:
        if each.effects:
            written.append(folder / f"{each.claim.name}.png")
            to_png(draw(each), written[-1])
    (folder / "results.csv").write_text(_csv(judged), encoding="utf-8")
    path.write_text(text(judged, folder.name, page), encoding="utf-8")
    return written


def sentence(effect: Effect) -> str:
    """What was found of one comparison: `plain < noisy: margin +0.012 (+0.010 to +0.014), 5 of 5 seeds, p = 0.003`."""
    p = "p < 0.001" if effect.p < 0.001 else f"p = {effect.p:.3f}"
    return (
        f"`{effect.comparison.text}`: margin {_number(effect.mean)} ({_number(effect.low)} to {_number(effect.high)}),"
        f" {effect.agree} of {len(effect.margins)} seeds, {p}"
    )


def _number(value: float) -> str:
    return f"{value:+.3g}"


def text(judged: Sequence[Judged], folder: str, page: Page) -> str:
    """The page, whose pictures are in a folder beside it."""
    counts: dict[str, int] = {}
    for each in judged:
        counts[each.verdict] = counts.get(each.verdict, 0) + 1
    summary = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    count = f"{len(judged)} claim{'s' if len(judged) > 1 else ''}"
    lines = [
        f"# {page.title}",
        "",
        f"```\n{page.command}\n```",
        "",
        *([page.remark, ""] if page.remark else []),
        HEAD,
        "",
        f"**{count}: {summary}.**",
        "",
    ]
    lines += ["| claim | verdict | found | source |", "|---|---|---|---|"]
    for each in judged:
        found = "<br>".join(map(sentence, each.effects)) or each.claim.why_not or each.failure
        lines.append(f"| {_link(each)} | {each.verdict} | {found.replace('|', chr(92) + '|')} | {each.claim.source} |")
    for each in (each for each in judged if each.effects):
        lines += ["", f"## {each.claim.name}", "", f"**{each.claim.claim}** {each.verdict}.", ""]
        if each.claim.conditions:
            lines += [f"{each.claim.conditions.rstrip('.')}; {len(each.claim.seeds)} seeds.", ""]
        lines += [f"- {sentence(effect)}: {effect.verdict}" for effect in each.effects]
        lines += ["", *_table(each), "", f"![{each.claim.name}]({folder}/{each.claim.name}.png)"]
    return "\n".join(lines) + "\n"


def _link(judged: Judged) -> str:
    text = judged.claim.claim
    return f"[{text}](#{judged.claim.name.lower()})" if judged.effects else text


def _table(judged: Judged) -> list[str]:
    """Each arm that has something to show, with the means over the seeds."""
    shown = _shown(judged)
    metrics = list(dict.fromkeys(metric for _, metric in shown))
    arms = list(dict.fromkeys(arm for arm, _ in shown))
    rows = [f"| arm | {' | '.join(metrics)} |", f"|---|{'---|' * len(metrics)}"]
    for arm in arms:
        found = [
            [values[arm][metric] for values in judged.values.values() if (arm, metric) in shown] for metric in metrics
        ]
        cells = [f"{mean(each):.4g} ({min(each):.4g} to {max(each):.4g})" if each else "" for each in found]
        rows.append(f"| {arm} | {' | '.join(cells)} |")
    return rows


def _shown(judged: Judged) -> list[tuple[str, str]]:
    """The arms and metrics of the table: what is compared, and what is shown besides of each arm that has it."""
    compared = [need for effect in judged.effects for need in effect.comparison.needs]
    first = next(iter(judged.values.values()), {})
    also = [(arm, metric) for metric in judged.claim.also for arm in judged.claim.arms if metric in first.get(arm, ())]
    return list(dict.fromkeys([*compared, *also]))


def _csv(judged: Sequence[Judged]) -> str:
    """A row for each number of the tables."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["claim", "arm", "seed", "metric", "value"])
    for each in judged:
        for arm, metric in _shown(each) if each.effects else ():
            for seed in each.claim.seeds:
                if metric in each.values[seed][arm]:
                    table.writerow([each.claim.name, arm, seed, metric, repr(each.values[seed][arm][metric])])
    return out.getvalue()
