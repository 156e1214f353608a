"""Down to which code does depth help? Runs the sweep, reads the study, and writes README.md and its figures here.

Run: make sweep
What is finished is not run again. With settings of one's own, elsewhere:
.venv/bin/python experiments/code_size_by_depth/measure.py --into FOLDER data=digits training.epochs=1
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from hourglass import figures
from hourglass.sweeps.studies.charts import curves, heat_map
from hourglass.sweeps.studies.mosaic import mosaic
from hourglass.sweeps.studies.record import read
from hourglass.sweeps.studies.table import ERROR, Spread, Table
from hourglass.tracking import resolve_uri, search_runs

HERE = Path(__file__).resolve().parent
NAME = "code_size_by_depth"
SIZE, DEPTH = AXES = ("model.code_size", "model.depth")
ACCURACY, DEAD = "test/linear_accuracy", "fit/dead_units"

TEXT = """\
# Code size by depth

**Question.** How small may a code be, and down to which code do hidden layers help?

**Command.** `make sweep`, which is `hourglass train experiment=code_size_by_depth{words}`: {setting}; hidden
layers taper from the image to the code. {took}.

**Test error**, MSE per value: mean over the seeds (lowest to highest). *PCA*: with as many components.

{errors}

**Linear probe**, accuracy of a linear classifier that sees the code alone: means over the seeds. *PCA*: of as many
components. {dead}

{probes}

![Test error over code size and depth](heat_map.png)

![Test error and linear probe over the code size, a line for each depth, bars over the seeds](curves.png)

![The first test images, reconstructed from each code size with each depth](mosaic.png)

**Verdict.** {verdict}
"""


def main(into: Path, words: Sequence[str]) -> int:
    """Run what is missing of the sweep, then write the page; the exit code is the sweep's."""
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "hourglass", "train", "-m", f"experiment={NAME}", *words], check=False
    ).returncode
    if done:
        return done
    minutes = (time.time() - began) / 60
    uri = resolve_uri(next((word.partition("=")[2] for word in words if word.startswith("tracking.uri=")), None))
    studies = search_runs(uri, None, f"tags.kind = 'study' AND tags.study = '{NAME}'")
    run = max(studies, key=lambda study: study.info.end_time)  # the one that has just ended
    table = read(run.info.run_id, uri=uri)
    fresh = len(
        search_runs(uri, None, f"tags.`mlflow.parentRunId` = '{run.info.run_id}' AND start_time > {began * 1000:.0f}")
    )
    took = f"{len(table.rows)} jobs"
    if fresh == len(table.rows):
        took += f", everything counted {minutes:.1f} minutes on {len(os.sched_getaffinity(0))} cores"
    one = search_runs(uri, None, f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")[0].data.params
    words_of = {
        "data": one["data._target_"].rpartition(".")[2],
        "epochs": one["training.epochs"],
        "batch": one["training.batch_size"],
        "precision": one["trainer.precision"],
        "seeds": ", ".join(table.values["seed"]),
    }
    setting = ", ".join(f"{name} {value}" for name, value in words_of.items())
    write(table, uri=uri, into=into, words="".join(f" {word}" for word in words), setting=setting, took=took)
    return 0


def write(table: Table, *, uri: str, into: Path, words: str, setting: str, took: str) -> None:
    """The page and its figures."""
    into.mkdir(parents=True, exist_ok=True)
    images = mosaic(table, uri=uri)
    found = images.picture or images.missing
    for name, figure in (("heat_map", heat_map(table)), ("curves", curves(table)), ("mosaic", found)):
        if isinstance(figure, str):
            raise SystemExit(f"no {name}: {figure}")
        figures.to_png(figure, into / f"{name}.png")
    depths = table.values[DEPTH]
    heads = ["code size", *(f"depth {depth}" for depth in depths), "PCA"]
    errors, floor = table.spreads(ERROR, AXES), table.spreads("test/linear_mse", [SIZE])
    accuracy = table.spreads(ACCURACY, AXES)
    dead = max(spread.high for spread in table.spreads(DEAD, AXES).values())
    pca = table.spreads("test/linear_accuracy_pca", [SIZE])
    sizes = table.values[SIZE]
    text = TEXT.format(
        words=words,
        setting=setting,
        took=took,
        errors=_grid(
            heads,
            [
                [size, *(_range(errors[size, depth]) for depth in depths), _mean(floor, size, "{:.5f}")]
                for size in sizes
            ],
        ),
        probes=_grid(
            heads,
            [
                [
                    size,
                    *(f"{accuracy[size, depth].mean:.1%}" for depth in depths),
                    _mean(pca, size, "{:.1%}"),
                ]
                for size in sizes
            ],
        ),
        dead=f"At most {dead:.0f} units of a code are dead." if dead else "No unit of any code is dead.",
        verdict=verdict(table),
    )
    (into / "README.md").write_text(text, encoding="utf-8")


def verdict(table: Table) -> str:
    """What the numbers say: where a further layer helps with every seed, and where PCA is beaten with every seed."""
    errors, floor = table.spreads(ERROR, AXES), table.spreads("test/linear_mse", [SIZE])
    sizes, depths = table.values[SIZE], table.values[DEPTH]
    said = []
    for less, more in pairwise(depths):
        helped = [size for size in sizes if errors[size, more].high < errors[size, less].low]
        harmed = [size for size in sizes if errors[size, more].low > errors[size, less].high]
        said.append(
            f"Depth {more} has a lower error than depth {less} with every seed at code size {_list(helped)},"
            f" a higher one at {_list(harmed)}."
        )
    for depth in depths:
        better = [size for size in sizes if (size,) in floor and errors[size, depth].high < floor[size,].mean]
        said.append(f"With depth {depth}, PCA is beaten with every seed at code size {_list(better)}.")
    best = min(errors, key=lambda point: errors[point].mean)
    said.append(f"The lowest mean error, {errors[best].mean:.5f}, is that of code size {best[0]} and depth {best[1]}.")
    return " ".join(said)


def _list(values: Sequence[str]) -> str:
    return ", ".join(values) or "none"


def _range(spread: Spread) -> str:
    return f"{spread.mean:.5f} ({spread.low:.5f} to {spread.high:.5f})"


def _mean(spreads: Mapping[tuple[str, ...], Spread], size: str, form: str) -> str:
    """Empty where the data have no more dimensions than the code has units."""
    return form.format(spreads[size,].mean) if (size,) in spreads else ""


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=HERE, help="where the page and its figures go")
    parser.add_argument("words", nargs="*", help="settings, as hourglass train takes them")
    given = parser.parse_args()
    sys.exit(main(given.into, given.words))
