"""The probes on codes whose answer is known, and what a run logs of them."""

import math

import numpy as np
import pytest
import torch

from hourglass.configuration.composition import compose_config
from hourglass.data import digits, mnist
from hourglass.measures import probes
from hourglass.measures.linear_probe import linear_probe
from hourglass.measures.probes import (
    baselines,
    cluster_agreement,
    knn_accuracy,
    mlp_accuracy,
    probe,
)
from hourglass.models.principal_components import fit
from hourglass.pipeline.evaluate import evaluate
from hourglass.pipeline.train import train

PROBES = {"knn_accuracy", "linear_accuracy", "linear_samples", "mlp_accuracy", "cluster_ari", "cluster_nmi"}


def blobs(per_class, *, classes=3, seed=0):
    """Well separated clusters around 10 e_c."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(classes).repeat(per_class)
    return 10 * torch.eye(classes)[y] + torch.randn(len(y), classes, generator=generator), y


def test_knn_by_hand():
    code, y = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0]]), torch.tensor([0, 0, 1, 1, 1])
    test_code, test_y = torch.tensor([[0.4], [2.2], [9.0]]), torch.tensor([0, 1, 1])
    assert knn_accuracy(code, y, test_code, test_y, k=1) == 1
    # With 3 neighbours 2.2 sees the values 2, 1, 0 of classes 1, 0, 0 and is called 0.
    assert knn_accuracy(code, y, test_code, test_y, k=3) == pytest.approx(2 / 3)


def test_separable_classes():
    (code, y), (test_code, test_y) = blobs(50), blobs(40, seed=1)
    assert knn_accuracy(code, y, test_code, test_y, k=5) == 1
    assert cluster_agreement(code, y) == {"cluster_ari": 1, "cluster_nmi": pytest.approx(1)}


def test_a_ring_is_near_but_not_linear():
    """Two concentric circles: neighbours tell them apart, no line does."""
    angle = torch.linspace(0, 2 * math.pi, 401)[:-1]
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)
    code, y = torch.cat([circle, 3 * circle]), torch.arange(2).repeat_interleave(400)
    assert knn_accuracy(code[::2], y[::2], code[1::2], y[1::2], k=5) == 1
    # Twenty epochs of a perceptron do, from enough samples.
    many = circle.repeat(10, 1)
    code, y = torch.cat([many, 3 * many]), torch.arange(2).repeat_interleave(4000)
    assert mlp_accuracy(code[::2], y[::2], code[1::2], y[1::2]) > 0.95


def test_cluster_agreement_by_hand():
    """Clusters 000111 of classes 001111: of 15 pairs 3 + 3 share a cluster, 1 + 6 a class, 1 + 3 both."""
    code = torch.tensor([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]])
    found = cluster_agreement(code, torch.tensor([0, 0, 1, 1, 1, 1]))
    expected = 6 * 7 / 15
    assert found["cluster_ari"] == pytest.approx((4 - expected) / (6.5 - expected))  # 0.3243
    mutual = 2 / 6 * math.log(2) - 1 / 6 * math.log(2) + 3 / 6 * math.log(1.5)
    entropies = math.log(2), math.log(3) - 2 / 3 * math.log(2)
    assert found["cluster_nmi"] == pytest.approx(mutual / (sum(entropies) / 2))  # 0.4787


def test_a_unit_of_hardly_any_variance_says_nothing():
    """As the last components of a few samples have it: in units of its deviation a test code would be infinite."""
    draw = torch.Generator().manual_seed(0)
    code, y = torch.randn(300, 3, generator=draw), torch.arange(300) % 2
    code[:, 0] += 6 * y
    code[:, 2] *= 1e-39
    test = code.clone()
    test[:, 2] = torch.randn(300, generator=draw)
    assert mlp_accuracy(code, y, test, y) > 0.9
    assert linear_probe((code, y), None, (test, y)).accuracy > 0.9


def test_a_constant_code_is_chance():
    _, y = blobs(50, classes=4)
    code = torch.full((200, 3), 0.25)
    assert knn_accuracy(code, y, code, y, k=5) <= 0.5
    assert cluster_agreement(code, y) == {"cluster_ari": 0, "cluster_nmi": 0}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["train", "test"])
def test_a_diverged_code_is_nan(bad, where):
    (code, y), (test_code, test_y) = blobs(30), blobs(30, seed=1)
    (code if where == "train" else test_code)[3, 1] = bad
    result = probe(code, y, test_code, test_y, train_samples=1000, validation=None)
    # What is clustered are the test codes.
    lost = {key for key in result if where == "test" or key.endswith("accuracy")} - {"linear_samples"}
    assert all(math.isnan(result[key]) for key in lost)


def test_the_subset_is_random_and_repeatable():
    """Samples sorted by class: the first half would hold one class only."""
    (code, y), (test_code, test_y) = blobs(100, classes=2), blobs(40, classes=2, seed=1)
    order = y.argsort()
    results = [probe(code[order], y[order], test_code, test_y, train_samples=40, validation=None) for _ in range(2)]
    assert results[0] == results[1] == pytest.approx(dict.fromkeys(PROBES, 1.0) | {"linear_samples": 160})


@pytest.mark.parametrize("each", probes.PROBES)
def test_one_probe_says_what_all_of_them_say_of_it(each):
    (code, y), (test_code, test_y) = blobs(50), blobs(20, seed=1)
    how = {"train_samples": 100, "validation": None}
    alone, whole = (probe(code, y, test_code, test_y, which=which, **how) for which in ([each], probes.PROBES))
    assert alone.items() <= whole.items()
    assert {key.split("_")[0] for key in alone} == {each.removesuffix("s")}


def test_principal_components_of_mnist():
    data = mnist(
        root=None,
        validation_size=5000,
        validation="test",
        split_seed=0,
        train_size=None,
        test_size=None,
        order_seed=0,
        resident="never",
    )
    pca = fit(data.train.x[:5000])
    train, test = pca.encode(data.train.x[:4000], 32), pca.encode(data.test.x[:2000], 32)
    result = probe(train, data.train.y[:4000], test, data.test.y[:2000], train_samples=4000, validation=None)
    # Within 0.02 of what scikit-learn 1.9 gave when this was written.
    assert result == pytest.approx(
        {
            "knn_accuracy": 0.915,
            "linear_accuracy": 0.85,
            "linear_samples": 3200,
            "mlp_accuracy": 0.875,
            "cluster_ari": 0.36,
            "cluster_nmi": 0.48,
        },
        abs=0.02,
    )


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Digits, with a data folder of its own."""
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path))
    return digits(
        test_share=0.2,
        validation_size=100,
        validation="split",
        split_seed=0,
        train_size=None,
        test_size=None,
        order_seed=0,
        resident="never",
    )


def test_baselines_are_the_probes_of_pixels_and_components(small):
    found = baselines(small, train_samples=500, code_size=8)
    assert found.keys() == {f"{key}_{what}" for key in PROBES for what in ("pixels", "pca")}
    x, y, test, validation = small.train.x, small.train.y, small.test, small.validation

    def probed(of):
        codes = of(x), y, of(test.x), test.y
        return probe(*codes, train_samples=500, validation=(of(validation.x), validation.y))

    flat, pca = probed(lambda x: x.flatten(1).float() / 255), fit(x)
    components = probed(lambda x: pca.encode(x, 8))
    for key in PROBES:
        assert found[f"{key}_pixels"] == flat[key]
        assert found[f"{key}_pca"] == components[key]
    assert found["knn_accuracy_pixels"] > 0.9


def test_baselines_are_kept(small, tmp_path, caplog):
    first = baselines(small, train_samples=100, code_size=8)
    folder = next(tmp_path.glob("probes-*"))
    stem = f"{small.digest}-100"
    names = {f"{stem}-{of}-{each}.json" for of in ("pca8", "pixels") for each in probes.PROBES}
    assert {path.name for path in folder.iterdir()} == names
    (folder / f"{stem}-pca8-knn.json").write_text('{"knn_accuracy": 0.125}')
    (folder / f"{stem}-pixels-knn.json").write_text('{"knn_accu')
    again = baselines(small, train_samples=100, code_size=8)
    assert again["knn_accuracy_pca"] == 0.125  # read
    assert again["knn_accuracy_pixels"] == first["knn_accuracy_pixels"]  # computed again
    assert "pixels-knn.json is damaged and is computed again" in caplog.text


def test_a_baseline_that_is_not_asked_for_is_not_made(small, tmp_path):
    found = baselines(small, train_samples=100, code_size=8, which=["knn"])
    assert found.keys() == {"knn_accuracy_pixels", "knn_accuracy_pca"}
    assert {path.name.split("-")[-1] for path in next(tmp_path.glob("probes-*")).iterdir()} == {"knn.json"}


def test_a_code_larger_than_the_sample_stands_beside_all_components(small, monkeypatch):
    found = baselines(small, train_samples=100, code_size=1000)
    assert found == baselines(small, train_samples=100, code_size=64)
    # A rotation: neighbours stay neighbours.
    assert found["knn_accuracy_pca"] == pytest.approx(found["knn_accuracy_pixels"], abs=0.006)
    monkeypatch.setattr(probes, "LARGEST", 63)
    assert not any(key.endswith("_pca") for key in baselines(small, train_samples=100, code_size=8))


def test_what_a_run_logs(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    words = ["data=digits", "training.epochs=20", "optimizer.lr=0.01", "trainer.accelerator=cpu", "name=digits"]
    words += ["~callback.pictures", f"tracking.uri={uri}", "model.code_size=16"]
    words += ["bottleneck=gaussian", "loss.reduction=sum"]
    config, choices = compose_config(words)
    metrics = train(config, choices=choices, folder=tmp_path).metrics
    expected = {f"{key}{what}" for key in PROBES for what in ("", "_pixels", "_pca")}
    expected |= {"mse_over_linear", "linear_mse", "noise_mse", "copy_ratio", "elbo", "log_likelihood", "sharpness"}
    assert {f"test/{key}" for key in expected} <= metrics.keys()
    assert "test/anomaly_auroc" not in metrics
    assert metrics["test/copy_ratio"] == pytest.approx(metrics["test/mse"] / metrics["test/noise_mse"], rel=1e-4)
    assert metrics["test/copy_ratio"] < 0.8
    # The bound that training brings up, by other draws for the same 180 samples, whose mean has a deviation of .25 over
    # seeds where there is one for each: BCE leaves no constant out.
    assert metrics["test/elbo"] == pytest.approx(-metrics["test/loss"], abs=1.0)
    assert metrics["test/elbo"] < metrics["test/log_likelihood"]

    rng = np.random.default_rng(0)
    np.savez(tmp_path / "noise.npz", x=rng.integers(0, 256, size=(60, 8, 8), dtype=np.uint8))
    given = ["data=npz", f"data.path={tmp_path}/noise.npz", "data.test_share=0.5", "noise=none"]
    _, other = evaluate("digits", given, uri=uri)
    assert other["test/anomaly_auroc"] > 0.95
    # Its own data are no anomalies, however they are asked for.
    _, same = evaluate("digits", ["data=digits"], uri=uri)
    assert "test/anomaly_auroc" not in same
    assert same["test/log_likelihood"] == metrics["test/log_likelihood"]


@pytest.mark.long
@pytest.mark.parametrize(("count", "classes"), [(4, 2), (30, 1)])
def test_a_handful_of_samples_and_labels_of_one_class(tmp_path, count, classes):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, size=(count, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "few.npz", x=x, y=np.arange(count) % classes)
    words = ["data=npz", f"data.path={tmp_path}/few.npz", "data.validation_size=1", "trainer.accelerator=cpu"]
    words += ["training.epochs=1", "model.code_size=3", f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"]
    config, choices = compose_config([*words, "tracking.log_model=true"])
    result = train(config, choices=choices, folder=tmp_path)
    assert result.run.status == "FINISHED"
    assert ("test/knn_accuracy" in result.metrics) == (classes > 1)
    assert all(math.isfinite(value) for value in result.metrics.values())


def test_wrong_arguments():
    code, y = blobs(2)
    with pytest.raises(ValueError, match="k must be between 1 and 6, the number of training codes, got 7"):
        knn_accuracy(code, y, code, y, k=7)
    with pytest.raises(ValueError, match="train_samples must be at least 1, got 0"):
        probe(code, y, code, y, train_samples=0, validation=None)
    for which in (["knn", "tree"], "knn"):
        with pytest.raises(ValueError, match="probes must be a list of some of knn, linear, mlp, clusters, got"):
            probe(code, y, code, y, train_samples=3, validation=None, which=which)
