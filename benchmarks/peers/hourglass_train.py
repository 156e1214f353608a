"""Hourglass as a person runs it: `hourglass train` with tracking, validation, checkpoints and pictures.

Its speed is the one it records itself, `time/steps_per_second`: every step of the fit, the first ones and the
logging included, validation not. Only the probes of the codes after the test are left out, to save time.
"""

import os
import subprocess
import sys
import tempfile

from measure import BATCH, RATE, arguments, report

MODELS = {
    "small": ["model=vanilla"],
    "deep": ["model=multilayer", "model.depth=2", "model.widths=[512,256]"],
    "conv": ["model=conv", "model.widths=[16,8,8]", "model.decoder_padding=[same,same,valid,same]"],
}

args = arguments()
with tempfile.TemporaryDirectory() as folder:
    uri = f"sqlite:///{folder}/mlflow.db"
    command = [
        *(sys.executable, "-m", "hourglass", "train"),
        f"trainer={args.trainer}",
        *(args.words or [f"data.root={args.data}"]),
        "loss=mse",
        f"optimizer.lr={RATE}",
        f"training.batch_size={BATCH}",
        "training.epochs=1000000",
        f"training.max_steps={args.steps}",
        f"trainer.accelerator={'gpu' if args.device == 'cuda' else 'cpu'}",
        f"tracking.uri={uri}",
        "callback=[quick,pictures,baselines]",
        *MODELS[args.net],
    ]
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "TQDM_DISABLE": "1"}, check=False
    )
    if result.returncode:
        sys.exit(result.stderr or result.stdout)

    from mlflow import MlflowClient  # the run's own record is the measurement

    client = MlflowClient(tracking_uri=uri)
    [experiment] = [e for e in client.search_experiments() if e.name == "hourglass"]
    [run] = client.search_runs([experiment.experiment_id])
    metrics = run.data.metrics

report(
    steps=args.steps,
    seconds=metrics["time/fit_seconds"],
    all_steps=args.steps,
    parameters=int(metrics["model/parameters"]),
    loss=metrics["train/loss"],
    versions="",
)
