"""Do the types learn what their authors report? Trains the recipes below, and writes results.csv and README.md.

Run: make types
"""

import os
import sys
from pathlib import Path

from experiments import records
from experiments.types.training import METRICS, PUBLISHED_VAE, Job, measure
from hourglass.sweeps import Slot, execute

HERE = Path(__file__).resolve().parent
SEEDS = (0, 1, 2)
BEFORE = ", commit 30772e4"
"""Ends the name of what was measured before the probe's strength was chosen on validation."""

JOBS = (
    *(Job("vae", "vae", seed) for seed in SEEDS),  # the longest first
    *(Job(f"k={k}", "k_sparse", seed, (f"model.bottleneck.k={k}",)) for k in (25, 10) for seed in SEEDS),
    *(Job("none", "finetuned_classifier_small", seed) for seed in SEEDS),
    *(Job("layerwise", "finetuned_classifier_small", seed, (), "stacked_denoising_small") for seed in SEEDS),
)

TEXT = """\
# Types that learn what their authors report

**Question.** Do the types learn what their authors report?

**Command.** `make types` (an hour or more on 2 cores, one run on each; MNIST; what has finished is not trained
again). Numbers: [results.csv](results.csv){summed}.

## A variational autoencoder with a code of two units

Published (Keras examples, Chollet, 2020), in nats per image over the training steps of epoch 30; `experiment=vae`:

{vae}

The net is the source's, layer by layer, trained with 32 bits like it; the source has 70,000 training digits (16,410
steps) and tells one training, here the test set is left out (14,070 steps). Seeds part in the first epochs and stay
apart: seeds 1 and 0 are at 155.0 and 161.0 nats after 6 epochs, at 147.0 and 152.0 after 24. The source's net in Keras
itself, on the same 60,000 digits, comes to 148.3 (141.9 + 6.4) and 149.0 nats (142.4 + 6.6) with seeds 0 and 1
(`.bench-peers/keras/bin/python benchmarks/peers/keras_vae.py --data ~/.cache/hourglass --seed 0`, after `make bench`).

In bfloat16 (`trainer=fast`) the same three seeds gave 150.4 (149.3 to 151.0). Tried there without gain, once each: no
dense layer of 16 units (`model.dense_widths=[]`: 150.2 with seed 0, 151.0 with the layer); 32 bits for the last 400
steps (150.72 against 150.77 over the last 200).

## k-sparse codes under logistic regression

Makhzani & Frey (2013) find 25 of 1,000 units better than 10, and both better than pixels; `experiment=k_sparse`, the
probe learns from all 55,000 training digits:

{k_sparse}

## Stacked denoising

Vincent et al. (2010) find that denoising pretraining, layer by layer, lowers the error of a classifier that is then
trained through all layers. 784-500-500-500, 10,000 digits without labels and 1,000 with:
`experiment=stacked_denoising_small`, then `experiment=finetuned_classifier_small start=RUN`; without pretraining the
second alone. Their figure with 3 x 1,000 units and all labels, below 1.4 % error, asks for a GPU and was not measured.

{stacked}

**Verdict.** {verdict}
{changed}"""

CHANGED = """
**What changed.** Not all of it was measured at one time:

- The VAE's numbers are of commit a11f4f1, with 32 bits and three seeds. Before, one seed (30772e4) and then three
  (5857c4e) were trained in bfloat16, and the verdict on it was no. Since 6a5f982 `experiment=vae` has Keras's epsilon
  of Adam, 1e-7 where it was 1e-8: with that it has not been measured again.
- The classifiers' numbers are of 30772e4. Their recipes are as they were; the code that trains them is not.
- The k-sparse codes were measured again for e7dee62, since the probe chooses its strength on validation. Before,
  25 units had {best}, 10 had {fewer}
  and pixels {pixels}. The page of e7dee62 gave 94.17% as the mean for 10 units, with the range that stands above; the
  mean of the three seeds in results.csv is {now}. Where that comes from is not known any more. Since 5019abe the probe
  comes to its minimum ([what that changed in the zoo](../zoo/README.md)): with that they have not been measured again.
"""


def main() -> int:
    """Train what has not been trained yet, and write; the exit code is 1 if a run failed."""
    if not records.only_the_page(__doc__):
        found: dict[str, dict[str, dict[str, float]]] = {job.name: {str(seed): {} for seed in SEEDS} for job in JOBS}
        cores = len(os.sched_getaffinity(0))
        for outcome in execute(measure, JOBS, slots=[Slot(gpu=None, threads=1)] * cores):
            job = JOBS[outcome.job]
            if outcome.failure:
                print(f"{job.name} seed {job.seed}: {outcome.failure}\n{outcome.trace}", file=sys.stderr)
                return 1
            print(f"{job.name} seed {job.seed}: done", file=sys.stderr)
            found[job.name][str(job.seed)] = outcome.value
        records.write(HERE / "results.csv", found)
    (HERE / "README.md").write_text(page(records.read(HERE / "results.csv")), encoding="utf-8")
    return 0


def page(results: records.Results) -> str:
    """The page of what was measured."""
    vae, best, fewer, none, layerwise = (results[name] for name in METRICS)
    pixels = records.middle(best, "test/linear_accuracy_pixels")
    lowest, _ = records.ends(best, "test/linear_accuracy")
    dead = [records.middle(runs, "fit/dead_units") for runs in (best, fewer)]
    met = {
        "the VAE comes within 3 nats of the published total": (
            abs(records.middle(vae, "train/loss") - PUBLISHED_VAE["loss"]) <= 3
        ),
        f"25 active units ({dead[0]:.0f} of 1,000 dead) beat 10 ({dead[1]:.0f} dead) with every seed": lowest
        > records.ends(fewer, "test/linear_accuracy")[1],
        "they beat pixels with every seed": lowest > pixels,
        "pretraining lowers the error with every seed": (
            records.ends(layerwise, "test/error")[1] < records.ends(none, "test/error")[0]
        ),
    }
    verdict = "; ".join(f"{what}: {'yes' if held else '**no**'}" for what, held in met.items()) + "."
    seeds = f"mean of seeds {', '.join(map(str, SEEDS))} (lowest to highest)"
    terms_of_vae = [
        [name, f"{value:.0f}", records.spread(vae, f"train/{name}", ".1f")] for name, value in PUBLISHED_VAE.items()
    ]
    probed = [
        [
            f"k = {k} of 1,000 units",
            records.spread(runs, "test/linear_accuracy", ".2%"),
            records.spread(runs, "fit/dead_units", ".0f"),
        ]
        for k, runs in ((25, best), (10, fewer))
    ]
    errors = [
        ["no pretraining", records.spread(none, "test/error", ".2%")],
        ["layerwise denoising", records.spread(layerwise, "test/error", ".2%")],
    ]
    summed = [name for name in METRICS if "mean" in results[name]]
    return TEXT.format(
        summed=f" (of {', '.join(summed)} mean and range alone are known any more)" if summed else "",
        vae=records.table([["", "published", f"Hourglass, {seeds}"], *terms_of_vae]),
        k_sparse=records.table(
            [["", f"test accuracy, {seeds}", "dead units"], *probed, ["pixels", f"{pixels:.2%}", ""]]
        ),
        stacked=records.table([["start", f"test error, {seeds}"], *errors]),
        verdict=verdict[0].upper() + verdict[1:],
        changed=_changed(results) if f"k=10{BEFORE}" in results else "",  # nothing where all is measured anew
    )


def _changed(results: records.Results) -> str:
    """What the page says of earlier measurements."""
    best, fewer = (records.spread(results[f"k={k}{BEFORE}"], "test/linear_accuracy", ".2%") for k in (25, 10))
    return CHANGED.format(
        best=best,
        fewer=fewer,
        pixels=f"{records.middle(results[f'k=25{BEFORE}'], 'test/linear_accuracy_pixels'):.2%}",
        now=f"{records.middle(results['k=10'], 'test/linear_accuracy'):.2%}",
    )


if __name__ == "__main__":
    sys.exit(main())
