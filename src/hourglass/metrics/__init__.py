"""How good is a reconstruction, and how sparse is its code: streaming metrics over a data set.

With N samples x_i of D elements, reconstructions r_i, corrupted inputs c_i and codes h_i of n active units:

    squared_error       S = 1/N sum_i |x_i - r_i|^2            per sample: Hinton's squared error per image
    mse                 S / D
    psnr                10 log10(peak^2 / mse), dB             of the mean MSE; peak: width of the data range
    explained_variance  1 - E|x - r|^2 / E|x - E x|^2          over the whole set, E x per element
    bce                 mean of -x ln r - (1 - x) ln(1 - r)    nats per element; data in [0, 1] only
    bce_excess          bce less the mean of -x ln x - (1 - x) ln(1 - x), its floor for grey targets
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
                        a group: from 1, all alike, to K, all equally often  discrete codes only
    code_bits           sum over the code's parts of their entropy -sum_k p_k log2 p_k: bits of a sample's symbols, each
                        part coded by itself, p_k shared where a codebook is  discrete codes only
    code_bits_capacity  parts log2 K: what they could carry              discrete codes only
    code_collapsed_units    units, or groups drawn as one, with 1/N sum_i KL(q(z_j | x_i), p(z_j)) below .01 nats: they
                        say nothing of their input           codes with a prior only
    compression_ratio   D / n

Sums run in float32 within a block of about 256 images of 28 x 28 and in float64 across blocks, so that
how the samples were cut into batches moves a sum by rounding only (about 1e-7 relative).
"""

from hourglass.metrics.images import laplacian_variance, ssim
from hourglass.metrics.streaming import BCE_EPS, Clean, Metrics

__all__ = ["BCE_EPS", "Clean", "Metrics", "laplacian_variance", "ssim"]
