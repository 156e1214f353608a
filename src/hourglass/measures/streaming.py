"""How good is a reconstruction, and how sparse is its code: streaming metrics over a data set.

With N samples x_i of D elements, reconstructions r_i, corrupted inputs c_i and codes h_i of n active units:

    squared_error       S = 1/N sum_i |x_i - r_i|^2            per sample: Hinton's squared error per image
    mse                 S / D
    psnr                10 log10(peak^2 / mse), dB             of the mean MSE; peak: width of the data range
    explained_variance  1 - E|x - r|^2 / E|x - E x|^2          over the whole set, E x per element
    bce                 mean of -x ln r - (1 - x) ln(1 - r)    nats per element; data in [0, 1] only
    bce_excess          bce less the mean of -x ln x - (1 - x) ln(1 - x), its floor for grey targets
    cross_entropy       mean of -x_g . ln r_g, nats            one-hot columns of a table only, per group g of them
    category_accuracy   share of groups whose largest r is that of the largest x               one-hot columns only
    ssim                mean over images, see `ssim`           images (C, H, W) only
    sharpness           sum_i v(r_i) / sum_i v(x_i), v the variance of the Laplacian: 1 as sharp as the
                        originals, below blurred, above noisy  images only
    psnr_input          psnr of c in place of r                only when the input was corrupted
    psnr_gain           psnr - psnr_input                      dB won by denoising
    code_l0             mean number of units that are on for a sample; when a unit is on depends on the code: not zero,
                        in the upper half of its range, varying at all (see `hourglass.bottlenecks.activity`)
    code_active_fraction    code_l0 / n
    code_active_units   units that are on for some sample
    code_l1             mean |h| per active unit
    code_hoyer          mean (sqrt n - |h|_1 / |h|_2) / (sqrt n - 1): 0 flat, 1 one-hot (Hoyer, 2004)
    code_usage          share of the symbols that were chosen at all         discrete codes only
    code_perplexity     mean over groups of exp(-sum_k p_k ln p_k), p_k the share of symbol k among the choices of
                        a group: from 1, all alike or none, to K, all equally often      discrete codes only
    code_bits           sum over the code's parts of their entropy -sum_k p_k log2 p_k: bits of a sample's symbols, each
                        part coded by itself, p_k shared where a codebook is  discrete codes only
    code_bits_capacity  parts log2 K: what they could carry              discrete codes only
    code_collapsed_units    units, or groups drawn as one, with 1/N sum_i KL(q(z_j | x_i), p(z_j)) below .01 nats: they
                        say nothing of their input           codes with a prior only
    compression_ratio   D / n

What is missing in x, NaN, counts nowhere. Sums run in float32 within a block of about 256 images of 28 x 28 and in
float64 across blocks: how samples were cut into batches moves them by rounding only (about 1e-7 relative).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hourglass.bottlenecks.activity import Activity
from hourglass.measures.categories import category_sums
from hourglass.measures.codes import hoyer, symbol_metrics
from hourglass.measures.health import COLLAPSED_BELOW
from hourglass.measures.images import LEAST_SIDE, laplacian_variance, ssim

BCE_EPS = 1e-7
"""Reconstructions are clamped to [BCE_EPS, 1 - BCE_EPS] before the logarithm, as Keras does: one totally
wrong element costs 16.1 nats, not infinity."""

_BLOCK_ELEMENTS = 100_000  # a block and its temporaries stay in the processor's cache


class Clean(NamedTuple):
    """What was summed over clean samples alone: the same in every pass over them, whatever the model."""

    samples: int
    sums: Mapping[str, Tensor]


class Metrics:
    """Accumulates the metrics of the module docstring over batches.

    Args:
        shape: of one sample, without the batch: (C, H, W) for images, (D,) for rows of a table.
        data_range: (low, high) of the clean data; its width is the peak of `psnr`, and `bce` needs it in
            [0, 1].
        activity: counts when units are on, fresh; as the code's bottleneck gives it.
        active: (code_size,) mask, 1 for units in use; the code metrics look at these units only.
        clean: of an earlier pass over the very same samples, in the same range, which saves its sums here.
        categories: beginning and end of each group of one-hot columns. masked: whether values may be missing.

    Raises:
        ValueError: an empty shape, a range that is not (low < high), no active unit.
    """

    def __init__(
        self,
        *,
        shape: Sequence[int],
        data_range: tuple[float, float],
        activity: Activity,
        active: Tensor,
        clean: Clean | None = None,
        categories: Sequence[tuple[int, int]] = (),
        masked: bool = False,
    ) -> None:
        if not shape or min(shape) < 1:
            raise ValueError(f"shape must hold sizes of at least 1, got {tuple(shape)}")
        low, high = data_range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"data_range must be finite with low < high, got ({low}, {high})")
        if active.ndim != 1 or not bool((active != 0).any()):
            raise ValueError(f"active must be a (code_size,) mask with a unit on, got {active.tolist()}")
        self.shape = tuple(shape)
        self.data_range = (float(low), float(high))
        self.activity = activity
        self.code_size = len(active)
        self._in_unit_range = low >= 0 and high <= 1
        self._has_edges = len(self.shape) == 3 and min(self.shape[1:]) >= LEAST_SIDE
        self._columns = (active != 0).nonzero().flatten().cpu()
        self._units = len(self._columns)
        self._count = 0
        self._sums: dict[str, Tensor] = {}
        self._known = clean
        self._categories, self._masked = tuple(categories), masked
        self._clean: dict[str, Tensor] = {}
        self._origin: Tensor  # the first sample: deviations from it keep E|x - E x|^2 free of cancellation

    @torch.no_grad()
    def update(
        self,
        x: Tensor,
        corrupted: Tensor | None,
        reconstruction: Tensor,
        code: Tensor,
        symbols: Tensor | None = None,
        rates: Tensor | None = None,
    ) -> None:
        """Adds a batch; sums stay on its device until `compute`.

        Args:
            x: (B, *shape) clean, in the data's range.
            corrupted: (B, *shape) what the encoder saw; None where that was `x`.
            reconstruction: (B, *shape).
            code: (B, code_size).
            symbols: (groups, K), how often each symbol of a discrete code was chosen; None for other codes.
            rates: (B, units), the divergence of each unit from its prior in nats; None for codes without one.

        Raises:
            ValueError: a tensor of another shape.
        """
        size = len(x)
        sample, units = (size, *self.shape), (size, self.code_size)
        for name, tensor, wanted in (
            ("x", x, sample),
            ("corrupted", x if corrupted is None else corrupted, sample),
            ("reconstruction", reconstruction, sample),
            ("code", code, units),
        ):
            if tensor.shape != wanted:
                raise ValueError(f"{name} must have shape {wanted}, got {tuple(tensor.shape)}")
        if symbols is not None:
            if symbols.ndim != 2:
                raise ValueError(f"symbols must have shape (groups, K), got {tuple(symbols.shape)}")
            self._add("symbols", symbols)
        if rates is not None:
            self._add("rates", rates.double().sum(0))
        if size and not self._count:
            self._origin = x[0].detach().float().nan_to_num()
        self._count += size
        used = code.float()
        if self._units < self.code_size:
            used = used.index_select(1, self._columns.to(code.device))
        if size:
            self.activity.update(used)
        rows = max(1, _BLOCK_ELEMENTS // math.prod(self.shape))
        for start in range(0, size, rows):
            block = slice(start, start + rows)
            target, made = x[block].float(), reconstruction[block].float()
            seen = None if corrupted is None or corrupted is x else corrupted[block].float()
            there = ~target.isnan() if self._masked else None
            if there is not None:  # 0 for all of them: nothing of it enters a sum
                target, made = target.where(there, 0.0), made.where(there, 0.0)
                seen = None if seen is None else seen.where(there, 0.0)
            if self._known is None:
                self._add_clean(target, there)
            self._add_reconstruction(target, made)
            for name, value in category_sums(target, made, self._categories).items():
                self._add(name, value)
            self._add_code(used[block])
            if seen is not None:
                self._add("input_error", (target - seen).square().sum())

    @property
    def clean(self) -> Clean:
        """For a later pass over the same samples."""
        return self._known or Clean(self._count, self._clean)

    def _add(self, name: str, value: Tensor) -> None:
        _accumulate(self._sums, name, value)

    def _add_clean(self, x: Tensor, there: Tensor | None) -> None:
        sums = self._clean
        deviation = x - self._origin
        if there is not None:
            deviation = deviation.where(there, 0.0)
            _accumulate(sums, "there", there.sum(0))  # (*shape)
        _accumulate(sums, "deviation", deviation.sum(0))  # (*shape)
        _accumulate(sums, "deviation_squared", deviation.square_().sum())
        if self._in_unit_range:
            # p ln p -> 0 for p -> 0: the logarithm must be finite there, whatever its value.
            tiny = torch.finfo(torch.float32).tiny
            not_x = 1 - x
            entropy = x.clamp(min=tiny).log_().mul_(x).add_(not_x.clamp(min=tiny).log_().mul_(not_x))
            _accumulate(sums, "entropy", -entropy.sum())
        if self._has_edges:
            _accumulate(sums, "edges", laplacian_variance(x).sum())

    def _add_reconstruction(self, x: Tensor, reconstruction: Tensor) -> None:
        low, high = self.data_range
        self._add("error", (x - reconstruction).square_().sum())
        if self._in_unit_range:
            r = reconstruction.clamp(BCE_EPS, 1 - BCE_EPS)
            log_not_r = (1 - r).log_()
            self._add("bce", -r.log_().sub_(log_not_r).mul_(x).add_(log_not_r).sum())
        if len(self.shape) == 3:
            shifted = (x, reconstruction) if low == 0 else (x - low, reconstruction - low)
            self._add("ssim", ssim(*shifted, peak=high - low).sum())
        if self._has_edges:
            self._add("edges_kept", laplacian_variance(reconstruction).sum())

    def _add_code(self, code: Tensor) -> None:
        h = code.abs()  # (B, n)
        l1 = h.sum(1)
        self._add("code_l1", l1.sum())
        if self._units > 1:
            self._add("hoyer", hoyer(h, l1).sum())

    def compute(self) -> dict[str, float]:
        """The metrics of everything added so far, by the names of the package docstring.

        What is not defined is left out: `explained_variance` for samples that are all the same, as one alone is,
        `bce` and `bce_excess` for data beyond [0, 1], `ssim` for other shapes than (C, H, W), `sharpness` also for
        images below 3 x 3 or without an edge, `code_hoyer` for a single unit, what is said of symbols for
        codes without them, `psnr_input` and `psnr_gain` when no input was corrupted. What depends on a NaN or an
        infinity is NaN. A perfect reconstruction has an infinite PSNR.

        Raises:
            ValueError: before the first sample; after more or fewer samples than the clean sums are of.
        """
        if not self._count:
            raise ValueError("compute needs at least 1 sample, got 0: call update first")
        if self.clean.samples != self._count:
            raise ValueError(f"clean must be of the same samples, {self._count}, got one of {self.clean.samples}")
        count = self._count
        total = {name: value.sum().item() for name, value in {**self._sums, **self.clean.sums}.items()}
        error, there = total["error"], self.clean.sums.get("there")
        elements = math.prod(self.shape) if there is None else total["there"] / count
        means = self.clean.sums["deviation"].square() / (count if there is None else there.clamp(min=1))
        spread = total["deviation_squared"] - means.sum().item()
        mse = error / count / elements
        result = {
            "mse": mse,
            "squared_error": error / count,
            "psnr": self._psnr(mse),
        }
        if not spread <= 0:  # NaN has a place
            result["explained_variance"] = 1 - error / spread
        if "bce" in total:
            result["bce"] = total["bce"] / count / elements
            result["bce_excess"] = (total["bce"] - total["entropy"]) / count / elements
        if total.get("category_count"):
            result["cross_entropy"] = total["cross_entropy"] / total["category_count"]
            result["category_accuracy"] = total["category_right"] / total["category_count"]
        if "ssim" in total:
            result["ssim"] = total["ssim"] / count
        if total.get("edges", 0) > 0:
            result["sharpness"] = total["edges_kept"] / total["edges"]
        if not math.isfinite(error):  # clamps would hide an infinity
            result = dict.fromkeys(result, math.nan)
        if "input_error" in total and total["input_error"] != 0:
            result["psnr_input"] = self._psnr(total["input_error"] / count / elements)
            result["psnr_gain"] = result["psnr"] - result["psnr_input"]
        if "symbols" in total:
            result |= symbol_metrics(self._sums["symbols"], samples=count)
        if "rates" in total:
            collapsed = (self._sums["rates"] / count < COLLAPSED_BELOW).sum().item()
            result["code_collapsed_units"] = float(collapsed) if math.isfinite(total["rates"]) else math.nan
        return {**result, **self._code_metrics(total), "compression_ratio": math.prod(self.shape) / self._units}

    def _code_metrics(self, total: dict[str, float]) -> dict[str, float]:
        on = self.activity.on()
        result = {
            "code_l0": on.sum().item(),
            "code_l1": total["code_l1"] / self._count / self._units,
            "code_active_fraction": on.mean().item(),
            "code_active_units": float((on > 0).sum().item()),
        }
        if "hoyer" in total:
            result["code_hoyer"] = total["hoyer"] / self._count
        # A NaN unit is never on: without this it would pass for one that is not in use.
        return result if math.isfinite(total["code_l1"]) else dict.fromkeys(result, math.nan)

    def _psnr(self, mse: float) -> float:
        low, high = self.data_range
        if mse == 0:
            return math.inf
        return 10 * math.log10((high - low) ** 2 / mse) if math.isfinite(mse) else math.nan


def _accumulate(sums: dict[str, Tensor], name: str, value: Tensor) -> None:
    """Blocks are summed in float64."""
    sums[name] = sums[name] + value if name in sums else value.double()
