"""Makes the runs that later versions have to load: one folder for each in held/, of what MLflow holds of it.

Run: .venv/bin/python tests/recorded/record.py NAME ...
A folder that is there is never made anew: it is what an earlier version wrote. A new kind of model gets a new name.
"""

import contextlib
import json
import sys
import tempfile
from pathlib import Path

from hourglass.configuration.composition import compose_config
from hourglass.pipeline.train import train
from hourglass.tracking import Run

HELD = Path(__file__).resolve().parent / "held"
SMALL = (
    *("data=digits", "data.train_size=200", "data.test_size=50", "training.batch_size=50", "training.epochs=2"),
    *("callback=quick", "trainer.accelerator=cpu"),
)
KINDS = {
    "dense": (
        *("model=multilayer", "model.widths=[12]", "model.code_size=4", "bottleneck=relu"),
        *("noise=[masking,gaussian]", "regularizer=[l1,weight_l2]"),
    ),
    "conv": ("model=conv", "model.depth=2", "model.widths=[4,4]", "model.code_size=4", "noise=block"),
    "vae": (
        *("model=multilayer", "model.widths=[12]", "model.code_size=3", "bottleneck=gaussian"),
        *("model.bottleneck.beta=2", "schedule=cosine"),
    ),
    "dictionary": ("model=dictionary", "model.code_size=16", "bottleneck=top_k", "regularizer=revival"),
    "classifier": ("model=vanilla", "model.code_size=4", "training=finetune", "training.frozen=false"),
}
"""Words of each kind; a run is resumed with the same."""

NOT_KEPT = (
    "machine.host",
    "machine.pid",
    "machine.process_start",
    "machine.git_sha",
    "machine.git_dirty",
    "mlflow.hourglass.made_by",
    "mlflow.source.name",
)
"""Tags that say where it was made."""


def record(name: str) -> None:
    """Train a kind, and keep what its run holds."""
    place = HELD / name
    place.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # no path of this machine is kept
        config, choices = compose_config([*SMALL, *KINDS[name], "tracking.uri=sqlite:///mlflow.db"])
        run: Run = train(config, choices=choices, folder=Path()).run
        tags = {key: value for key, value in run.tags.items() if key not in NOT_KEPT}
        metrics = {key: value for key, value in run.metrics.items() if key.startswith("test/")}
        said = {"params": run.params, "tags": tags, "metrics": metrics, "digest": run.digest}
        (place / "run.json").write_text(json.dumps(said, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        root = run.artifact("config.yaml").parent
        for file in sorted(root.rglob("*")):
            if file.is_file():
                kept = place / file.relative_to(root)
                kept.parent.mkdir(exist_ok=True)
                kept.write_bytes(file.read_bytes())


if __name__ == "__main__":
    for each in sys.argv[1:]:
        record(each)
