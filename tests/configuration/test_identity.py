"""What makes another training, and what doesn't."""

import hashlib
import json

from omegaconf import OmegaConf

from hourglass.configuration.composition import compose_config
from hourglass.configuration.identity import UNNAMED, config_hash


def composed(*words: str) -> dict[str, object]:
    return OmegaConf.to_container(compose_config(["data=digits", *words])[0], resolve=True)  # type: ignore[return-value]


def test_several_noises_in_another_order_are_another_training() -> None:
    one, other = (composed(f"noise=[{names}]") for names in ("masking,gaussian", "gaussian,masking"))
    assert config_hash(one) != config_hash(other)
    assert config_hash(one) == config_hash(composed("noise=[masking,gaussian]", "callback=quick", "name=mine"))


def test_one_noise_keeps_the_hash_that_runs_were_recorded_with() -> None:
    for words in ((), ("noise=masking",)):
        config = composed(*words)
        kept = {key: value for key, value in config.items() if key not in UNNAMED}
        recorded = hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:16]
        assert config_hash(config) == recorded


def test_terms_of_the_loss_have_no_order() -> None:
    one, other = (composed(f"regularizer=[{names}]") for names in ("l1,contractive", "contractive,l1"))
    assert config_hash(one) == config_hash(other)
