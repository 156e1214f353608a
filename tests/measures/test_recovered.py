"""Loss recovered, against numbers worked out by hand, and in a run."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hourglass.configuration.composition import compose_config
from hourglass.measures.recovered import DenseHead, Losses, losses
from hourglass.pipeline.evaluate import evaluate
from hourglass.pipeline.train import train
from hourglass.system.errors import HourglassError


def test_by_hand() -> None:
    """Two classes, logits (h, 0) with h = ln 3 for class 0: p = 3/4; of the reconstruction ln 1 = 0: p = 1/2."""
    x, y = torch.tensor([[math.log(3.0)], [-math.log(3.0)]]), torch.tensor([0, 1])

    def host(h: torch.Tensor) -> torch.Tensor:
        return torch.cat([h, torch.zeros_like(h)], dim=1)

    mean = torch.tensor([-math.log(3.0)])
    reconstruction = torch.tensor([[math.log(3.0)], [0.0]])
    of = Losses(*(losses(host, x, reconstruction, y, mean) / 2).tolist())
    clean, half = math.log(4 / 3), math.log(2)
    assert of.clean == pytest.approx(clean)
    assert of.reconstructed == pytest.approx((clean + half) / 2)
    assert of.zero == pytest.approx(half)
    assert of.mean == pytest.approx((math.log(4) + clean) / 2)
    assert of.recovered(of.zero) == pytest.approx(0.5)
    # (ln 4 + c - c - ln 2) / (ln 4 + c - 2 c) = ln 2 / ln 3, with c = ln 4/3
    assert of.recovered(of.mean) == pytest.approx(math.log(2) / math.log(3))
    assert of.recovered(of.clean) is None


def test_an_ablation_that_costs_rounding_recovers_nothing() -> None:
    # 1e-8 nats of .69: the share would be (1e-8 - 1e-4) / 1e-8 = -9999.
    assert Losses(clean=0.69, reconstructed=0.6901, zero=0.69 + 1e-8, mean=0.79).recovered(0.69 + 1e-8) is None
    assert Losses(clean=0.69, reconstructed=0.6901, zero=0.0, mean=0.79).recovered(0.79) == pytest.approx(0.999)
    # A network that is sure of every class, with its layer and without: both losses are rounding.
    assert Losses(clean=1e-8, reconstructed=1e-4, zero=2e-8, mean=2e-8).recovered(2e-8) is None
    # The same of a loss far above one nat: 1e-4 of 1,000 are rounding, 1 is not.
    assert Losses(clean=1000.0, reconstructed=1000.5, zero=0.0, mean=0.0).recovered(1000.0001) is None
    assert Losses(clean=1000.0, reconstructed=1000.5, zero=0.0, mean=0.0).recovered(1001.0) == pytest.approx(0.5)


def test_a_head_is_its_layers(tmp_path: Path) -> None:
    path = str(tmp_path / "head.safetensors")
    held = {"0.weight": torch.tensor([[1.0, -1.0]]), "0.bias": torch.tensor([0.5])}
    held |= {"1.weight": torch.tensor([[2.0], [-1.0]]), "1.bias": torch.tensor([0.0, 1.0])}
    save_file(held, path)
    head = DenseHead(path=path)
    # relu(3 - 1 + .5) = 2.5: (5, -1.5); relu(1 - 3 + .5) = 0: (0, 1)
    assert head(torch.tensor([[3.0, 1.0], [1.0, 3.0]])).tolist() == [[5.0, -1.5], [0.0, 1.0]]
    assert head.inputs == 2
    for wrong in ({"0.weight": torch.zeros(2, 2)}, {"w": torch.zeros(2), "b": torch.zeros(2)}):
        save_file(wrong, path)
        with pytest.raises(ValueError, match="path must hold the weight and the bias of layers"):
            DenseHead(path=path)
    save_file({**held, "1.weight": torch.zeros(2, 3)}, path)
    with pytest.raises(ValueError, match="layers that follow each other, got another shape in 1"):
        DenseHead(path=path)


@pytest.mark.long
def test_a_run_on_shards_goes_on_is_measured_and_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer of 6 units: trained, resumed to the bit, loaded in its own units, measured on other shards."""
    import hourglass

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    x = torch.randn(900, 6, generator=torch.Generator().manual_seed(0)).relu() * 5
    Path("shards").mkdir()
    Path("others").mkdir()
    for number, part in enumerate(torch.split(x, 300)):
        np.save(f"shards/{number}.npy", part.numpy().astype(np.float16))
    np.save("others/0.npy", x[:100].flip(1).numpy())
    np.save("labels.npy", (x[:, 1] > x[:, 0]).long().numpy())
    save_file({"0.weight": torch.eye(2, 6), "0.bias": torch.zeros(2)}, "head.safetensors")
    words = ["data=activations", "data.path=shards", "data.labels=labels.npy", "data.block=16", "data.mixed=4"]
    words += [
        "data.test_shards=2.npy",
        "model=dictionary",
        "bottleneck=top_k",
        "model.code_size=8",
        "model.bottleneck.k=4",
    ]
    words += [
        "training.batch_size=50",
        "optimizer.lr=0.03",
        "callback=[default,loss_recovered]",
        "~callback.pictures",
        f"tracking.uri={uri}",
    ]
    words += ["callback.loss_recovered.host.path=head.safetensors", "callback.usefulness.probe_samples=50"]

    def trained(*more: str) -> "hourglass.pipeline.train.Result":  # type: ignore[name-defined]
        config, choices = compose_config([*words, *more])
        return train(config, choices=choices, folder=tmp_path)

    whole = trained("training.epochs=3")
    quick = ["~callback.usefulness", "~callback.floor", "~callback.properties", "~callback.baselines"]
    begun = trained("training.epochs=2", *quick)
    went_on = trained("training.epochs=3", f"resume={begun.run.id}", *quick)
    for name, weight in whole.parts.model.state_dict().items():
        assert weight.equal(went_on.parts.model.state_dict()[name]), name
    metrics = whole.metrics
    assert metrics["test/host_loss"] < metrics["test/host_loss_reconstructed"] < metrics["test/host_loss_zero"]
    expected = (metrics["test/host_loss_zero"] - metrics["test/host_loss_reconstructed"]) / (
        metrics["test/host_loss_zero"] - metrics["test/host_loss"]
    )
    assert metrics["test/loss_recovered"] == pytest.approx(expected)
    assert metrics["test/host_loss_zero"] == pytest.approx(math.log(2))
    assert metrics["data/mean_squared_norm"] == pytest.approx(metrics["data/scale"] ** 2 * 6)
    raw = x[600:].half().float()
    again = hourglass.load(whole.run.id, uri=uri)(raw).reconstruction
    explained = 1 - (again - raw).square().sum() / (raw - raw.mean(0)).square().sum()
    assert metrics["test/explained_variance"] == pytest.approx(explained.item(), abs=1e-5)
    _, measured = evaluate(whole.run.id, ["noise=gaussian"], uri=uri)
    assert measured["test/loss_recovered"] == pytest.approx(expected)
    _, measured = evaluate(whole.run.id, ["data=activations", "data.path=others"], uri=uri)
    assert measured["test/anomaly_auroc"] > 0.5
    assert "test/loss_recovered" not in measured
    with pytest.raises(HourglassError, match=r"callback.loss_recovered needs classes.* see data.labels"):
        trained("data.labels=null")
    save_file({"0.weight": torch.eye(2, 5), "0.bias": torch.zeros(2)}, "head.safetensors")
    with pytest.raises(HourglassError, match=r"host must take samples of shape \(6,\), got one for \(5,\)"):
        trained()
