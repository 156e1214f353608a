"""Every yaml composes and builds, every recipe trains, every combination works or says why not."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import save_file

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import choices, conf_dir
from hourglass.data import DataUnavailableError, idx_format
from hourglass.losses import logged, total
from hourglass.pipeline.compose import compose
from hourglass.system.errors import HourglassError

CHOICES = choices()
RECIPES = list(CHOICES["experiment"])
MODELS, NOISES, REGULARIZERS = (list(CHOICES[group]) for group in ("model", "noise", "regularizer"))
#: What a yaml leaves to the person.
NEEDED = {
    "activations": ["data.path=runs/activations/shards", "loss=mse", "model.output_activation=linear"],
    "csv": ["data.path=table.csv"],
    "parquet": ["data.path=table.parquet"],
    "hf": ["data.path=table.parquet", "data.scaling=unit"],
    "torch_dataset": ["data.dataset={_target_:torchvision.datasets.FakeData,size:600,image_size:[3,8,8]}"],
    "npz": ["data.path=arrays.npz"],
    "npy": ["data.path=array.npy"],
    "idx": ["data.path=array-idx"],
    "image_folder": ["data.path=images", "data.size=8"],
    "shapes": ["data.samples=500"],
    "signals": ["data.path=signals.npz", "model=conv"],
    "grayscale": ["data=patches", "data.colour=true"],
}
#: What a choice needs of the others.
SUITED = {
    "kl_sparsity": ["model.bottleneck.activation=sigmoid"],
    "mmd": ["bottleneck=linear"],
    "sliced_wasserstein": ["bottleneck=linear"],
    "capacity": ["bottleneck=gaussian", "model.bottleneck.beta=0"],
    "dip": ["bottleneck=gaussian"],
    "revival": ["bottleneck=top_k"],
    "target_l0": ["bottleneck=jump_relu"],
    "resampling": ["model=dictionary", "bottleneck=relu"],
    "total_correlation": ["bottleneck=gaussian"],
    "adversarial": ["model.bottleneck.activation=linear"],
    **{name: ["bottleneck=gaussian"] for name in ("importance_weighted", "miwae", "ciwae", "piwae")},
    **{name: ["bottleneck=gaussian"] for name in ("factor", "hamiltonian", "vae_gan")},
    "riemannian": ["bottleneck=gaussian", "training=riemannian"],
    "autoregressive": ["bottleneck=vector_quantized"],  # which draws symbols
    "masked": ["model=transformer", "model.patch_size=2"],
    "closed_form": ["model=pca"],
    "residual": ["model.widths=[16,16,16]"],  # or else it takes as long as all other models together
    "modules": [
        "model.encoder._target_=torch.nn.Flatten",
        "model.decoder._target_=torch.nn.LazyLinear",
        "+model.decoder.out_features=64",
    ],
}
#: Recipes whose pictures are drawn too; a figure takes longer than the training here.
PICTURED = ("toy", "quickstart")
#: Recipes with a procedure, a sampler, a condition or data of their own: what the others do, many tests do, and each is
#: built in test_recipes.py.
UNLIKE_OTHERS = [
    *PICTURED,
    *(
        name
        for name in RECIPES
        if name not in PICTURED
        and re.search(
            r"override /(training|sampler|condition|data: (?!mnist|fashion|digits))|target",
            (conf_dir() / "experiment" / f"{name}.yaml").read_text(encoding="utf-8"),
        )
    ),
]
#: Data sets that are small as they are.
TINY = ("one_hot",)
#: Samples enough for three steps.
SMALL = {"train_size": 256, "validation_size": 64, "test_size": 64}


#: Data that only a caller in Python has: tests/pipeline/test_fit.py.
IN_PYTHON = ("arrays",)


def every(*groups: str) -> list[tuple[str, str]]:
    return [(group, name) for group in groups for name in CHOICES[group]]


@pytest.fixture(autouse=True)
def own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.chdir(tmp_path)
    table = np.random.default_rng(0).uniform(size=(60, 18))
    np.savetxt("table.csv", table, delimiter=",")
    np.savez("arrays.npz", x=table)
    np.savez("signals.npz", x=np.random.default_rng(0).uniform(size=(60, 2, 16)))
    np.save("array.npy", table)
    if request.node.name.endswith(("parquet]", "hf]")):
        pd.DataFrame(table, columns=[f"c{at}" for at in range(table.shape[1])]).to_parquet("table.parquet")
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    idx_format.write(Path("array-idx"), table)
    if re.search("activations|transcoder", request.node.name):  # as experiments/activations/host.py leaves them
        monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))
        hidden = np.random.default_rng(0).uniform(size=(400, 18)).astype(np.float16)
        for folder, kept in (("shards", hidden), ("pixels", hidden[:, :12] ** 2)):
            Path(f"runs/activations/{folder}").mkdir(parents=True)
            for name, rows in (("test_0", kept[:70]), ("train_0", kept[70:200]), ("train_1", kept[200:])):
                np.save(f"runs/activations/{folder}/{name}.npy", rows)
        np.save("runs/activations/labels.npy", np.arange(400) % 10)
        save_file({"0.weight": torch.ones(10, 18), "0.bias": torch.zeros(10)}, "runs/activations/head.safetensors")
    if "image_folder" in request.node.name:
        monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))  # whose cache would stay in the data folder
        Path("images").mkdir()
        for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)):
            Image.fromarray(pixels).save(f"images/{number}.png")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One real database for all smoke runs of a worker: making it takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


# -- every yaml ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("group", "name"), every(*CHOICES))
def test_a_yaml_opens_with_its_one_line_description(group: str, name: str) -> None:
    description = CHOICES[group][name]
    assert 15 <= len(description) <= 120
    assert description[0].isupper() or description[0].isdigit()
    assert not description.endswith(".")


@pytest.mark.parametrize(
    ("group", "name"),
    [
        pair
        for pair in every("data", "model", "bottleneck", "noise", "regularizer", "loss", "sampler", "optimizer")
        if pair[1] not in IN_PYTHON
    ],
)
def test_a_choice_composes_and_its_object_takes_a_batch(group: str, name: str) -> None:
    data = NEEDED.get(name, [] if group == "data" else ["data=digits"])
    config, chosen = compose_config([*data, f"{group}={name}", *SUITED.get(name, [])])
    assert chosen[group] == name
    try:
        parts = compose(config)
    except HourglassError as error:
        if name == "cifar10" and isinstance(error.__cause__, DataUnavailableError):
            pytest.skip("its only mirror is not reachable, and the data folder has no copy")
        raise
    x = parts.data.scaled(parts.data.train.x[:4])
    output, terms = parts.learner.terms(x, parts.learner.noise(x))
    assert output.reconstruction.shape == x.shape
    assert output.code.shape == (len(x), parts.model.code_size)
    assert all(value.isfinite() and value.ndim == 0 for value in logged(terms).values())
    if any(weight.requires_grad for weight in parts.model.parameters()):  # a closed form has none
        torch.autograd.backward(total(terms))
        parts.learner.optimizer.step()


@pytest.mark.parametrize(("group", "name"), every("training", "trainer", "tracking"))
def test_a_choice_composes_and_is_built(group: str, name: str) -> None:
    config, chosen = compose_config(["data=digits", *SUITED.get(name, []), f"{group}={name}"])
    assert chosen[group] == name
    compose(config)
    assert build(config.tracking).experiment == "hourglass"
    assert build(config.trainer, logger=False).max_epochs == config.training.epochs


# -- every combination --------------------------------------------------------------------------------------------


@cache
def node(group: str, choice: str) -> Any:
    """What one choice puts into the configuration; the groups don't refer to each other."""
    config, _ = compose_config(
        ["data=digits", f"{group}={choice}", *(SUITED.get(choice, []) if group == "model" else [])]
    )
    return config if group == "model" else config[group]


@pytest.mark.long
@pytest.mark.parametrize("turn", [0, *(pytest.param(turn, marks=pytest.mark.slow) for turn in range(1, len(MODELS)))])
@pytest.mark.parametrize("noise", NOISES)
def test_every_combination_of_groups_works_or_says_why_not(noise: str, turn: int) -> None:
    """Each noise with each regularizer, the model another every time: one turn has every pair, all have all three."""
    worked = 0
    for number, regularizer in enumerate(CHOICES["regularizer"]):
        model = MODELS[(NOISES.index(noise) + number + turn) % len(MODELS)]
        config = OmegaConf.merge(node("model", model), {})
        config.noise = node("noise", noise)
        config.regularizer = node("regularizer", regularizer)
        refusal = ""
        try:
            parts = compose(config)
        except HourglassError as error:
            refusal = str(error)
        if refusal:
            # It names the choice that doesn't suit: digits are no colour images, a rectified code is in no [0, 1].
            assert re.match(rf"(noise\.{noise}|noise: {noise}|regularizer {regularizer}\b|training)", refusal), refusal
            assert "\n" not in refusal
            continue
        worked += 1
        x = parts.data.scaled(parts.data.train.x[:4])
        _, terms = parts.learner.terms(x, parts.learner.noise(x))
        assert set(terms) <= {"reconstruction", regularizer}
        assert all(value.isfinite() for value in logged(terms).values())
    assert worked or noise == "grayscale"


def test_the_models_go_round() -> None:
    """Or else some pair of a model with a noise or a regularizer would not be met."""
    assert len(MODELS) <= min(len(NOISES), len(REGULARIZERS))


def test_several_regularizers_and_several_noises_at_once() -> None:
    config, chosen = compose_config(["data=digits", "regularizer=[l1,contractive]", "noise=[masking,gaussian]"])
    assert (chosen["regularizer"], chosen["noise"]) == ("l1,contractive", "masking,gaussian")
    parts = compose(config)
    assert list(parts.learner.noise.processes) == ["masking", "gaussian"]
    x = parts.data.scaled(parts.data.train.x[:4])
    assert list(parts.learner.terms(x, x)[1]) == ["reconstruction", "l1", "contractive"]


# -- every recipe -------------------------------------------------------------------------------------------------


def test_there_are_recipes() -> None:
    assert len(RECIPES) >= 30


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_how_to_run_it_and_sets_known_keys_only(name: str) -> None:
    text = (conf_dir() / "experiment" / f"{name}.yaml").read_text(encoding="utf-8")
    first, _, third = text.splitlines()[:3]
    assert first == "# @package _global_"
    assert third.startswith("# Run: ")
    assert f"hourglass train experiment={name}" in third
    recipe = yaml.safe_load(text)
    known = yaml.safe_load((conf_dir() / "config.yaml").read_text(encoding="utf-8"))
    groups = {key for choice in known["defaults"] if isinstance(choice, dict) for key in choice}
    assert set(recipe) <= {"defaults", "hydra"} | set(known) | groups
    # A sweep's runs are named after what differs between them.
    assert recipe.get("name") == (None if "hydra" in recipe else name)


@pytest.mark.parametrize("name", [name for name in RECIPES if name.endswith("_as_written")])
def test_what_is_written_wrong_comes_repaired_too_and_both_say_what_differs(name: str) -> None:
    repaired = name.removesuffix("_as_written")
    assert repaired in RECIPES
    for one, other in ((name, repaired), (repaired, name)):
        text = (conf_dir() / "experiment" / f"{one}.yaml").read_text(encoding="utf-8")
        assert re.search(rf"^# Differs from {other}\b", text, re.MULTILINE)


def trains(name: str, store: str, folder: Path) -> None:
    """A recipe from its beginning to its end, for three steps."""
    from hourglass.pipeline.train import train

    recipe = (conf_dir() / "experiment" / f"{name}.yaml").read_text(encoding="utf-8")
    small = {} if any(f"override /data: {tiny}\n" in recipe for tiny in TINY) else SMALL
    config, chosen = compose_config(
        [
            f"experiment={name}",
            *(f"data.{key}={size}" for key, size in small.items()),
            "training.max_steps=3",
            f"tracking.uri={store}",
            f"callback=[quick,pictures,baselines{',loss_recovered' if 'loss_recovered' in recipe else ''}]",
            "callback.baselines.samples=5",
            *(["sampler.steps=3"] if re.search("override /sampler: (two_stage|.*autoregressive)", recipe) else []),
            *(["sampler.codes=100"] if re.search("override /sampler: (slerp|neighbours)", recipe) else []),
            # Of the pictures the final ones alone.
            "callback.pictures.every=1000" if name in PICTURED else "~callback.pictures",
        ]
    )
    result = train(config, choices=chosen, folder=folder)
    assert result.run.status == "FINISHED"
    assert result.parts.learner.steps_done == 3
    assert result.metrics["test/loss"] > 0
    assert (folder / "reconstructions.png").exists() == (name in PICTURED)


@pytest.mark.long
@pytest.mark.parametrize("name", UNLIKE_OTHERS)
def test_a_recipe_that_is_unlike_others_trains(name: str, store: str, tmp_path: Path) -> None:
    trains(name, store, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RECIPES if name not in UNLIKE_OTHERS])
def test_a_recipe_trains(name: str, store: str, tmp_path: Path) -> None:
    trains(name, store, tmp_path)


# -- the real command line: a start of Python, torch and MLflow for each -------------------------------------------


def hourglass(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hourglass", *words], capture_output=True, text=True, timeout=300, check=False
    )


def recorded(folder: Path) -> list[Any]:
    from mlflow import MlflowClient  # as any other reader of the database would

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("hourglass")
    return list(client.search_runs([experiment.experiment_id]))


@pytest.mark.long
def test_train_leaves_a_run_a_picture_and_pointers_to_both(tmp_path: Path) -> None:
    done = hourglass("train", "data=digits", "training.epochs=2")
    assert done.returncode == 0, done.stderr
    (run,) = recorded(tmp_path)
    assert run.info.status == "FINISHED"
    assert run.data.tags["data"] == "digits"
    # digits: 1,797 - 180 test - 180 validation = 1,437 samples, 6 batches of 256 in each of 2 epochs
    assert run.data.params["training.epochs"] == "2"
    pointers = dict(re.findall(r"^(picture|run|dashboard) +(.+)$", done.stdout, re.MULTILINE))
    assert Path(pointers["picture"]).read_bytes().startswith(b"\x89PNG")
    assert pointers["run"] == f"{run.info.run_id} in sqlite:///{tmp_path}/mlflow.db"
    assert pointers["dashboard"].endswith("hourglass ui")
    assert "step 12 of 12" in done.stderr


@pytest.mark.slow
def test_a_multirun_records_every_job(tmp_path: Path) -> None:
    done = hourglass(
        "train",
        "-m",
        "experiment=toy",
        "seed=0,1",
        "data.rows=500",
        "training.epochs=1",
        "callback=quick",
    )
    assert done.returncode == 0, done.stderr
    runs = recorded(tmp_path)
    assert {run.info.status for run in runs} == {"FINISHED"}
    (study,) = (run for run in runs if run.data.tags["kind"] == "study")
    children = [run for run in runs if run is not study]
    assert sorted(run.data.params["seed"] for run in children) == ["0", "1"]
    assert {run.data.tags["experiment"] for run in children} == {"toy"}
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {study.info.run_id}
    assert study.data.tags["axis.seed"] == "0, 1"


def test_cfg_job_prints_the_configuration_and_trains_nothing(tmp_path: Path) -> None:
    done = hourglass("train", "experiment=deep18_as_written", "training.epochs=7", "--cfg", "job")
    assert done.returncode == 0, done.stderr
    printed = yaml.safe_load(done.stdout)
    assert printed["model"]["decoder_widths"] == [11, 15]
    assert printed["training"]["epochs"] == 7
    assert not (tmp_path / "mlflow.db").exists()


def test_list_shows_every_recipe_without_importing_torch() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from hourglass.commands.main import main; main(['list']); print('torch' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        check=True,
    )
    for group, names in CHOICES.items():
        assert f"\n{group}\n" in f"\n{done.stdout}"
        for name, description in names.items():
            assert re.search(rf"^  {name} +{re.escape(description)}$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("False\n")
