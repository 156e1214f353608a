"""What a recorded configuration may name: what conf/ holds, and a package of one's own where it is named."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra.utils import get_object

from hourglass.configuration import trust
from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import choices, conf_dir
from hourglass.configuration.schema import arguments_of
from hourglass.system.errors import HourglassError

MODEL = """
from functools import partial
import subprocess
from hourglass.models import MLP

def make(**settings):
    return Mine(**settings)

class Mine(MLP):
    def __init__(self, *, shape, code_size, bottleneck):
        super().__init__(shape=shape, code_size=code_size, depth=0, widths=None, decoder_widths=None, tied=False,
                         unit_norm=False, activation="relu", output_activation="sigmoid", bottleneck=bottleneck)
"""


@pytest.fixture
def config() -> dict[str, Any]:
    from omegaconf import OmegaConf

    composed, _ = compose_config(["data=digits", "model.code_size=3"])
    whole: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    return whole


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of the person's own, that nothing has imported."""
    package = tmp_path / "ownpkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("ownpkg", "ownpkg.models"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "ownpkg"


def test_the_table_is_what_conf_holds() -> None:
    table = trust.allowed()
    models = ("Conv", "Dictionary", "Identity", "MLP", "Mean", "Modules", "PCA", "Residual", "Transformer")
    assert table["model"] == {f"hourglass.models.{name}" for name in models}
    assert table["noise"] == {"hourglass.noise.Corruption"}
    assert table["trainer"] == {"pytorch_lightning.Trainer"}
    for place, group in (("model.bottleneck", "bottleneck"), ("noise.*", "noise"), ("regularizer.*", "regularizer")):
        lines = [line for name in choices()[group] for line in (conf_dir() / group / f"{name}.yaml").open()]
        named = {line.split()[1] for line in lines if line.strip().startswith("_target_:")}
        if group == "bottleneck":
            named.add("hourglass.bottlenecks.FlowGaussian")  # of the group `flow`, which makes it of a gaussian one
        assert table[place] == named
    assert {place.partition(".")[0] for place in table} == {*trust.GROUPS, "callback", "sweep"}


def test_every_name_of_the_table_is_there_and_nobody_elses() -> None:
    for place, targets in trust.allowed().items():
        for target in targets:
            found = get_object(target)
            assert callable(found), target
            assert found.__module__.startswith(("hourglass.", "torch.optim", "pytorch_lightning.")), target
            if target.startswith("hourglass."):
                assert not arguments_of(found).takes_any or place in ("noise", "regularizer"), target


@pytest.mark.parametrize(
    "words",
    [
        ["data=digits", "noise=[masking,gaussian]", "regularizer=[l1,contractive]", "bottleneck=top_k"],
        ["data=digits", "model=pca"],
        ["data=mnist_corrupted", "training=adversarial", "bottleneck=linear", "trainer=fast"],
        ["experiment=vae"],
    ],
    ids=" ".join,
)
def test_what_is_composed_is_taken_and_can_be_recorded(words: list[str]) -> None:
    from omegaconf import OmegaConf

    composed, _ = compose_config(words)
    whole: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    trust.check_recordable(whole)
    text = yaml.safe_dump(whole, sort_keys=False)
    assert "*id" not in text  # a part that is there twice is written twice
    trust.check(yaml.safe_load(text), of="run")


def test_an_optimizer_of_torch_and_a_name_of_an_older_version(config: dict[str, Any]) -> None:
    config["optimizer"]["_target_"] = "torch.optim.NAdam"
    config["data"] = {"_target_": "hourglass.data.corrupted", "source": {"_target_": "hourglass.data.mnist"}, "seed": 0}
    trust.check(config, of="run")


def test_a_package_of_ones_own_is_taken_where_it_is_named(
    config: dict[str, Any], own_package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config["model"] = {"_target_": "ownpkg.models.Mine", "code_size": 3, "bottleneck": config["model"]["bottleneck"]}
    with pytest.raises(HourglassError) as refused:
        trust.check(config, of="run good")
    assert str(refused.value) == (
        "the config.yaml of run good is refused: model._target_ is 'ownpkg.models.Mine', allowed are"
        " hourglass.models.Conv, hourglass.models.Dictionary, hourglass.models.Identity, hourglass.models.MLP,"
        " hourglass.models.Mean, hourglass.models.Modules, hourglass.models.PCA, hourglass.models.Residual,"
        " hourglass.models.Transformer; if ownpkg is something that you know"
        " and trust, say so: HOURGLASS_TRUST=ownpkg, or trust=('ownpkg',)"
    )
    assert own_package not in sys.modules
    for named in (("ownpkg",), ("ownpkg.models",), "ownpkg", ("other,ownpkg",)):
        trust.check(config, of="run", trust=named)
    with pytest.raises(HourglassError, match=r"model\._target_ is"):
        trust.check(config, of="run", trust=("ownp", "ownpkg.model"))
    monkeypatch.setenv("HOURGLASS_TRUST", " other , ownpkg")
    trust.check(config, of="run")
    config["model"]["_target_"] = "ownpkg.models.make"
    trust.check(config, of="run")


@pytest.mark.parametrize(
    "target",
    ["models.subprocess.run", "models.partial", "models.Mine.mro", "models", "models.absent", "absent.Mine"],
)
def test_what_a_trusted_package_has_imported_is_not_trusted(
    config: dict[str, Any], own_package: str, target: str
) -> None:
    config["model"] = {"_target_": f"{own_package}.{target}", "_args_": ["touch", "canary"]}
    with pytest.raises(HourglassError, match=rf"model\._target_ is '{own_package}\.{target}', which"):
        trust.check(config, of="run", trust=(own_package,))


def test_a_part_of_a_library_is_taken_by_its_whole_name(config: dict[str, Any]) -> None:
    config["trainer"]["callbacks"] = [{"_target_": "pytorch_lightning.callbacks.Timer"}]
    with pytest.raises(HourglassError, match=r"say so: HOURGLASS_TRUST=pytorch_lightning\.callbacks\.Timer, or trust="):
        trust.check(config, of="run")
    trust.check(config, of="run", trust=("pytorch_lightning.callbacks.Timer",))
    for target in (
        "os.system",
        "torch.hub.load",
        "torch.nn.modules.os.system",
        "mlflow.utils.process._exec_cmd",
        ".",
        "",
    ):
        config["trainer"]["callbacks"] = [{"_target_": target}]
        with pytest.raises(HourglassError, match=r"allowed is none there$"):
            trust.check(config, of="run")


def test_its_parts_are_not_looked_at_less(config: dict[str, Any], own_package: str) -> None:
    config["model"] = {"_target_": f"{own_package}.models.Mine", "_args_": [{"_target_": "os.system"}]}
    with pytest.raises(HourglassError, match=r"model\._args_\[0\]\._target_ is 'os\.system', allowed is none there$"):
        trust.check(config, of="run", trust=(own_package,))
    assert own_package not in sys.modules  # nothing is imported before all of it was looked at


@pytest.mark.parametrize("named", ["my pkg", "mypkg.", ".mypkg", "my-pkg", "*", "mypkg/models", "mypkg\nos"])
def test_what_can_be_no_package(named: str) -> None:
    with pytest.raises(HourglassError, match=r"^HOURGLASS_TRUST must name packages, as mypkg or"):
        trust.trusted((named,))


def test_what_could_not_be_read_again_is_not_recorded(config: dict[str, Any]) -> None:
    config["name"] = "a ${literal}"
    with pytest.raises(HourglassError, match=r"^name must be without \$\{, .* got 'a \$\{literal\}'$"):
        trust.check_recordable(config)


def test_sizes_are_compared_without_memory() -> None:
    """Every model is made on the device of no values, as `Trained` does with a stranger's configuration."""
    from hourglass.configuration.build import build

    for words in (["model=vanilla", "bottleneck=vector_quantized"], ["model=conv"], ["model=pca"], ["model=mean"]):
        config, _ = compose_config([*words, "data=digits"])
        with torch.device("meta"):
            empty = build(config.model, shape=(1, 8, 8))
        sizes = {name: tensor.shape for name, tensor in build(config.model, shape=(1, 8, 8)).state_dict().items()}
        assert {name: tensor.shape for name, tensor in empty.state_dict().items()} == sizes
