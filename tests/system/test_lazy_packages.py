"""Lightning is imported without what it only compares with, and that is there for whoever asks for it."""

import subprocess
import sys

import pytest

HEAVY = (
    *("torchvision", "torchmetrics.functional", "matplotlib.figure", "triton"),
    *("torch._dynamo.eval_frame", "torch._inductor.compile_fx", "sympy"),
)


def python(code: str) -> str:
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.long
def test_a_training_imports_nothing_of_the_compiler_nor_of_unused_metrics() -> None:
    said = python(
        "import sys, torch\n"
        "import hourglass.pipeline.train, pytorch_lightning as pl\n"
        "weight = torch.nn.Parameter(torch.ones(1))\n"
        "for kind in (torch.optim.Adam, torch.optim.SGD):\n"
        "    optimizer = kind([weight], lr=.5)\n"
        "    (weight**2).backward(); optimizer.step(); optimizer.zero_grad()\n"
        "pl.Trainer(accelerator='cpu', deterministic=True, logger=False, enable_checkpointing=False)\n"
        f"print([name for name in {HEAVY} if name in sys.modules], torch._inductor.config.deterministic)\n"
        # As stacks and Jacobians have them; sympy is of theirs.
        "slope = torch.func.vmap(torch.func.grad(lambda x: (x**3).sum()))(torch.ones(2, 3))\n"
        f"print([name for name in {HEAVY[:-1]} if name in sys.modules], slope.unique())"
    )
    assert said == "[] True\n[] tensor([3.])\n"


@pytest.mark.long
@pytest.mark.parametrize("first", ["pytorch_lightning as pl", "torch as pl"])
@pytest.mark.parametrize(
    "use",
    [
        "import torchmetrics; metric = torchmetrics.MeanMetric",
        pytest.param(
            "import torchmetrics.image; metric = torchmetrics.image.PeakSignalNoiseRatio", marks=pytest.mark.slow
        ),
        pytest.param(
            "from torchmetrics.functional import accuracy; from torchmetrics import MeanMetric as metric",
            marks=pytest.mark.slow,
        ),
        pytest.param("from torchmetrics import *; metric = MeanMetric", marks=pytest.mark.slow),
    ],
)
def test_whatever_else_is_asked_of_torchmetrics_is_there(use: str, first: str) -> None:
    """Also where Lightning has not been imported."""
    python(
        f"import hourglass, {first}\n"
        f"{use}\n"
        "import torchmetrics, torchmetrics.metric\n"
        "from torchmetrics import Metric, MetricCollection\n"
        "assert issubclass(metric, Metric) and Metric is torchmetrics.metric.Metric\n"
        "assert torchmetrics.__version__ and 'functional' in dir(torchmetrics)\n"
        "assert not hasattr(torchmetrics, 'no_such_thing')\n"
        "collected = MetricCollection([torchmetrics.MeanMetric()])\n"
        "assert pl.__name__ == 'torch' or pl.utilities.types._METRIC\n"
    )


@pytest.mark.long
def test_a_metric_is_drawn_and_operations_are_counted_for_whoever_asks() -> None:
    """What was put in their place does the same, and may be derived from and compared with."""
    python(
        "import hourglass, pytorch_lightning as pl, sys, torch, torchmetrics\n"
        "from torch.utils.flop_counter import FlopCounterMode\n"
        "assert 'matplotlib.figure' not in sys.modules\n"
        "metric = torchmetrics.MeanMetric(); metric.update(torch.ones(3))\n"
        "figure, axes = metric.plot()\n"
        "assert type(figure).__module__ == 'matplotlib.figure'\n"
        "class Own(FlopCounterMode):\n"
        "    pass\n"
        "for kind in (FlopCounterMode, Own):\n"
        "    with kind(display=False) as counted:\n"
        "        torch.ones(2, 3) @ torch.ones(3, 4)\n"
        "    assert counted.get_total_flops() == 2 * 2 * 3 * 4 and isinstance(counted, FlopCounterMode)\n"
        "import torch.utils.flop_counter\n"
        "assert isinstance(torch.utils.flop_counter.FlopCounterMode, type)\n"
        "layer = torch.nn.Linear(3, 4)\n"
        "class Module(pl.LightningModule):\n"
        "    example_input_array = torch.ones(2, 3)\n"
        "    def __init__(self):\n"
        "        super().__init__(); self.layer = layer\n"
        "    def forward(self, x):\n"
        "        return self.layer(x)\n"
        "summary = pl.utilities.model_summary.ModelSummary(Module(), max_depth=2)\n"
        "assert summary.total_flops == 2 * 2 * 3 * 4 and summary.total_parameters == 16\n"
    )


@pytest.mark.long
def test_the_compiler_is_there_for_whoever_compiles() -> None:
    python(
        "import sys, torch\n"
        "import hourglass.pipeline.train\n"
        "from lightning_fabric.wrappers import OptimizedModule\n"
        "module = torch.nn.Linear(2, 2)\n"
        "assert not isinstance(module, OptimizedModule) and 'torch._dynamo.eval_frame' not in sys.modules\n"
        "def seen(x):\n"
        "    return torch.compiler.is_compiling()\n"
        "kept_out = torch.compiler.disable(seen)\n"
        "assert kept_out(0) is False and kept_out.__name__ == 'seen'\n"
        "compiled = torch.compile(module, backend='eager')\n"
        "assert torch.equal(compiled(torch.ones(1, 2)), module(torch.ones(1, 2)))\n"
        "assert isinstance(compiled, OptimizedModule) and not isinstance(module, OptimizedModule)\n"
        "assert torch.compile(lambda x: (seen(x), kept_out(x), x + 1), backend='eager')(torch.ones(1))[:2]"
        " == (True, False)\n"
        "import torch._dynamo\n"
        "assert torch._dynamo.OptimizedModule is torch._dynamo.eval_frame.OptimizedModule\n"
        "assert torch._dynamo.disable is torch._dynamo.decorators.disable\n"
        "assert torch._dynamo.compiled_autograd.compiled_autograd_enabled is False\n"
        "assert torch.func.grad(lambda x: x**2)(torch.tensor(3.)) == 6\n"
    )
