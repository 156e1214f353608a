"""The page of claims: a table of verdicts, then for each claim its sentence, numbers and picture, as Markdown.

Beside it, in a folder that is named after it, `results.csv` with every number of every arm and seed, and the pictures.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from hourglass.claims.picture import draw
from hourglass.claims.verdict import ALPHA, Effect, Judged
from hourglass.figures.canvas import to_png
from hourglass.system.errors import HourglassError

__all__ = ["sentence", "write"]

HEAD = f"""\
Each claim is a yaml file: arms that are trained with the same seeds on the same batches, a metric, and what is expected
of them. The effect is the mean over the seeds of the margin by which the comparison holds, with a 95 % interval (paired
bootstrap). A verdict needs that interval on one side of 0 and p < {ALPHA:g} of the paired t-test, adjusted over all
comparisons of this page (Holm). UNDECIDED is no proof that there is no effect."""


def write(judged: Sequence[Judged], path: Path, *, title: str, command: str) -> list[Path]:
    """Write the page, the numbers and the pictures.

    Args:
        judged: the claims, in order.
        path: of the page, a .md file; the folder for the rest has its name in small letters, without the ending.
        title: of the page.
        command: that makes it.

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
    (folder / "results.csv").write_text(_csv(judged))
    path.write_text(_page(judged, folder.name, title, command))
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


def _page(judged: Sequence[Judged], folder: str, title: str, command: str) -> str:
    counts: dict[str, int] = {}
    for each in judged:
        counts[each.verdict] = counts.get(each.verdict, 0) + 1
    summary = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    count = f"{len(judged)} claim{'s' if len(judged) > 1 else ''}"
    lines = [
        f"# {title}",
        "",
        f"```\n{command}\n```",
        "",
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
    """Each arm that a comparison names, with the means over the seeds of what is compared."""
    needs = dict.fromkeys(need for effect in judged.effects for need in effect.comparison.needs)
    metrics = list(dict.fromkeys(metric for _, metric in needs))
    arms = list(dict.fromkeys(arm for arm, _ in needs))
    rows = [f"| arm | {' | '.join(metrics)} |", f"|---|{'---|' * len(metrics)}"]
    for arm in arms:
        found = [
            [values[arm][metric] for values in judged.values.values() if metric in values[arm]] for metric in metrics
        ]
        cells = [f"{mean(each):.4g} ({min(each):.4g} to {max(each):.4g})" if each else "" for each in found]
        rows.append(f"| {arm} | {' | '.join(cells)} |")
    return rows


def _csv(judged: Sequence[Judged]) -> str:
    """A row for each number that a verdict rests on."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["claim", "arm", "seed", "metric", "value"])
    for each in judged:
        needs = dict.fromkeys(need for effect in each.effects for need in effect.comparison.needs)
        for arm, metric in needs:
            for seed in each.claim.seeds:
                if metric in each.values[seed][arm]:
                    table.writerow([each.claim.name, arm, seed, metric, repr(each.values[seed][arm][metric])])
    return out.getvalue()
