"""How good are drawn right halves, each measured against the one true half: scores an image.

``draws`` are (K, N, 1, 28, 14), K right halves drawn for each of N left halves; ``right`` are the
true ones (N, 1, 28, 14); pixels in [0, 1]. A predictor that does not draw has K = 1. Squared
errors, variances and the CRPS are means over an image's pixels, distances are root mean squares
over them: nothing here is a sum, so that all are in grey values and compare with each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import scoringrules
import torch
from torch import Tensor

GREYS = 255  # steps of the images' 8-bit scale
CHUNK = 100  # images at a time where all pairs of draws are held


def check_draws(draws: Tensor, right: Tensor) -> None:
    """Refuse draws that do not belong to the true halves.

    Raises:
        ValueError: if ``draws`` is not (K, *right.shape) with K >= 1 and N >= 1, or a value of
            either is outside [0, 1].
    """
    if draws.ndim != right.ndim + 1 or draws.shape[1:] != right.shape or not draws.numel():
        raise ValueError(
            f"draws have shape {tuple(draws.shape)}, right {tuple(right.shape)};"
            f" (K, {', '.join(map(str, right.shape))}) with K and N of 1 or more is needed"
        )
    for name, values in (("draws", draws), ("right", right)):
        if not bool(((values >= 0) & (values <= 1)).all()):
            raise ValueError(f"{name} has values outside [0, 1] or NaN")


def draw_mse(draws: Tensor, right: Tensor) -> np.ndarray:
    """Return the mean squared error of each draw: (K, N) float64."""
    check_draws(draws, right)
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

    Raises:
        ValueError: if a size is below 1.
    """
    sizes = list(sizes)
    if any(size < 1 for size in sizes):
        raise ValueError(f"sizes are {sizes}; each must be 1 or more")
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

    def score(drawn: np.ndarray, truth: np.ndarray) -> np.ndarray:
        if drawn.shape[1] == 1:
            return np.abs(drawn[:, 0] - truth).mean(1)
        # the estimator by probability-weighted moments is the fair one, without all the pairs
        options = {"m_axis": 1, "estimator": "pwm", "backend": "numpy"}
        return scoringrules.crps_ensemble(truth, drawn, **options).mean(1)

    return _by_image(score, draws, right)


def energy_score(draws: Tensor, right: Tensor) -> np.ndarray:
    """Return the energy score of whole halves, in root mean squared distance: (N,) float64.

    E|X - y| - E|X - X'|/2 with the distance of two halves (Gneiting and Raftery 2007, eq. 22), over
    pairs of different draws as in :func:`crps`. Unlike that, it sees whether the pixels of a
    draw fit each other. A single draw, taken as a point, scores its distance.
    """

    def score(drawn: np.ndarray, truth: np.ndarray) -> np.ndarray:
        drawn, truth = (rows / math.sqrt(rows.shape[-1]) for rows in (drawn, truth))
        if drawn.shape[1] == 1:
            return np.linalg.norm(drawn[:, 0] - truth, axis=1)
        return scoringrules.es_ensemble(truth, drawn, estimator="fair", backend="numpy")

    return _by_image(score, draws, right)


def diversity(draws: Tensor) -> np.ndarray:
    """Return the mean root mean squared distance of two different draws: (N,), 0 if K = 1."""
    count, rows = len(draws), _rows(draws)
    if count == 1:
        return np.zeros(rows.shape[1])
    distances = [
        # matrix products would lose the small distances
        torch.cdist(part, part, compute_mode="donot_use_mm_for_euclid_dist").sum((1, 2))
        for part in rows.transpose(0, 1).split(CHUNK)
    ]
    scale = count * (count - 1) * math.sqrt(rows.shape[2])
    return (torch.cat(distances) / scale).numpy()


def needed_draws(level: float) -> int:
    """Return the fewest draws that can bound a central interval of probability ``level``.

    Raises:
        ValueError: if ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie between 0 and 1")
    return math.ceil(round(2 / (1 - level), 9)) - 1


def covered(
    draws: Tensor, right: Tensor, levels: Sequence[float], generator: torch.Generator
) -> np.ndarray:
    """Tell which true pixels lie in the central intervals of their draws.

    A new value falls below the i-th of K independent draws of the same law with probability
    i/(K + 1); so the interval of level p runs between the quantiles (1 ± p)/2 at ranks
    (K + 1)(1 ± p)/2 (Hyndman and Fan 1996, type 6), and the truth of a perfect sampler lies in it
    with probability p: exactly where the ranks are whole, as 19 draws' are for 50 % and 90 %.

    Pixels have 256 values and tie. Everything is therefore rounded to those values and spread
    evenly over its step (Czado, Gneiting and Held 2009), which keeps that probability exact: where
    all draws and the truth are black, the level's share of pixels counts as covered, not all.

    Args:
        draws, right: see the module.
        levels: each between 0 and 1.
        generator: on the CPU; spreads the ties.

    Returns:
        (levels, N, pixels) bool.

    Raises:
        ValueError: if there are too few draws for a level.
    """
    check_draws(draws, right)
    for level in levels:
        if len(draws) < needed_draws(level):
            raise ValueError(
                f"{len(draws)} draws cannot bound a central interval of {level:.0%};"
                f" {needed_draws(level)} or more are needed"
            )
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
    check_draws(draws, right)
    for drawn, truth in zip(draws.split(CHUNK, dim=1), right.split(CHUNK), strict=True):
        yield _rows(drawn).transpose(0, 1), _rows(truth)


def _by_image(
    score: Callable[[np.ndarray, np.ndarray], np.ndarray], draws: Tensor, right: Tensor
) -> np.ndarray:
    parts = [score(drawn.numpy(), truth.numpy()) for drawn, truth in _chunks(draws, right)]
    return np.concatenate(parts)
