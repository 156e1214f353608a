"""What libraries say that is no news stays unsaid."""

import subprocess
import sys


def test_derivatives_forwards_say_nothing() -> None:
    code = """
import torch
from hourglass.system import process
process.silence_libraries()
with torch.autograd.forward_ad.dual_level():
    torch.autograd.forward_ad.make_dual(torch.ones(2), torch.ones(2))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
