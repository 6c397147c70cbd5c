"""How good are drawn right halves, each measured against the one true half: scores an image.

``draws`` are (K, N, 1, 28, 14), K right halves drawn for each of N left halves; ``right`` are the
true ones (N, 1, 28, 14); pixels in [0, 1]. A predictor that does not draw has K = 1. Squared
errors, variances and the CRPS are means over an image's pixels, distances are root mean squares
over them: nothing here is a sum, so that all are in grey values and compare with each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import scoringrules
import torch
from torch import Tensor

GREYS = 255  # steps of the images' 8-bit scale
CHUNK = 100  # images at a time, to bound memory


def draw_mse(draws: Tensor, right: Tensor) -> np.ndarray:
    """Return the mean squared error of each draw: (K, N) float64."""
    return torch.stack([(d - right).double().square().flatten(1).mean(1) for d in draws]).numpy()


def spread(draws: Tensor) -> np.ndarray:
    """Return the variance of the draws, the mean over pixels: (N,) float64, 0 if K = 1.

    The unbiased estimate, with K - 1 in the denominator.
    """
    if len(draws) == 1:
        return np.zeros(draws.shape[1])
    return draws.double().var(0, correction=1).flatten(1).mean(1).numpy()


def mse_of_means(draws: Tensor, right: Tensor, sizes: Iterable[float]) -> np.ndarray:
    """Return the expected squared error of the mean of m draws, for each m: (sizes, N) float64.

    Independent draws with mean μ and variance s² a pixel have E|y - mean of m|² = |y - μ|² + s²/m.
    One draw's error and the draws' variance are estimated without bias from all K, and so is this,
    for m above K and infinite m too; single images may then come out negative. m = K gives the
    error of the mean of all draws exactly. Networks trained from different seeds are such draws.

    Args:
        draws, right: see the module.
        sizes: of the means, each 1 or more; ``math.inf`` for the mean itself.
    """
    one, variance = draw_mse(draws, right).mean(0), spread(draws)
    return np.stack([one - variance * (1 - 1 / size) for size in sizes])


def best_of(errors: np.ndarray) -> np.ndarray:
    """Return the expected lowest error among m of K draws, for m from 1 to K: (K, N).

    An oracle's score: it picks by the truth. All subsets of m draws are averaged, not the first m:
    in ascending order the i-th of K errors is the lowest of C(K - i, m - 1) of the C(K, m) subsets.

    Args:
        errors: (K, N) of each draw, as :func:`draw_mse` returns them.
    """
    count, ranked = len(errors), np.sort(errors, axis=0)
    weights = [
        [math.comb(count - i, m - 1) / math.comb(count, m) for i in range(1, count + 1)]
        for m in range(1, count + 1)
    ]
    return np.array(weights) @ ranked


def crps(draws: Tensor, right: Tensor) -> np.ndarray:
    """Return the continuous ranked probability score, the mean over pixels: (N,) float64.

    E|X - y| - E|X - X'|/2 for each pixel (Gneiting and Raftery 2007, eq. 21), with the mean over
    pairs of different draws, so that its expectation does not depend on K (Ferro 2014). A
    single draw, taken as a point, scores its mean absolute error.
    """
    if len(draws) == 1:
        return (_rows(draws[0]) - _rows(right)).abs().mean(1).numpy()
    # the estimator by probability-weighted moments is the fair one, without all the pairs
    options = {"m_axis": 1, "estimator": "pwm", "backend": "numpy"}
    scores = [
        scoringrules.crps_ensemble(truth.numpy(), drawn.numpy(), **options).mean(1)
        for drawn, truth in _chunks(draws, right)
    ]
    return np.concatenate(scores)


def energy_score(draws: Tensor, right: Tensor) -> np.ndarray:
    """Return the energy score of whole halves, in root mean squared distance: (N,) float64.

    E|X - y| - E|X - X'|/2 with the distance of two halves (Gneiting and Raftery 2007, eq. 22), over
    pairs of different draws as in :func:`crps`. Unlike that, it sees whether the pixels of a
    draw fit each other. A single draw, taken as a point, scores its distance.
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
    """Tell which true pixels lie in the central intervals of their draws.

    A new value falls below the i-th of K independent draws of the same law with probability
    i/(K + 1); so the interval of level p runs between the quantiles (1 ± p)/2 at ranks
    (K + 1)(1 ± p)/2 (Hyndman and Fan 1996, type 6), and the truth of a perfect sampler lies in it
    with probability p: exactly where the ranks are whole, as 19 draws' are for 50 % and 90 %. Fewer
    than 2/(1 - p) - 1 draws cannot bound it.

    Pixels have 256 values and tie. Everything is therefore rounded to those values and spread
    evenly over its step (Czado, Gneiting and Held 2009), which keeps that probability exact: where
    all draws and the truth are black, the level's share of pixels counts as covered, not all.

    Args:
        draws, right: see the module.
        levels: each between 0 and 1.
        generator: on the CPU; spreads the ties.

    Returns:
        (levels, N, pixels) bool.
    """
    ranks = [(1 + sign * level) / 2 for sign in (-1, 1) for level in levels]
    found = []
    for drawn, truth in _chunks(draws, right):
        spread_out = [
            (part * GREYS).round() + torch.rand(part.shape, generator=generator, dtype=part.dtype)
            for part in (drawn, truth)
        ]
        values, target = (part.numpy() for part in spread_out)
        low, high = np.split(np.quantile(values, ranks, axis=1, method="weibull"), 2)
        found.append((low <= target) & (target <= high))
    return np.concatenate(found, axis=1)


def _rows(halves: Tensor) -> Tensor:
    """Return halves (..., 1, 28, 14) as float64 rows (..., 392) on the CPU."""
    return halves.detach().cpu().flatten(-3).double()


def _chunks(draws: Tensor, right: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield draws (n, K, pixels) and truth (n, pixels) of some images at a time."""
    for drawn, truth in zip(draws.split(CHUNK, dim=1), right.split(CHUNK), strict=True):
        yield _rows(drawn).transpose(0, 1), _rows(truth)
