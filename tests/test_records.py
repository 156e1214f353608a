"""The records say what was measured: a page is made of its results.csv, and what quotes it quotes it rightly."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments import pages, records
from experiments.code_size_by_depth import measure as code_size_by_depth
from experiments.equal_l0 import page as page_of_equal_l0
from experiments.equal_l0 import training as equal_l0
from experiments.size_and_depth import measure as size_and_depth
from experiments.types.training import PUBLISHED_VAE
from experiments.zoo import measure
from experiments.zoo import page as zoo
from experiments.zoo.collection import TYPES
from experiments.zoo.kinds import EPOCHS
from experiments.zoo.properties import Generates, Less, More, Nested
from experiments.zoo.training import words_of
from hourglass.claims import page as claims
from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import choices
from hourglass.measures.linear_probe import SAMPLES
from hourglass.tracking import Run, initialise_store

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "experiments"

#: Choices of groups that make types, which make none of their own on MNIST.
NO_TYPES = {
    "model": {
        "modules",  # nets of one's own
        "conv_dae",  # a convolutional net of another size
    },
    "bottleneck": {"linear"},  # what is there without a choice
    "training": {
        "backprop",
        "closed_form",  # of PCA, mean and identity, which choose it themselves
        "finetune",  # a classifier, in experiments/types
    },
    "regularizer": {"none"},
    "prior": {"normal"},
    "flow": {"none"},
    "condition": {"none"},
    "sampler": {  # from which any code is drawn
        "none",
        *("gaussian", "hypersphere", "masked_autoregressive", "inverse_autoregressive", "neighbours", "slerp"),
        "autoregressive",  # of symbols
    },
    "loss": {"auto", "bce"},  # what is there without a choice
    "noise": {
        "none",
        "grayscale",  # needs colours
        *("patches", "motion_blur", "salt_and_pepper_count", "speckle", "swap"),  # as inpainting, deblurring, denoising
    },
}


#: The records whose numbers the first page of the project quotes.
QUOTED = ("published_figures", "types")


def numbers(text: str) -> set[float]:
    return {float(number) for number in re.findall(r"\d*\.?\d+", text)}


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_page_is_what_its_results_make_of_it(name: str) -> None:
    results = records.read(RECORDS / name / "results.csv")
    assert (RECORDS / name / "README.md").read_text(encoding="utf-8") == pages.PAGES[name](results)


ZOOS = {"results.csv": "README.md", "tuned.csv": "TUNED.md"}


@pytest.mark.parametrize("results", [name for name in ZOOS if (RECORDS / "zoo" / name).exists()])
def test_the_zoo_is_what_its_results_make_of_it(results: str) -> None:
    page = ZOOS[results]
    written, found = (RECORDS / "zoo" / page).read_text(encoding="utf-8"), records.read(RECORDS / "zoo" / results)
    configured = zoo.configured_of(RECORDS / "zoo") if page == "TUNED.md" else None
    assert written == zoo.text(found, configured=configured, remarks=zoo.remarks(written))
    if page == "README.md":
        docs = zoo.DOCS.read_text(encoding="utf-8")
        assert docs == zoo.in_docs(docs, found)


@pytest.mark.parametrize(("page", "folder"), [(page, folder) for _, page, folder, _ in pages.CLAIMS])
def test_the_verdicts_are_what_their_results_make_of_them(page: str, folder: str) -> None:
    path = RECORDS / page
    made = claims.text(pages.judged(RECORDS, page, folder), path.stem.lower(), claims.read_page(path))
    assert path.read_text(encoding="utf-8") == made


def test_the_index_says_what_the_records_say() -> None:
    assert (RECORDS / "README.md").read_text(encoding="utf-8") == pages.index(RECORDS)


def test_what_the_first_page_quotes_is_in_the_records() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, table = readme.partition("## Does it find what others found?")
    rows = [line.split("|")[1:-1] for line in table.partition("\n\n[")[0].splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 5
    pages_quoted = "".join((RECORDS / name / "README.md").read_text(encoding="utf-8") for name in QUOTED)
    for _, published, found in rows:
        for number in numbers(published) | numbers(found):
            assert number in numbers(pages_quoted), (number, published, found)


def test_the_first_page_counts_the_verdicts_as_their_page_does() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    page = (RECORDS / "CLAIMS.md").read_text(encoding="utf-8")
    counts = {word: count for count, word in re.findall(r"(\d+) ([A-Z]{3,}[A-Z ]*)", page.split("| claim |")[0])}
    said = "{CONFIRMED} are confirmed, {REFUTED} refuted, {UNDECIDED} undecided, {NOT TESTED} can't be tested"
    assert said.format(**counts) in readme


def test_what_is_compared_at_an_equal_l0_composes() -> None:
    for kind in equal_l0.TYPES:
        compose_config(equal_l0.words_of(kind, 16))


@pytest.mark.parametrize("page", ["docs/first_run.md", "docs/speed.md"])
def test_what_is_said_of_fast_training_is_in_its_record(page: str) -> None:
    record = (RECORDS / "exact_vs_fast" / "README.md").read_text(encoding="utf-8")
    (equal,) = re.findall(r"(\d+ of \d+) comparisons are equal within 2%", record)
    (low, high) = re.findall(r"\((-?[\d.]+) to \+([\d.]+)\) %", record)[0]
    said = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    assert f"within 2 % in {equal} comparisons and within {max(-float(low), float(high)):g} % in the other" in said


def test_what_the_page_of_types_says_of_its_record_is_in_it() -> None:
    docs = " ".join((ROOT / "docs" / "types.md").read_text(encoding="utf-8").split())
    said = docs.partition("`make types` measures whether")[2].partition("`make type-claims`")[0]
    found = records.read(RECORDS / "types" / "results.csv")
    vae = found["vae"]
    low, high = records.ends(vae, "train/loss")
    percent = {
        arm: f"{records.middle(found[arm], metric):.1%}".replace("%", " %")
        for arm, metric in (
            *((f"k={k}", "test/linear_accuracy") for k in (25, 10)),
            *((start, "test/error") for start in ("none", "layerwise")),
        )
    }
    pixels = f"{records.middle(found['k=25'], 'test/linear_accuracy_pixels'):.1%}".replace("%", " %")
    for words in (
        f"25 of 1,000 k-sparse units tell {percent['k=25']} of the digits",
        f"(10 units {percent['k=10']}, pixels {pixels})",
        f"from {percent['none']} to {percent['layerwise']}",
        f"reaches {records.middle(vae, 'train/loss'):.1f} nats ({low:.1f} to {high:.1f}), where"
        f" {PUBLISHED_VAE['loss']:.0f} are published",
    ):
        assert words in said, words


def test_what_was_measured_before_stays_when_a_record_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    assert records.earlier(path, ", before") == {}
    records.write(path, {"a": {"0": {"m": 1.0}}, "a, before": {"mean": {"m": 2.0}}})
    assert records.earlier(path, ", before") == {"a, before": {"mean": {"m": 2.0}}}


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    results = {"a, b": {"0": {"test/mse": 0.1 + 0.2}, "1": {"test/mse": 1e-9}}, "c": {"": {"cores": 2.0}}}
    path = tmp_path / "results.csv"
    records.write(path, results)
    assert path.read_text().splitlines()[:2] == ["arm,seed,metric,value", '"a, b",0,test/mse,0.30000000000000004']
    assert records.read(path) == results
    assert records.seeds(results) == ["0", "1"]
    path.write_text(path.read_text() + "c,,cores,3\n")
    with pytest.raises(ValueError, match="gives cores of c, seed , twice"):
        records.read(path)


def test_how_much_a_probe_learned_from_is_what_the_runs_say_or_what_is_known() -> None:
    said = {"a": {"0": {records.LEARNED: 1000.0}, "1": {}}, "b": {"0": {records.LEARNED: 55000.0}}}
    assert records.learned(said, otherwise=7) == " and learned from 1,000 to 55,000 training samples"
    assert records.learned({"b": said["b"]}, otherwise=None) == " and learned from 55,000 training samples"
    silent = {"a": {"0": {"m": 1.0}}}
    assert records.learned(silent, otherwise=7000) == " and learned from 7,000 training samples"
    assert records.learned(silent, otherwise=None) == ""


@pytest.mark.parametrize("data", ["mnist", "fashion_mnist"])
def test_what_is_known_of_the_probes_samples_is_what_the_recipes_leave(data: str) -> None:
    words = [word for word in size_and_depth.WORDS if "," not in word]
    for chosen in ([*words, f"data={data}"], list(equal_l0.BUDGET), ["experiment=code_size_by_depth"]):
        config, _ = compose_config(chosen)
        assert config.data.train_size is None
        assert 60_000 - config.data.validation_size == records.OF_MNIST <= SAMPLES


def test_a_page_says_that_its_probe_is_an_older_one_where_no_run_says_what_it_learned_from() -> None:
    silent: dict[str, dict[str, dict[str, float]]] = {"a": {"0": {"m": 1.0}}}
    assert "before commit 5019abe" in records.older_probe(silent)
    assert records.older_probe(silent, "so") == "so"
    assert records.older_probe({**silent, "b": {"0": {records.LEARNED: 1000.0}}}) == ""


def test_where_depth_helps_is_judged_by_paired_differences() -> None:
    def runs_of(errors: tuple[float, ...]) -> dict[str, dict[str, float]]:
        return {str(seed): {"test/mse": error, "test/linear_mse": 4.0} for seed, error in enumerate(errors)}

    found = {
        code_size_by_depth.Place("2", "0"): runs_of((3.0, 5.0, 7.0)),
        code_size_by_depth.Place("2", "1"): runs_of((2.0, 4.0, 6.1)),  # lower with every seed, though the ranges meet
        code_size_by_depth.Place("2", "2"): runs_of((2.1, 4.2, 9.0)),  # higher with every seed, which decides nothing
    }
    lower = code_size_by_depth.difference(found, "2", "1", "0")
    assert lower is not None
    # -1, -1, -.9: mean -.9667, deviation .05774, t(.975, 2) = 4.303: half of the interval 4.303 * .05774 / sqrt(3)
    assert lower == pytest.approx((-0.96667, -1.11010, -0.82323), abs=1e-4)
    said = code_size_by_depth.verdict(found)
    assert said.startswith(
        "Depth 1 has a lower error than depth 0 at code size 2, a higher one at none; depth 2 has a lower error than"
        " depth 1 at code size none, a higher one at none, undecided at 2."
    )
    assert "Depth 0 has a lower error than PCA at code size none, a higher one at none, undecided at 2." in said
    alone = {place: {"0": runs["0"]} for place, runs in found.items()}
    assert code_size_by_depth.difference(alone, "2", "1", "0") is None
    assert "at code size none, a higher one at none, undecided at 2." in code_size_by_depth.verdict(alone)


def test_the_class_told_at_an_equal_l0_is_judged_of_types_as_sparse_as_l1() -> None:
    def runs(on: float, accuracies: tuple[float, ...], dead: int) -> dict[str, dict[str, float]]:
        kept = {"test/code_l0": on, "fit/dead_units": dead}
        return {str(seed): {"test/linear_accuracy": each, **kept} for seed, each in enumerate(accuracies)}

    results = {
        "L1, L0 4": runs(4.0, (0.90, 0.91, 0.92), 25),
        "gated, L0 4": runs(4.1, (0.91, 0.92, 0.93), 26),  # a point more with every seed
        "k-sparse, L0 4": runs(4.0, (0.91, 0.91, 0.91), 0),
        "winner-take-all, L0 4": runs(30.0, (0.95, 0.96, 0.97), 0),  # not as sparse
    }
    said = page_of_equal_l0.verdict_of_probe(results)
    assert said.endswith("With 4 units on gated +1.0 (+1.0 to +1.0); undecided of k-sparse.")
    assert page_of_equal_l0.dead_codes(results) == "More than a tenth of 256 units is dead of gated (26 with 4 on)."


def test_a_spread_is_of_the_seeds_or_of_what_is_known_of_them() -> None:
    seeds = {"0": {"m": 1.0}, "1": {"m": 3.0}, "2": {"m": 3.5}}
    assert records.spread(seeds, "m", ".1f") == "2.5 (1.0 to 3.5)"
    known = {"mean": {"m": 2.5}, "lowest": {"m": 1.0}, "highest": {"m": 3.5}}
    assert records.spread(known, "m", ".1f") == "2.5 (1.0 to 3.5)"


# -- the zoo's types ----------------------------------------------------------------------------------------------


def test_every_type_has_its_control_and_keeps_what_its_property_looks_at() -> None:
    by_name = {kind.name: kind for kind in TYPES}
    assert len(by_name) == len(TYPES)
    for kind in TYPES:
        assert kind.control is None or kind.control in by_name, kind.name
        assert 0 <= kind.epochs <= EPOCHS
        asked = kind.property.metric if kind.property else None
        for of in (kind, *([by_name[kind.control]] if kind.control else [])):
            assert asked is None or asked in zoo.kept_of(of), (kind.name, asked)


def test_what_a_drawn_code_is_told_of_besides_its_property() -> None:
    run = {"test/log_likelihood": -100.0, "test/prior_mmd": 0.02, "test/prior_mmd_null": 0.001, "test/mse": 0.01}
    far = "MMD from the prior 0.0200 (null 0.0010)"
    assert Generates().told([run], ()) == f"{far}, -100.0 nats"
    likelier = More("test/log_likelihood", "nats", ".1f")
    assert likelier.told([run], [run]) == f"nats -100.0, without -100.0; {far}"
    less = Less("test/mse", "MSE", ".3f")
    assert less.told([run], [run]) == f"MSE 0.010, without 0.010; {far}, -100.0 nats"
    selected = {"test/mse": 0.01, "test/mse_as_trained": 0.02}
    assert less.told([selected], [selected]) == "MSE 0.010, without 0.010; MSE as trained 0.0200"
    assert less.told([{"test/mse": 0.01}], [run]) == "MSE 0.010, without 0.010"


@pytest.mark.parametrize(("dead", "held"), [(12, True), (13, False)])
def test_first_units_are_those_of_a_code_with_few_dead(dead: int, held: bool) -> None:
    nested = Nested("test/mse_prefix_32", "MSE", ".3f", 0.6)
    run = {"test/mse_prefix_32": 0.02, "test/code_l0": 8.0, "fit/dead_units": dead, "model/code_size": 256.0}
    assert nested.holds(run, {"test/mse_prefix_32": 0.06}) == held
    assert f"8.0 of 256 units on, {dead} dead" in nested.told([run], [run])


def test_the_zoo_keeps_the_error_as_trained_and_says_what_it_is_where_a_run_has_it() -> None:
    results = records.read(RECORDS / "zoo" / "results.csv")
    told = "*MSE as trained*"
    for run in results["winner-take-all"].values():
        run["test/mse_as_trained"] = 0.0123
    page = zoo.text(results, remarks="")
    assert "39.7 of 256 units on, 0 dead; MSE as trained 0.0123" in page
    assert told in page
    assert all("test/mse_as_trained" in zoo.kept_of(kind) for kind in TYPES)


@pytest.mark.parametrize("group", NO_TYPES)
def test_the_zoo_has_every_choice_that_makes_a_type(group: str) -> None:
    said = " ".join(kind.words for kind in TYPES).split()
    used = {
        name for word in said if word.startswith(f"{group}=") for name in re.findall(r"\w+", word.partition("=")[2])
    }
    assert set(choices()[group]) - used == NO_TYPES[group]


@pytest.mark.long
def test_a_search_without_a_finished_trial_costs_its_type_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri := f"sqlite:///{tmp_path}/mlflow.db")
    initialise_store(uri)
    monkeypatch.setattr(measure, "subprocess", SimpleNamespace(run=lambda *_, **__: None, DEVNULL=None))  # no trial
    formula, net = (next(kind for kind in TYPES if bool(kind.epochs) is trained) for trained in (False, True))
    numbers = tmp_path / "tuned.csv"
    records.write(numbers, {net.name: {"0": {"test/mse": 1.0}}})
    assert measure.measure([formula, net], seeds=[0], words=("data=digits",), into=numbers, tuned=True) == 1
    assert f"no trial of {net.name} is finished" in capsys.readouterr().err
    assert set(records.read(numbers)) == {zoo.ALL, formula.name}


@pytest.mark.parametrize("name", ["vanilla", "VAE, Student's t"])
def test_a_type_is_tuned_by_the_loss_of_the_weights_kept(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = next(kind for kind in TYPES if kind.name == name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    searched = SimpleNamespace(run=lambda *_, **__: None, DEVNULL=None)  # it is recorded already
    monkeypatch.setattr(measure, "subprocess", searched)
    tags = {"study": f"zoo search: {name} data=digits"}
    trials = {
        "steady": ("best", [5.0, 4.0, 3.0], {"fit/best_epoch": 3}),
        "overfits": ("best", [5.0, 2.0, 4.0], {"fit/best_epoch": 2}),
        "warms_up": ("best", [1.0, 2.5, 3.0], {"fit/best_epoch": 2}),  # the first epoch's loss is of another problem
        "last": ("last", [5.0, 1.5, 6.0], {"fit/best_epoch": 2}),
        "never_settles": ("best", [1.0, 2.0, 3.5], {}),
    }
    for trial, (keep, losses, found) in trials.items():
        params = {"optimizer.lr": trial, "training.keep": keep}
        with Run.start(uri=None, experiment="e", name=trial, tags={**tags, "schedule": "cosine"}, params=params) as run:
            for epoch, loss in enumerate(losses, start=1):
                run.log_metrics({"val/loss": loss}, step=10 * epoch)
            run.log_metrics(found, step=0)
    assert measure.tune(kind, ("data=digits",)) == ("data=digits", "optimizer.lr=overfits", "schedule=cosine")
    kept = {trial: measure.loss_kept(Run.find(trial, None), "val/loss") for trial in trials}
    assert kept == {"steady": 3.0, "overfits": 2.0, "warms_up": 2.5, "last": 6.0, "never_settles": 3.5}


def test_a_type_with_a_discriminator_is_tuned_by_what_it_has_no_say_in() -> None:
    goals = {
        kind.name: measure.goal_of(kind) for kind in TYPES if kind.name in ("VAE", "FactorVAE", "adversarial (AAE)")
    }
    uncontested = "val/loss_uncontested"
    assert goals == {"VAE": "val/loss", "FactorVAE": uncontested, "adversarial (AAE)": uncontested}


@pytest.mark.slow
@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_every_type_of_the_zoo_trains(kind: zoo.Type, tmp_path: Path) -> None:
    from hourglass.pipeline.train import train

    small = {"train_size": 512, "validation_size": 64, "test_size": 64}
    words = [*words_of(kind), *(f"data.{key}={size}" for key, size in small.items()), "callback=quick"]
    steps = ["training.max_steps=2"] if kind.epochs else []
    config, chosen = compose_config([*words, *steps, f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"])
    assert train(config, choices=chosen, folder=tmp_path).metrics["test/mse"] >= 0
