"""A model that is told classes: what its first layers compute, in every family, in stacks, and what is refused."""

from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import hourglass
from hourglass.bottlenecks import Deterministic, Gaussian
from hourglass.commands.main import main
from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import choices
from hourglass.measures.class_agreement import class_agreement
from hourglass.measures.likelihood import log_likelihood
from hourglass.models import MLP, Conditional, Output, Unconditional
from hourglass.models.conditional import ToldClass, classes_in
from hourglass.pipeline.compose import compose
from hourglass.system.errors import HourglassError

Y = torch.tensor([2, 0, 1, 1, 2])
DIGITS = ["data=digits", "data.train_size=200", "trainer.accelerator=cpu"]


def parts(*words: str) -> Any:
    torch.manual_seed(0)
    return compose(compose_config([*DIGITS, "condition=labels", *words])[0])


def test_a_class_is_a_one_hot_vector_beside_the_inputs() -> None:
    """By hand: W = (1 2), U = (10 20 30), b = .5, so that x = (3, 4) as class 1 gives 3 + 8 + 20 + .5."""
    layer = nn.Linear(2, 1)
    told = ToldClass(nn.Sequential(layer, nn.ReLU(), nn.Linear(1, 1)), classes=3, key="encoder")
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0]]))
        layer.bias.fill_(0.5)
        layer.by_class.copy_(torch.tensor([[10.0, 20.0, 30.0]]))  # type: ignore[operator]
        told.net[2].weight.fill_(1)  # type: ignore[index, union-attr]
        told.net[2].bias.fill_(0)  # type: ignore[index, union-attr]
    assert told(torch.tensor([[3.0, 4.0]]), torch.tensor([1])).item() == 31.5


def test_a_convolution_is_told_it_at_every_place() -> None:
    """As by constant maps beside the image, where the kernel sees no border."""
    layer = nn.Conv2d(1, 2, 1)
    told, x = ToldClass(nn.Sequential(layer), classes=3, key="encoder"), torch.rand(5, 1, 4, 4)
    maps = nn.functional.one_hot(Y, 3)[:, :, None, None].expand(5, 3, 4, 4)
    weight = torch.cat([layer.weight, layer.by_class[:, :, None, None]], dim=1)  # type: ignore[index]
    expected = nn.functional.conv2d(torch.cat([x, maps], dim=1), weight, layer.bias)
    torch.testing.assert_close(told(x, Y), expected)


@pytest.mark.parametrize("name", sorted(choices()["model"]))
def test_every_family_is_told_classes_or_says_why_not(name: str) -> None:
    if name == "modules":
        return
    if name in ("identity", "mean", "pca"):
        with pytest.raises(HourglassError, match=r"^condition: a class is told to a dense layer or a convolution, and"):
            parts(f"model={name}")
        return
    # A code of a size has a dense layer behind it.
    model, x = parts(f"model={name}", "model.code_size=6").model.eval(), torch.rand(5, 1, 8, 8)
    before, other = model(x, Y), model(x, (Y + 1) % 3)
    assert before.reconstruction.shape == x.shape
    assert not torch.equal(before.code, other.code)
    assert not torch.equal(model.decode(before.code, Y), model.decode(before.code, (Y + 1) % 3))
    torch.testing.assert_close(model.decode(model.encode(x, Y), Y), before.reconstruction)
    copied = deepcopy(model)
    copied.load_state_dict(model.state_dict())
    assert torch.equal(copied(x, Y).reconstruction, before.reconstruction)
    assert classes_in({key: value.shape for key, value in model.state_dict().items()}) == 10


def test_a_stack_of_conditional_models_is_each_of_them() -> None:
    def made(seed: int) -> Conditional:
        torch.manual_seed(seed)
        net = MLP(shape=(6,), code_size=2, depth=1, widths=[4], bottleneck=partial(Deterministic, activation="relu"))
        return Conditional(model=net, classes=3)

    models, x = [made(seed) for seed in range(3)], torch.rand(5, 6)
    parameters, buffers = torch.func.stack_module_state(models)
    base = deepcopy(models[0]).to("meta")

    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        output: Output = torch.func.functional_call(base, (parameters, buffers), (x, Y))
        return (output.reconstruction - x).square().mean()

    gradients = torch.func.vmap(torch.func.grad(loss))(parameters, buffers)
    for at, model in enumerate(models):
        (model(x, Y).reconstruction - x).square().mean().backward()
        for key, weight in model.named_parameters():
            torch.testing.assert_close(gradients[key][at], weight.grad, rtol=1e-4, atol=1e-6)


def test_the_likelihood_is_that_of_the_class() -> None:
    model = parts("bottleneck=gaussian", "model.code_size=2").model.eval()
    x, loss = torch.rand(5, 1, 8, 8).round(), parts("bottleneck=gaussian").learner.loss
    found = [log_likelihood(model, x, loss, draws=20, seed=0, y=y) for y in (Y, (Y + 1) % 3)]
    assert found[0].shape == (5,)  # type: ignore[union-attr]
    assert not torch.equal(*found)  # type: ignore[arg-type]


def test_agreement_is_what_a_classifier_sees() -> None:
    y = torch.arange(200) % 2
    x = y[:, None].float() + 0.1 * torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
    assert (
        class_agreement(x, y, torch.tensor([[0.0] * 3, [1.0] * 3, [1.0] * 3, [1.0] * 3]), torch.arange(4) % 2) == 0.75
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=synthetic_manifold"], "condition: a class is told of each sample, and these data have no labels: set"),
        (["model=conv"], "the decoder begins with Up: set model.code_size, or another model"),
        (["training=finetune"], "a code that was told the class has nothing to find: set condition=none"),
        (["training=layerwise", "model=multilayer"], "Conditional can't be taken apart into stages"),
        (
            ["regularizer=contractive"],
            "needs a code of the sample alone, but the model is told its class; set condition",
        ),
        (["bottleneck=gaussian", "prior=vamp"], "condition: the prior's own inputs have no class to tell the encoder"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(words: list[str], message: str) -> None:
    with pytest.raises(HourglassError) as refusal:
        compose(compose_config([*(DIGITS if "data" not in words[0] else []), "condition=labels", *words])[0])
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_unconditional_is_the_model_itself() -> None:
    model = MLP(shape=(4,), code_size=2)
    assert Unconditional().applied(model, classes=None) is model
    assert model.classes == 0
    neck = partial(Gaussian, beta=1.0, warmup_steps=0)
    with pytest.raises(ValueError, match="takes the class of each sample, from 0 to 2, got none"):
        Conditional(model=MLP(shape=(4,), code_size=2, bottleneck=neck), classes=3)(torch.rand(5, 4))


def test_a_conditional_model_is_trained_kept_and_asked_for_a_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    data = compose(compose_config(["data=digits"])[0]).data
    x, y = data.train.x.numpy(), data.train.y.numpy()  # type: ignore[union-attr]
    fitted = hourglass.fit(
        x,
        y,
        model="multilayer",
        bottleneck="gaussian",
        condition="labels",
        callback=["quick", "properties", "pictures"],
        code_size=4,
        epochs=8,
        overrides=["optimizer.lr=1e-2", "training.batch_size=50"],
    )
    assert fitted.metrics["test/class_agreement"] > 0.8
    assert fitted.run is not None
    model, codes = hourglass.load(fitted.run.id), torch.zeros(3, 4)
    torch.testing.assert_close(model.encode(x, y), fitted.encode(x, y))
    assert torch.equal(model.decode(codes, 7), model.decode(codes, [7, 7, 7]))
    assert torch.equal(model.sample(12, seed=0)[[3]], model.sample(12, y=torch.arange(12) % 10, seed=0)[[3]])
    np.save("x.npy", x)
    np.save("y.npy", y)
    run = fitted.run.id
    for words in (
        ["sample", run, "6", "new.npy", "class=3"],
        ["encode", run, "x.npy", "codes.npy", "class=y.npy"],
        ["reconstruct", run, "x.npy", "again.npy", "class=y.npy"],
        ["decode", run, "codes.npy", "out.npy", "class=3"],
    ):
        assert main(words) == 0, capsys.readouterr().err
    assert fitted.evaluate(x[:50], y[:50])["test/mse"] > 0
    with pytest.raises(HourglassError, match="a class is told of each sample, and these data have no labels"):
        fitted.evaluate(x[:50])
    np.testing.assert_allclose(np.load("codes.npy"), fitted.encode(x, y).numpy(), rtol=1e-5, atol=1e-6)
    assert torch.equal(torch.from_numpy(np.load("new.npy")), model.sample(6, y=3, seed=0))
    capsys.readouterr()
    for words, said in (
        (["encode", run, "x.npy", "c.npy"], "y must be given: the model was trained with condition=labels, and takes"),
        (["decode", run, "codes.npy", "c.npy", "class=10"], "y must be whole numbers from 0 to 9, got 10"),
        (["sample", run, "6", "c.npy", "class=three"], "class must be one of 0 to 9, or a .npy file of numbers, got"),
        (["register", run, "digits"], "takes classes beside samples is no MLflow model: condition must be none"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err
        assert not Path("c.npy").exists()


def test_a_conditional_model_keeps_the_shape_of_its_targets() -> None:
    model = Conditional(model=MLP(shape=(4,), target_shape=(3,), code_size=2), classes=2)
    assert model.target_shape == (3,)
    assert model(torch.zeros(5, 4), torch.zeros(5, dtype=torch.long)).reconstruction.shape == (5, 3)
