"""The recipe of the first run, measured: trains it, or finds the run that did, and writes results.csv and README.md.

Run: make quickstart
"""

import shutil
import sys
from pathlib import Path

from experiments import records
from hourglass.pipeline.train import train_once

HERE = Path(__file__).resolve().parent
ARM, PICTURE = "quickstart", "reconstructions.png"
METRICS = [
    "test/psnr_input",
    "test/psnr",
    "test/psnr_gain",
    "test/mse",
    "test/bce",
    "test/ssim",
    "test/linear_accuracy",
    "test/linear_accuracy_pixels",
    records.LEARNED,
    "test/knn_accuracy",
    "fit/dead_units",
    "time/fit_seconds",
    "time/steps_per_second",
    "model/parameters",
    "model/code_size",
]

TEXT = """\
# Quickstart

**Question.** What can a small convolutional net restore when half of the pixels are gone?

**Command.** `make run`, which is `hourglass train experiment=quickstart`: MNIST, two stages of 32 channels
({parameters:,.0f} parameters), masking noise of share 0.5 drawn anew at every step, BCE to the clean image, Adam 1e-3,
batch 128, 5 epochs, bfloat16 where the processor has it. Numbers: [results.csv](results.csv).

{rows}
{probed}
![Original, corrupted, output and absolute error of ten test images]({picture})

**Verdict.** {gain:.2f} dB of PSNR are gained; where a stroke's end is lost with its pixels, it is not invented. One
seed. Strokes are closed and smoothed; the top of the 5 and the bar of the 4 stay lost, and the error image shows it.
"""


def main() -> int:
    """Train, and write."""
    if not records.only_the_page(__doc__):
        run = train_once(["experiment=quickstart"], folder=Path("runs/quickstart"))
        records.write(HERE / "results.csv", {ARM: {run.params["seed"]: records.kept(run.metrics, METRICS)}})
        run.read_file(f"pictures/{PICTURE}", lambda path: shutil.copyfile(path, HERE / PICTURE))
    (HERE / "README.md").write_text(page(records.read(HERE / "results.csv")), encoding="utf-8")
    return 0


def page(results: records.Results) -> str:
    """The page of what was measured."""
    (run,) = results[ARM].values()
    rows = [
        ["on the 10,000 test images", ""],
        ["PSNR of the noisy input, of the output", f"{run['test/psnr_input']:.2f} dB, {run['test/psnr']:.2f} dB"],
        ["mean squared error", f"{run['test/mse']:.5f}"],
        ["binary cross-entropy", f"{run['test/bce']:.4f} nats per pixel"],
        ["SSIM", f"{run['test/ssim']:.3f}"],
        [
            "linear probe on the clean images' codes, from 55,000 images; on the pixels",
            f"{run['test/linear_accuracy']:.1%}; {run['test/linear_accuracy_pixels']:.1%}",
        ],
        ["5 nearest neighbours", f"{run['test/knn_accuracy']:.1%}"],
        [f"code units that are dead, of {run['model/code_size']:,.0f}", f"{run['fit/dead_units']:.0f}"],
        [
            "training, on two CPU cores",
            f"{run['time/fit_seconds']:.1f} s, {run['time/steps_per_second']:.0f} steps/s",
        ],
    ]
    said = records.older_probe(results)
    return TEXT.format(
        parameters=run["model/parameters"],
        rows=records.table(rows),
        probed=f"\n{said}\n" if said else "",
        picture=PICTURE,
        gain=run["test/psnr_gain"],
    )


if __name__ == "__main__":
    sys.exit(main())
