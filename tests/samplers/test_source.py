"""A density that is fitted after the training: what a run makes of it, alone, in a stack, resumed, loaded and measured.

And what codes are drawn from where there is none.
"""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import hourglass
from hourglass.commands.train import resumed
from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import choices, conf_dir
from hourglass.measures.prior_distance import SCALES, prior_distance
from hourglass.pipeline.compose import compose
from hourglass.pipeline.evaluate import evaluate
from hourglass.pipeline.train import Result, train
from hourglass.regularizers import MMD
from hourglass.sweeps.fusion import Member, fusable, train_fused
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run

WORDS = (
    "data=digits",
    "model.code_size=6",
    "training.epochs=3",
    "optimizer.lr=0.01",
    "trainer.accelerator=cpu",
)
USEFUL = ("callback.usefulness.likelihood_draws=null", "callback.usefulness.probe_samples=100")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def job(home: Path, *words: str) -> Member:
    useful = () if any(word.startswith("callback=") for word in words) else USEFUL
    config, chosen = compose_config([*WORDS, *useful, f"tracking.uri=sqlite:///{home}/mlflow.db", *words])
    return Member(config, chosen, home)


def trained(home: Path, *words: str) -> Result:
    config, chosen, folder, *_ = job(home, "~callback.pictures", *words)
    return train(config, choices=chosen, folder=folder)


@pytest.fixture(scope="module")
def fitted(home: Path) -> Result:
    config, chosen, folder, *_ = job(home, "bottleneck=linear", "sampler=mixture", "name=fitted", "noise=masking")
    return train(config, choices=chosen, folder=folder)


def test_a_run_draws_from_it(fitted: Result) -> None:
    metrics, run = fitted.metrics, fitted.run
    assert metrics["test/prior_mmd"] < 3 * metrics["test/prior_mmd_null"]
    assert run.tags["sampler"] == "mixture"
    assert run.params["sampler.components"] == "10"
    pictures = {path.name.split("+")[0] for path in run.artifact("images").iterdir()}
    assert "final~samples" in pictures
    # It is of the weights that were kept, and of the codes as they are trained.
    learner = fitted.parts.learner
    codes = learner.drawn_codes(fitted.parts.data.train.x)
    drawn = learner.prior(20_000)
    assert drawn is not None
    torch.testing.assert_close(drawn.mean(dim=0), codes.mean(dim=0), atol=0.1 * codes.std().item(), rtol=0)
    torch.testing.assert_close(drawn.std(dim=0), codes.std(dim=0), atol=0, rtol=0.1)


def test_a_loaded_run_gives_the_same_samples_for_a_seed(fitted: Result) -> None:
    model = hourglass.load("fitted", uri=fitted.run.uri)
    state = torch.get_rng_state()
    samples = model.sample(1500, seed=3)
    assert torch.get_rng_state().equal(state)
    assert samples.shape == (1500, 1, 8, 8)
    assert samples.equal(hourglass.load("fitted", uri=fitted.run.uri).sample(1500, seed=3))
    assert not samples.equal(model.sample(1500, seed=4))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert samples.equal(twin.sample(1500, seed=3))
    assert not model.sample(2).equal(model.sample(2))
    # The learner that fitted it draws the same.
    torch.manual_seed(3)
    codes = fitted.parts.learner.prior(1500)
    assert codes is not None
    torch.testing.assert_close(model.decode(codes), samples)
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(HourglassError, match=r"^count must be a whole number of at least 1, got"):
            model.sample(wrong)  # type: ignore[arg-type]
    with pytest.raises(HourglassError, match=r"^seed must be a whole number of at least 0, got -1$"):
        model.sample(1, seed=-1)


def test_an_evaluation_measures_with_it(fitted: Result) -> None:
    _, same = evaluate("fitted", [], uri=fitted.run.uri)
    for name in ("prior_mmd", "prior_mmd_null", "code_jacobian"):
        assert same[f"test/{name}"] == pytest.approx(fitted.metrics[f"test/{name}"], rel=1e-4)
    _, other = evaluate("fitted", ["noise=gaussian"], uri=fitted.run.uri)
    assert other["test/prior_mmd"] > other["test/prior_mmd_null"]


def test_a_resumed_run_fits_it_anew(fitted: Result, home: Path) -> None:
    config = compose_config([])[0]
    config.resume, config.tracking.uri = trained(home, "bottleneck=linear", "sampler=gaussian").run.id, fitted.run.uri
    model = hourglass.load(config.resume, uri=fitted.run.uri)
    for words in (["training.epochs=3"], ["training.epochs=5"]):
        train(resumed(config, words), choices={}, folder=home)
        again = hourglass.load(config.resume, uri=fitted.run.uri)
        # with nothing left to do it is the same, after more epochs another
        assert again.sample(5, seed=0).equal(model.sample(5, seed=0)) == (words == ["training.epochs=3"])


@pytest.mark.long
def test_members_of_a_stack_have_their_own(home: Path) -> None:
    members = [
        ("model.code_size=6", "sampler=mixture"),
        ("model.code_size=3", "sampler=gaussian"),
        ("model.code_size=4",),
    ]
    jobs = [job(home, "~callback.pictures", "bottleneck=linear", f"seed={n}", *m) for n, m in enumerate(members)]
    assert len(fusable([each.config for each in jobs])) == 1
    ended = train_fused(jobs)
    for number, end in enumerate(ended):
        assert end.result is not None, end.error
        single = train(jobs[number].config, choices={}, folder=home)
        assert end.result.metrics.keys() == single.metrics.keys()
        for name in ("test/prior_mmd_null", "test/code_jacobian"):
            assert end.result.metrics.get(name, 0.0) == pytest.approx(single.metrics.get(name, 0.0), rel=2e-2)
    assert ["test/prior_mmd" in end.result.metrics for end in ended if end.result] == [True, True, False]
    discrete = train_fused([job(home, "~callback.pictures", "bottleneck=binary", f"seed={n}") for n in (0, 1)])
    for end in discrete:
        assert end.result is not None, end.error
        assert 0 < end.result.metrics["test/code_bits"] <= end.result.metrics["test/code_bits_capacity"] == 6
        assert end.result.metrics["test/prior_mmd"] > 0
        assert "test/code_jacobian" not in end.result.metrics


@pytest.mark.parametrize(
    "words",
    [
        ["bottleneck=gaussian", "loss.reduction=sum"],
        ["bottleneck=gaussian", "prior=vamp"],
        ["bottleneck=gaussian", "loss.reduction=sum", "sampler=gaussian"],  # wins over the prior
        ["bottleneck=linear", "regularizer=mmd"],
        ["bottleneck=linear", "training=adversarial", "training.prior=mixture", "training.radius=50"],
        ["model=pca", "training=closed_form", "sampler=mixture"],
        ["bottleneck=categorical", "model.bottleneck.categories=2", "loss.reduction=sum"],
        ["training=finetune", "sampler=mixture"],
    ],
    ids=" ".join,
)
def test_a_loaded_run_draws_from_what_its_learner_draws_from(words: list[str], home: Path) -> None:
    result = trained(home, "callback=[quick,pictures,baselines]", "training.epochs=1", *words)
    model = hourglass.load(result.run.id, uri=result.run.uri)
    torch.manual_seed(0)
    codes = result.parts.learner.prior(50)
    assert codes is not None
    torch.testing.assert_close(model.sample(50, seed=0), model.decode(codes))
    if "training.radius=50" in words:
        assert codes[:, :2].norm(dim=1).min() > 40


SYMBOLS = ("binary", "categorical", "finite_scalar", "lookup_free", "residual_quantized", "vector_quantized")


@pytest.mark.parametrize("name", choices()["bottleneck"])
def test_every_continuous_code_has_draws_in_its_range(name: str) -> None:
    size = 16 if name == "joint" else 8  # of which ten units are a category
    suited = [f"model.code_size={size}", *(["loss.reduction=sum"] if name in ("gaussian", "categorical") else [])]
    config, _ = compose_config(["data=digits", "sampler=mixture", f"bottleneck={name}", *suited])
    if name in SYMBOLS:
        with pytest.raises(HourglassError, match=r"^sampler: .* made of symbols: set sampler=autoregressive$"):
            compose(config)
        return
    torch.manual_seed(0)
    learner = compose(config).learner.train()
    state = {key: value.clone() for key, value in learner.state_dict().items()}
    learner.on_fit_end()
    assert learner.training
    assert all(state[key].equal(value) for key, value in learner.state_dict().items())
    draws, (low, high) = learner.prior(500), learner.model.bottleneck.code_range
    assert draws is not None
    assert draws.isfinite().all()
    assert low <= draws.min() <= draws.max() <= high
    found = prior_distance(learner.drawn_codes(learner.data.test.x), learner.prior, seed=0)
    assert found is not None
    # Of at most 14. Rectified codes are far from a mixture; most far are those with a gap between 0 and a threshold.
    assert found.mmd < (0.5 if name == "jump_relu" else 0.1)


def test_where_there_is_nothing_to_draw_from(home: Path) -> None:
    result = trained(home, "callback=[quick,pictures,baselines]", "training.epochs=1", "bottleneck=linear")
    model = hourglass.load(result.run.id, uri=result.run.uri)
    with pytest.raises(HourglassError, match=r"^the code has no prior to draw from: train with sampler=mixture"):
        model.sample(3)
    for words, message in (
        (["bottleneck=vector_quantized"], r"^sampler: a density is of numbers, .* set sampler=autoregressive$"),
        (["data.train_size=30", "sampler.components=31"], r"^sampler\.components must be at most the .* 30, got 31$"),
        (["sampler.components=0"], r"^sampler\.components must be at least 1, got 0$"),
    ):
        with pytest.raises(HourglassError, match=message):
            trained(home, "sampler=mixture", "model.code_size=8", *words)


def test_a_record_of_before_there_were_samplers(home: Path) -> None:
    result = trained(
        home, "callback=[quick,pictures,baselines]", "bottleneck=gaussian", "loss.reduction=sum", "name=old"
    )
    config: dict[str, Any] = yaml.safe_load(result.run.artifact("config.yaml").read_text())
    del config["sampler"]
    run = Run.find("old", result.run.uri)
    run.log_text(yaml.safe_dump(config), "config.yaml")
    assert hourglass.load("old", uri=run.uri).sample(2, seed=0).shape == (2, 1, 8, 8)
    _, metrics = evaluate("old", [], uri=run.uri)
    assert {"test/mse", "test/prior_mmd"} <= metrics.keys()
    again = compose_config([])[0]
    again.resume, again.tracking.uri = run.id, run.uri
    assert train(resumed(again, ["training.epochs=4"]), choices={}, folder=home).run.status == "FINISHED"


def test_a_sampler_takes_no_more_memory_than_its_file_holds(fitted: Result) -> None:
    config: dict[str, Any] = yaml.safe_load(fitted.run.artifact("config.yaml").read_text())
    run = Run.find(fitted.run.id, fitted.run.uri)
    whole = yaml.safe_dump(config)
    config["sampler"]["components"] = 10**12
    try:
        run.log_text(yaml.safe_dump(config), "config.yaml")
        with pytest.raises(HourglassError, match=r"holds other weights in sampler\.safetensors"):
            hourglass.load(run.id, uri=run.uri)
    finally:
        run.log_text(whole, "config.yaml")


def test_the_kernel_is_that_of_the_penalty() -> None:
    penalty: MMD = build(compose_config(["regularizer=mmd", "bottleneck=linear"])[0].regularizer).regularizers["mmd"]
    assert penalty.scales.tolist() == pytest.approx(SCALES)
    assert {path.stem for path in (conf_dir() / "sampler").iterdir()} >= {"none", "gaussian", "mixture"}
