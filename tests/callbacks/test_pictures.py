"""Which pictures a model has, that they repeat themselves, and that a run records them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hourglass import figures
from hourglass.callbacks.inspection import inside
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import compose
from hourglass.training import Learner

ALWAYS = {"filters", "code_map", "code_histogram", "most_activating", "worst", "interpolation"}


def learner(*words: str) -> Learner:
    """A learner whose model has seen no data."""
    torch.manual_seed(0)
    config, _ = compose_config(["training.epochs=1", *words])
    return compose(config).learner.eval()


def drawn(*words: str) -> set[str]:
    return set(inside(learner(*words), code_map="pca"))


def test_a_code_of_two_with_a_prior_has_every_picture_but_maps() -> None:
    words = ["data=digits", "model.code_size=2", "bottleneck=gaussian", "loss.reduction=sum"]
    assert drawn(*words) == ALWAYS | {"samples", "traversal", "manifold"}


def test_a_convolution_has_feature_maps_and_a_large_code_no_traversal() -> None:
    assert drawn("data=digits", "model=conv", "model.depth=1") == ALWAYS | {"feature_maps"}


def test_a_map_of_symbols_is_drawn_place_by_place() -> None:
    from hourglass.callbacks.inspection import _feature_maps, _symbols

    words = ["data=digits", "model.depth=1", "model.code_channels=2", "bottleneck=vector_quantized"]
    quantized = learner(*words, "model=conv", "model.bottleneck.dimension=2", "model.bottleneck.entries=8")
    assert set(inside(quantized, code_map="pca")) == ALWAYS | {"feature_maps", "symbols", "traversal"}
    x, neck = quantized.data.scaled(quantized.data.test.x[:3]), quantized.model.bottleneck
    with torch.no_grad():
        (symbols,) = _symbols(quantized, x, None).values()
        code = quantized.model.encode(x).view(3, 4, 4, 2)
        assert torch.equal(neck.codebook[symbols[:, 0].long()], code)
        *_, last = _feature_maps(quantized, x).values()
    assert torch.equal(last, code.movedim(3, 1))


def test_a_deep_net_shows_the_end_of_each_resolution() -> None:
    from hourglass.callbacks.inspection import _feature_maps

    deep = learner("data=digits", "model=residual", "model.widths=[8,8,8]", "bottleneck=gaussian", "loss.reduction=sum")
    with torch.no_grad():
        x = deep.data.scaled(deep.data.test.x[:3])
        maps = _feature_maps(deep, x)
        assert torch.equal(maps["stage 3"].movedim(1, 3).flatten(1), deep.model.encode(x))
    assert [tuple(each.shape[2:]) for each in maps.values()] == [(8, 8), (4, 4), (2, 2)]
    assert set(inside(deep, code_map="pca")) == ALWAYS | {"feature_maps", "samples", "traversal"}


def test_a_table_has_no_manifold() -> None:
    assert drawn("data=wine", "model.code_size=2", "loss=mse") == ALWAYS | {"traversal"}


def test_colour_images_without_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).integers(0, 256, (60, 3, 8, 8), dtype=np.uint8))
    pictures = drawn("data=npz", f"data.path={tmp_path}/x.npz", "model=conv", "model.depth=2", "model.code_size=3")
    assert pictures == ALWAYS | {"feature_maps", "traversal"}


def test_a_model_that_is_lost_still_has_its_pictures() -> None:
    lost = learner("data=digits", "model=conv", "model.depth=1", "model.code_size=2")
    torch.nn.init.constant_(next(lost.model.parameters()), torch.nan)
    for figure in inside(lost, code_map="tsne").values():
        figures.to_array(figure)


def test_pictures_repeat_themselves_and_leave_no_trace() -> None:
    vae = learner("data=digits", "model.code_size=2", "bottleneck=gaussian", "loss.reduction=sum", "noise=masking")
    state, pixels = torch.get_rng_state(), []
    for _ in range(2):
        pictures = inside(vae, code_map="pca")
        pixels.append({key: figures.to_array(pictures[key]) for key in ("samples", "worst", "traversal")})
    assert torch.equal(torch.get_rng_state(), state)
    for key, array in pixels[0].items():
        np.testing.assert_array_equal(array, pixels[1][key])
    assert not any(module._forward_hooks for module in vae.model.modules())


def test_feature_maps_are_what_the_stages_put_out() -> None:
    """Against the encoder applied by hand: convolution, pooling, activation."""
    from hourglass.callbacks.inspection import _feature_maps

    conv = learner("data=digits", "model=conv", "model.depth=2", "model.code_size=5")
    x = conv.data.scaled(conv.data.test.x[:3])
    with torch.no_grad():
        maps = _feature_maps(conv, x)
        first = conv.model.encoder[:3](x)
        assert torch.equal(maps["stage 1"], first)
        assert torch.equal(maps["stage 2"], conv.model.encoder[3:6](first))
    assert list(maps) == ["stage 1", "stage 2"]


def test_maps_that_are_the_code_are_activated_by_the_bottleneck() -> None:
    from hourglass.callbacks.inspection import _feature_maps

    conv = learner("data=digits", "model=conv", "model.depth=2", "bottleneck=relu")
    x = conv.data.scaled(conv.data.test.x[:3])
    with torch.no_grad():
        maps, code = _feature_maps(conv, x), conv.model.encode(x)
    assert (conv.model.encoder(x) < 0).any()
    assert torch.equal(maps["stage 2"].flatten(1), code)
    assert (maps["stage 2"] >= 0).all()


def test_the_plane_of_a_prior_lies_at_its_exact_quantiles() -> None:
    vae = learner("data=digits", "model.code_size=2", "bottleneck=gaussian", "loss.reduction=sum")
    said = inside(vae, code_map="pca")["manifold"].texts
    # Of N(0, 1) the percentiles 5, 30.7, 50, 69.3 and 95: each third or fourth of fifteen.
    assert said[1:6] == ["-1.64", "-0.50", "0.00", "0.50", "1.64"]


def test_a_run_has_its_final_pictures_before_the_curves(tmp_path: Path) -> None:
    from hourglass.pipeline.train import train
    from hourglass.tracking.pictures import last_of

    words = ("data=digits", "data.train_size=100", "noise=masking", "callback=[quick,pictures,baselines]")
    config, choices = compose_config([*words, "training.epochs=1", f"tracking.uri=sqlite:///{tmp_path}/m.db"])
    run = train(config, choices=choices, folder=tmp_path).run
    keys = set(last_of(run.artifact("images")))
    assert {"final/reconstructions", "final/code_map", "final/worst", "final/baselines", "reconstructions"} <= keys
    assert {key for key in keys if not key.startswith("final/")} == {"reconstructions"}


def test_an_unknown_map_is_refused() -> None:
    from hourglass.configuration.build import build
    from hourglass.system.errors import HourglassError

    config, _ = compose_config(["callback.pictures.code_map=umap"])
    with pytest.raises(HourglassError, match="code_map must be one of pca, tsne, got 'umap'"):
        build(config.callback.pictures)
