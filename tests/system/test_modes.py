"""Evaluation mode for a while: nothing is left behind, not even by an error."""

import pytest
from torch import nn

from hourglass.system.modes import evaluating


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_what_it_was_also_after_an_error(training: bool) -> None:
    module = nn.Sequential(nn.Dropout(0.5)).train(training)

    def fail() -> None:
        with evaluating(module):
            assert not module.training
            assert not module[0].training
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert module.training == module[0].training == training
