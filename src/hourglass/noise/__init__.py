"""Noise: the corruption processes C(x~ | x) of a denoising autoencoder.

The model sees x~, a draw of the process; the target of the reconstruction is always the clean x
(Vincent et al., 2008). A `Corruption` is a chain of processes, by name; an empty chain is the identity.
Levels are buffers, so that models that differ only in their noise level can be trained as one stack; they are settings
and no weights, so no checkpoint holds them. The task is a choice of process: denoising, inpainting, super-resolution,
deblurring, colourisation. Each process names the classical restorations that belong beside it (`baselines`).
"""

from hourglass.noise.corruption import Corruption
from hourglass.noise.elements import Gaussian, Masking, SaltAndPepper, SaltAndPepperCount, Speckle, Swap
from hourglass.noise.images import Block, Blur, Downsample, Grayscale, MotionBlur, Patches
from hourglass.noise.process import Process

__all__ = [
    "Block",
    "Blur",
    "Corruption",
    "Downsample",
    "Gaussian",
    "Grayscale",
    "Masking",
    "MotionBlur",
    "Patches",
    "Process",
    "SaltAndPepper",
    "SaltAndPepperCount",
    "Speckle",
    "Swap",
]
