"""The claims that the repository holds can be read, and each arm is one that trains."""

import subprocess
import sys
from pathlib import Path

import pytest

from hourglass.claims import read
from hourglass.claims.claim import check_names
from hourglass.claims.running import trainings
from hourglass.configuration.composition import compose_multirun
from hourglass.sweeps.composing import Composer
from hourglass.sweeps.worker import refusals

RECORDS = Path(__file__).resolve().parents[2] / "experiments"
FOLDERS = [folder for folder in (RECORDS / "claims", RECORDS / "types") if list(folder.glob("*.yaml"))]
ROWS = """
A09 A11 A12 A13 A15 A16 A17 A18 B06 B07 B08 B09 B10 B11 C05 C07 C08 C09 C11 C12 C16 C17 C18 C19
D11 D12 D13 D14 D15 D18 D19 D20 D21 D22 D23 D25 D26 D29 E07 E08 E13 E15 E16 E19 E20 E21 E24
"""
"""The claims that the documents make, by their numbers there."""


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_file_can_be_read(folder: Path) -> None:
    claims = [read(path) for path in sorted(folder.glob("*.yaml"))]
    check_names(claims)
    for claim in claims:
        assert claim.source, claim.name
        assert claim.why_not or claim.conditions, claim.name


def test_every_claim_of_the_documents_has_a_file() -> None:
    names = [path.stem for path in (RECORDS / "claims").glob("*.yaml")]
    assert len(ROWS.split()) == 47
    assert [row for row in ROWS.split() if not any(name.startswith(f"{row}_") for name in names)] == []


@pytest.mark.long
@pytest.mark.parametrize("quick", [False, True], ids=["whole", "quick"])
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_no_arm_would_be_refused(folder: Path, quick: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    claims = [read(path) for path in sorted(folder.glob("*.yaml"))]
    claims = [(claim.hurried() if quick else claim)._replace(seeds=(0,)) for claim in claims]
    with compose_multirun(["study=claims"]) as (context, config):
        jobs = trainings(claims, Composer(context, config))
    reasons = refusals(list(jobs.values()))
    assert {place: reasons[job.key] for place, job in jobs.items() if job.key in reasons} == {}


STACKED = RECORDS / "claims" / "E08_stacking.yaml"
"""Pretraining takes epochs of its own, of which closed forms know one."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "epochs"),
    [
        pytest.param(sorted({*(RECORDS / "claims").glob("*.yaml")} - {STACKED}), 1, id="claims"),
        pytest.param([STACKED], 7, id="stacking"),
        pytest.param(sorted((RECORDS / "types").glob("*.yaml")), 1, id="types"),
    ],
)
def test_every_arm_trains_and_every_measure_measures(files: list[Path], epochs: int, tmp_path: Path) -> None:
    short = ["data.train_size=600", f"training.epochs={epochs}"]
    # A process of its own: modules of the tests have names of modules beside the claims.
    command = [sys.executable, "-m", "hourglass", "claim", *map(str, files), "quick=true", *short]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr[-3000:]}"
