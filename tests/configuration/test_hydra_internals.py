"""What Hourglass knows of Hydra and OmegaConf is so in those that are installed: each item is seen at work."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobRuntime, JobStatus
from hydra.errors import HydraException, InstantiationException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from hourglass.configuration import hydra_internals


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small folder of yaml files."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "db").mkdir()
    (folder / "config.yaml").write_text("defaults: [{db: small}, _self_]\nseed: 0\nwidths: [8, 4]\n")
    (folder / "db" / "small.yaml").write_text("size: 1\n")
    (folder / "db" / "large.yaml").write_text("size: 2\n")
    return str(folder)


def composed(conf: str, *words: str) -> DictConfig:
    with hydra.initialize_config_dir(conf, version_base="1.3"):
        return hydra.compose("config", list(words), return_hydra_config=True)


def refused(conf: str, *words: str) -> str:
    """The message about words that can't be composed, on one line."""
    with pytest.raises((HydraException, OmegaConfBaseException)) as caught:
        composed(conf, *words)
    return " ".join(str(caught.value).split())


def test_importing_what_is_known_imports_no_hydra() -> None:
    code = "import sys, hourglass.configuration.hydra_internals; assert not {'hydra', 'omegaconf'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# Its classes


def test_overrides_are_applied_as_composing_would(conf: str) -> None:
    words = ["seed=7", "db.size=5", "+new.key=[1,2]", "~widths"]
    parsed = OverridesParser.create().parse_overrides(words)
    config, expected = composed(conf), composed(conf, *words)
    with open_dict(config):
        hydra_internals.apply_overrides(parsed, config)
    for each in (config, expected):
        with open_dict(each):
            del each["hydra"]
    assert config == expected
    naming = OmegaConf.create({"kv_sep": "=", "item_sep": ",", "exclude_keys": ["seed"]})
    assert hydra_internals.overrides_dirname(parsed, naming) == "+new.key=[1,2],db.size=5,~widths"


def test_a_return_holds_what_its_function_returned_or_raises_it() -> None:
    ended = hydra_internals.job_return(value=42, overrides=["seed=1"], status=JobStatus.COMPLETED)
    assert (ended.return_value, ended.overrides) == (42, ["seed=1"])
    failed = hydra_internals.job_return(value=ValueError("too large"), status=JobStatus.FAILED)
    with pytest.raises(ValueError, match="too large"):
        failed.return_value  # noqa: B018


def test_a_word_is_completed(conf: str) -> None:
    with hydra.initialize_config_dir(conf, version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        assert hydra_internals.completions(loader, "-m db=large se") == ["seed="]
        assert hydra_internals.completions(loader, "-m db=") == ["db=large", "db=small"]


def test_the_basic_sweeper_makes_combinations_and_checks_a_batch_by_this_method(tmp_path: Path) -> None:
    assert list(vars(hydra_internals.BasicSweeperConf())) == ["_target_", "max_batch_size", "params"]
    checked: list[Sequence[str]] = []
    launched: list[Sequence[str]] = []

    class Sweeper(hydra_internals.BasicSweeper):
        def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
            checked.extend(batch)

    class Launcher:
        def launch(self, batch: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:  # noqa: ARG002
            launched.extend(batch)
            return [hydra_internals.job_return(value=None, status=JobStatus.COMPLETED) for _ in batch]

    sweeper = Sweeper(max_batch_size=None)
    sweeper.config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}})
    sweeper.hydra_context = HydraContext(config_loader=None, callbacks=None)  # no group is chosen
    sweeper.launcher = Launcher()
    sweeper.sweep(["seed=1,2", "db=small"])
    assert checked == launched == [["seed=1", "db=small"], ["seed=2", "db=small"]]


def test_a_file_is_read_again_where_it_has_changed(conf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    load = OmegaConf.load
    monkeypatch.setattr(
        OmegaConf, "load", lambda file: (file.name.startswith(conf) and read.append(file.name), load(file))[1]
    )
    with hydra_internals.files_read_once():
        first = composed(conf, "db.size=5")
        assert len(read) == 2
        assert composed(conf).db == {"size": 1}  # what was composed before has changed nothing
        assert len(read) == 2
        large = Path(conf, "db/large.yaml")
        assert composed(conf, "db=large").db.size == 2
        large.write_text("size: 300\n")
        assert composed(conf, "db=large").db.size == 300
        large.write_text("size: 2\n")
        assert refused(conf, "db=none").startswith("In 'config': Could not find 'db/none'")
    assert first.db.size == 5
    composed(conf)
    assert len(read) == 6


# Its configuration


def test_hydras_part_has_keys_that_its_class_does_not_name(conf: str) -> None:
    part = composed(conf).hydra
    named = {field.name for field in fields(OmegaConf.get_type(part))}
    assert set(part) - named == set(hydra_internals.UNNAMED_GROUPS)


def test_where_a_node_stands() -> None:
    config = OmegaConf.create({"trainer": {"callbacks": [{"monitor": {"key": 1}}]}, "x": None, "y": "${trainer}"})
    assert hydra_internals.full_key(config.trainer.callbacks[0]) == "trainer.callbacks[0]"
    assert hydra_internals.full_key(config.trainer) == "trainer"
    assert hydra_internals.full_key(config) == ""
    assert hydra_internals.written_below(config, "trainer") is config.trainer
    for node, key in ((config.trainer, "callbacks"), (config, "x"), (config, "y")):
        assert hydra_internals.written_below(node, key) is None


# Its messages


def test_its_messages_say_what_is_wrong(conf: str) -> None:
    said = hydra_internals.NO_CHOICE.search(refused(conf, "db=huge"))
    assert said is not None
    assert (said[1], said[2], said[3].split()) == ("db", "huge", ["large", "small"])
    said = hydra_internals.SEVERAL_VALUES.search(refused(conf, "seed=1,2"))
    assert said is not None
    assert said.groups() == ("seed", "1,2")
    said = hydra_internals.KEY_IS_THERE.search(refused(conf, "+seed=1"))
    assert said is not None
    assert said[1] == "seed"
    said = hydra_internals.NO_KEY.search(refused(conf, "sed=1"))
    assert said is not None
    assert said[1] == "sed"


def test_the_messages_of_omegaconf_say_where_it_is() -> None:
    config = OmegaConf.create({"model": {"size": 1}})
    OmegaConf.set_struct(config, True)
    with pytest.raises(OmegaConfBaseException) as caught:
        OmegaConf.update(config, "model", {"siz": 2})
    said = hydra_internals.NO_KEY.search(" ".join(str(caught.value).split()))
    assert said is not None
    assert said[2] == "model.siz"
    assert hydra_internals.DETAILS.sub("", " ".join(str(caught.value).split())) == "Key 'siz' is not in struct"


def test_hydra_is_set_aside_and_comes_back_as_it_was(conf: str) -> None:
    with hydra.initialize_config_dir(conf, version_base="1.2", job_name="around"):
        before, base = GlobalHydra.instance().hydra, hydra.version.getbase()
        with hydra_internals.set_aside():
            assert not GlobalHydra.instance().is_initialized()
            with hydra.initialize_config_dir(conf, version_base="1.3", job_name="within"):
                assert hydra.compose("config").seed == 0
        assert GlobalHydra.instance().hydra is before
        assert hydra.version.getbase() == base
        assert JobRuntime.instance().get("name") == "around"


def test_threads_compose_one_after_another(conf: str) -> None:
    begin = threading.Barrier(8)

    def compose(seed: int) -> list[int]:
        begin.wait()
        found = []
        for _ in range(20):
            with hydra_internals.set_aside(), hydra_internals.files_read_once():
                found.append(composed(conf, f"seed={seed}").seed)
        return found

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(compose, range(8))) == [[seed] * 20 for seed in range(8)]


def test_a_node_that_cannot_be_made_is_named() -> None:
    config = OmegaConf.create({"model": {"part": {"_target_": "fractions.Fraction", "numerator": "x"}}})
    with pytest.raises(InstantiationException) as caught:
        hydra.utils.instantiate(config.model)
    said = hydra_internals.NODE_AT_FAULT.search(str(caught.value))
    assert said is not None
    assert said[1] == "model.part"


def test_the_reason_why_a_word_cannot_be_read_stands_between_these() -> None:
    with pytest.raises(HydraException) as caught:
        OverridesParser.create().parse_overrides(["name=Übung"])
    reason, found, _ = " ".join(str(caught.value).split()).partition(hydra_internals.AFTER_UNREADABLE)
    assert found
    assert hydra_internals.BEFORE_UNREADABLE.sub("", reason) == "name=Übung ^"
    assert hydra_internals.BEFORE_UNREADABLE.match(reason)
