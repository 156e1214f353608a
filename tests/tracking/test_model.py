import os
from typing import NamedTuple

import mlflow
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hourglass.tracking import Run, log_model


class Answer(NamedTuple):
    reconstruction: Tensor
    code: Tensor


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(16, 2)
        self.drop = nn.Dropout(0.5)
        self.decoder = nn.Linear(2, 16)

    def forward(self, x: Tensor) -> Answer:
        code = self.encoder(self.drop(x.flatten(1)))
        return Answer(self.decoder(code).view_as(x), code)


def test_the_logged_model_answers_with_the_reconstruction_for_any_batch(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Small()
    before = dict(os.environ)
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        log_model(run, model, torch.rand(1, 1, 4, 4))
    address = log_model(run, model, torch.rand(3, 1, 4, 4))
    assert model.training
    run.finish()
    assert "MLFLOW_TRACKING_URI" not in set(os.environ) - set(before)  # the next run goes where it would have gone
    monkeypatch.setenv("MLFLOW_TRACKING_URI", run.uri)
    served = mlflow.pyfunc.load_model(address)
    x = np.random.default_rng(0).random((5, 1, 4, 4), dtype=np.float32)
    expected = model.eval()(torch.from_numpy(x)).reconstruction.detach().numpy()
    assert np.allclose(served.predict(x), expected, atol=1e-6)
    assert served.metadata.run_id == run.id
    assert served.metadata.get_input_schema().inputs[0].shape == (-1, 1, 4, 4)
    assert run.status == "FINISHED"
