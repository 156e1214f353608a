from hourglass.tracking import flatten


def test_keys_are_dotted_and_values_are_yaml_on_one_line() -> None:
    config = {
        "seed": 0,
        "model": {"_target_": "hourglass.models.mlp.MLP", "widths": [128, 64], "decoder_widths": None, "skip": True},
        "optimizer": {"lr": 0.001, "eps": 1e-8},
        "regularizer": {},
        "callbacks": [{"name": "a"}, "b"],
        "text": "null",
    }
    assert flatten(config) == {
        "seed": "0",
        "model._target_": "hourglass.models.mlp.MLP",
        "model.widths": "[128, 64]",
        "model.decoder_widths": "null",
        "model.skip": "true",
        "optimizer.lr": "0.001",
        "optimizer.eps": "1.0e-08",
        "regularizer": "{}",
        "callbacks": "[{name: a}, b]",
        "text": "null",
    }


def test_long_lists_stay_on_one_line() -> None:
    assert flatten({"widths": list(range(500))}) == {"widths": str(list(range(500)))}
