"""Composing: what jobs share is composed once, and each configuration is what Hydra itself would make."""

from collections.abc import Iterator

import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf, open_dict

from hourglass.configuration.groups import conf_dir
from hourglass.configuration.resolvers import register_resolvers
from hourglass.sweeps.composing import Composer, make_job

Prepared = tuple[Composer, HydraContext, OmegaConf]


@pytest.fixture(scope="module")
def prepared() -> Iterator[Prepared]:
    register_resolvers()
    hydra = Hydra.create_main_hydra2(task_name="train", config_search_path=create_config_search_path(str(conf_dir())))
    master = hydra.compose_config(config_name="config", overrides=["hydra.verbose=true"], run_mode=RunMode.MULTIRUN)
    context = HydraContext(config_loader=hydra.config_loader, callbacks=None)
    yield Composer(context, master), context, master
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["model.code_size=3", "seed=7"],
        ["model=conv", "model.code_size=3", "noise=[masking,gaussian]", "noise.masking.share=0.2"],
        ["experiment=vae", "model.bottleneck.beta=2"],
        ["model.widths=[5,4]", "model.depth=2", "+model.extra={a: 1}", "~training.batch_size", "name='a b'"],
        ["training.epochs=3", "trainer=fast", "tracking.log_every_n_steps=7"],
    ],
    ids=" ".join,
)
def test_a_configuration_is_the_one_that_hydra_composes(prepared: Prepared, words: list[str]) -> None:
    composer, context, master = prepared
    composer.compose(["seed=99", "model=pca"], 5)  # what was composed before makes no difference
    composer.compose(["model.code_size=99"], 6)
    ours, theirs = composer.compose(words, 4), context.config_loader.load_sweep_config(master, words)
    assert ours.hydra.job.num == 4
    assert ours.hydra.runtime.output_dir.endswith("/4")
    with open_dict(theirs):
        theirs.hydra.job.id = theirs.hydra.job.num = 4
        theirs.hydra.runtime.output_dir = ours.hydra.runtime.output_dir
    assert OmegaConf.to_container(ours, resolve=False) == OmegaConf.to_container(theirs, resolve=False)


def test_a_job_is_told_apart_by_what_varies(prepared: Prepared) -> None:
    composer, *_ = prepared
    job = make_job(composer.compose(["model=conv", "seed=3", "training.epochs=2"], 1), ["seed"])
    assert job.label == "seed=3"
    assert job.choices["model"] == "conv"
    assert job.config["trainer"]["max_epochs"] == 2  # ${training.epochs}, resolved
    assert "hydra" not in job.config
