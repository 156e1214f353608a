"""Lookup-free quantization: each value becomes its sign, and the codebook is all combinations of signs.

    h_j = sign(a_j),    q(c | a) = prod_j s(4 c_j a_j / t),  c_j = -1 or 1

A group of n values has one of K = 2^n entries, found without comparing distances. q is the softmax of -|a - c|^2 / t
over them, which two terms ask to be certain of each sample and even over all:

    L = lambda (mean_bg H(q(. | a_bg)) - gamma H(mean_bg q(. | a_bg)))
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks.activity import Activity, Varying
from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck
from hourglass.bottlenecks.codebook import passed
from hourglass.losses import Term
from hourglass.system.checks import check_above, check_level

__all__ = ["LookupFree"]

_MOST = 12  # bits of a group: a batch of a thousand groups takes 16 MB


class LookupFree(Bottleneck):
    """A code of signs whose combinations are used evenly.

    The gradient of the sign is the identity's (straight-through). There is no prior to draw from: signs drawn one by
    one are not what an encoder gives.

    Reference: Language model beats diffusion: tokenizer is key to visual generation (Yu et al., 2024), with a
    commitment as in VQ-VAE.

    Args:
        code_size: number of code units, a multiple of `bits`.
        bits: n, values of each group, from 1 to 12; the code is as many groups as it takes.
        entropy: lambda, weight of the two entropies in nats of a group, at least 0.
        diversity: gamma, weight of the second over that of the first, at least 0.
        temperature: t, above 0: the smaller, the less of a value is uncertain.
        commitment: weight of the mean of (a - h)^2 over active units, at least 0.

    Raises:
        ValueError: a number out of its range.

    Example:
        >>> code = LookupFree(code_size=4, bits=2)
        >>> code
        LookupFree(code_size=4, bits=2, entropy=0.1, diversity=1, temperature=1, commitment=0.25)
        >>> code(torch.tensor([[0.3, -2.0, 0.1, 1.0]])).code
        tensor([[ 1., -1.,  1.,  1.]])
    """

    mixes_samples = True
    entropy: Tensor
    diversity: Tensor
    temperature: Tensor
    commitment: Tensor

    def __init__(
        self,
        *,
        code_size: int,
        bits: int = 8,
        entropy: float = 0.1,
        diversity: float = 1.0,
        temperature: float = 1.0,
        commitment: float = 0.25,
    ) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(-1.0, 1.0))
        if not 1 <= bits <= _MOST or code_size % bits:
            raise ValueError(f"bits must be from 1 to {_MOST} and divide code_size={code_size}, got {bits}")
        check_level("entropy", entropy)
        check_level("diversity", diversity)
        check_above("temperature", temperature)
        check_level("commitment", commitment)
        self.bits = bits
        self.register_buffer("entropy", torch.tensor(entropy))
        self.register_buffer("diversity", torch.tensor(diversity))
        self.register_buffer("temperature", torch.tensor(temperature))
        self.register_buffer("commitment", torch.tensor(commitment))

    def extra_repr(self) -> str:
        """The settings."""
        named = ("entropy", "diversity", "temperature", "commitment")
        weights = ", ".join(f"{name}={getattr(self, name).item():g}" for name in named)
        return f"{super().extra_repr()}, bits={self.bits}, {weights}"

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; the loss terms are `sample_entropy`, `codebook_entropy` and `commitment`."""
        signs = torch.where(a > 0, 1.0, -1.0).to(a.dtype)
        of_each, of_all = self._entropies(a)
        distance = ((a - signs) * self.active).square().sum() / (a.shape[0] * self.active.sum())
        losses = {
            "sample_entropy": Term(of_each, self.entropy),
            "codebook_entropy": Term(of_all, -self.entropy * self.diversity),
            "commitment": Term(distance, self.commitment),
        }
        return Bottled(passed(a, signs, "straight_through") * self.active, losses)

    def _entropies(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """mean_bg H(q(. | a_bg)) and H(mean_bg q(. | a_bg)) over groups of active units, in nats."""
        logits = (4 * a / self.temperature).reshape(a.shape[0], -1, self.bits)  # (B, groups, n)
        log_p, log_not_p = F.logsigmoid(logits), F.logsigmoid(-logits)
        p = log_p.exp()
        used = self.active.view(-1, self.bits)[:, 0]  # (groups,)
        share = used / (a.shape[0] * used.sum())
        of_each = -((p * log_p + (1 - p) * log_not_p).sum(dim=2) * share).sum()
        joint = share.expand(a.shape[0], -1).unsqueeze(2)  # (B, groups, 1), and twice as many with every bit
        for bit in p.unbind(dim=2):
            joint = torch.cat([joint * (1 - bit).unsqueeze(2), joint * bit.unsqueeze(2)], dim=2)
        mean = joint.sum(dim=(0, 1)).clamp(min=torch.finfo(a.dtype).tiny)  # (K,)
        return of_each, -(mean * mean.log()).sum()

    def choices(self, a: Tensor) -> Tensor:
        """See `Symbolic.choices`: the number of each group's combination of signs, (B, code_size / n)."""
        places = 2 ** torch.arange(self.bits, device=a.device)
        return ((a > 0).reshape(a.shape[0], -1, self.bits) * places).sum(dim=2)

    def of_choices(self, choices: Tensor) -> Tensor:
        """See `Spelled.of_choices`: the signs of each number's bits."""
        bits = choices.unsqueeze(2) // 2 ** torch.arange(self.bits, device=choices.device) % 2
        return (2.0 * bits - 1).flatten(1) * self.active

    def symbols(self, a: Tensor) -> Tensor:
        """See `Symbolic.symbols`: (1, K), of the groups of active units."""
        used = self.active.view(-1, self.bits)[:, 0] > 0
        return self.choices(a)[:, used].flatten().bincount(minlength=2**self.bits).unsqueeze(0)

    @override
    def slope(self, a: Tensor) -> None:
        """None: the code is piecewise constant."""
        return

    def activity(self) -> Activity:
        """See `Bottleneck.activity`: a value is never off, it is in use where it varies."""
        return Varying(least=None)
