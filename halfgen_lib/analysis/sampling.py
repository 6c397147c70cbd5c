"""How good are drawn right halves, each measured against the one true half: scores an image.

``draws`` are (K, N, 1, 28, 14), K right halves drawn for each of N left halves; ``right`` are the
true ones (N, 1, 28, 14); pixels in [0, 1]. A predictor that does not draw has K = 1. All are means
over an image's pixels, or root mean squares: in grey values, so that they compare with each other.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from .. import extra
from ..evaluation import Interval, bootstrap

with extra("study"):
    import scoringrules

CHUNK = 100  # images at a time, to bound memory


def draw_mse(draws: Tensor, right: Tensor) -> np.ndarray:
    """Return the mean squared error of each draw: (K, N) float64."""
    return torch.stack([(d - right).double().square().flatten(1).mean(1) for d in draws]).numpy()


def spread(draws: Tensor) -> np.ndarray:
    """Return the draws' unbiased variance, the mean over pixels: (N,) float64, 0 if K = 1."""
    return draws.double().var(0, correction=min(len(draws) - 1, 1)).flatten(1).mean(1).numpy()


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return values (N,) whose mean is sum(part) / sum(whole), and whose bootstrap is that ratio's.

    The ratio of two means, linearised: each image's value is the ratio and its own pull on it. Of
    a whole that is 0, as its part then is, 0.
    """
    size = max(whole.mean(), np.finfo(np.float64).tiny)
    mean = part.mean() / size
    return mean + (part - mean * whole) / size


def spread_skill(draws: Tensor, right: Tensor) -> Interval:
    """Return the draws' standard deviation over the root mean square error of their mean.

    Both without bias from K (:func:`mse_of_means`), and of all pixels: 1 for a perfect sampler,
    less for one too sure of itself (Fortin et al. 2014). The interval is over images.
    """
    (error,) = mse_of_means(draws, right, (math.inf,))
    found = bootstrap(ratio(spread(draws), error))
    ends = {key: math.sqrt(max(found[key], 0)) for key in ("mean", "low", "high")}
    return Interval(**ends, count=found.count)


def mse_of_means(draws: Tensor, right: Tensor, sizes: Iterable[float]) -> np.ndarray:
    """Return the expected squared error of the mean of m draws, m >= 1: (sizes, N) float64.

    Independent draws with mean μ and variance s² a pixel have E|y - mean of m|² = |y - μ|² + s²/m.
    Both are estimated without bias from all K, and so is this, for m above K and ``math.inf`` too;
    single images may then come out negative. m = K gives the error of the mean of all draws.
    """
    one, variance = draw_mse(draws, right).mean(0), spread(draws)
    return np.stack([one - variance * (1 - 1 / size) for size in sizes])


def crps(draws: Tensor, right: Tensor) -> np.ndarray:
    """Return the continuous ranked probability score, the mean over pixels: (N,) float64.

    E|X - y| - E|X - X'|/2 (Gneiting and Raftery 2007, eq. 21), with the mean over different draws,
    so that it does not depend on K (Ferro 2014). A single draw scores its mean absolute error.
    """
    if len(draws) == 1:
        return (_rows(draws[0]) - _rows(right)).abs().mean(1).numpy()
    # the estimator by probability-weighted moments is the fair one, without all the pairs
    options = {"m_axis": 0, "estimator": "pwm", "backend": "numpy"}
    truth, drawn = _rows(right).numpy(), _rows(draws).numpy()
    return scoringrules.crps_ensemble(truth, drawn, **options).mean(1)


def energy_score(draws: Tensor, right: Tensor) -> np.ndarray:
    """Return the energy score of whole halves, in root mean squared distance: (N,) float64.

    As :func:`crps`, with the distance of two halves (Gneiting and Raftery 2007, eq. 22). Unlike
    that, it sees whether a draw's pixels fit each other. A single draw scores its distance.
    """
    distance = (_rows(draws) - _rows(right)).square().mean(2).sqrt().mean(0)
    return distance.numpy() - diversity(draws) / 2


def diversity(draws: Tensor) -> np.ndarray:
    """Return the mean root mean squared distance of two different draws: (N,), 0 if K = 1."""
    count, rows = len(draws), _rows(draws).transpose(0, 1)
    # matrix products would lose the small distances
    distances = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").sum((1, 2))
    return (distances / (max(count * (count - 1), 1) * math.sqrt(rows.shape[2]))).numpy()


def covered(
    draws: Tensor, right: Tensor, levels: Sequence[float], generator: torch.Generator
) -> np.ndarray:
    """Tell which true pixels lie in the central intervals of their draws: (levels, N, 392) bool.

    A new value falls below the i-th of K independent draws of the same law with probability
    i/(K + 1); so the interval of level p runs between the quantiles (1 ± p)/2 at ranks
    (K + 1)(1 ± p)/2 (Hyndman and Fan 1996, type 6), and the truth of a perfect sampler lies in it
    with probability p: exactly where the ranks are whole, as 19 draws' are for 50 % and 90 %.
    Pixels have 256 values and tie: everything is rounded to those values and spread evenly over its
    step by the generator, on the CPU (Czado, Gneiting and Held 2009), which keeps that probability.
    """
    ranks = [(1 + sign * level) / 2 for sign in (-1, 1) for level in levels]
    found, options = [], {"generator": generator, "dtype": torch.float64}
    for drawn, truth in zip(draws.split(CHUNK, dim=1), right.split(CHUNK), strict=True):
        values, target = (
            ((rows * 255).round() + torch.rand(rows.shape, **options)).numpy()
            for rows in (_rows(drawn).transpose(0, 1), _rows(truth))
        )
        low, high = np.split(np.quantile(values, ranks, axis=1, method="weibull"), 2)
        found.append((low <= target) & (target <= high))
    return np.concatenate(found, axis=1)


def _rows(halves: Tensor) -> Tensor:
    """Return halves (..., 1, 28, 14) as float64 rows (..., 392) on the CPU."""
    return halves.detach().cpu().flatten(-3).double()
