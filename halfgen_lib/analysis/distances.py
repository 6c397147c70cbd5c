"""How far are images from others: one by one, and as sets, through the classifier's features.

Images are (N, 1, H, W) in [0, 1]; sets are (N, F) float64 features, a row an image.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import extra
from ..evaluation import Interval

with extra("study"):
    from sklearn.neighbors import NearestNeighbors


def flat_rows(images: Tensor) -> np.ndarray:
    """Return images or halves as float32 rows (N, H W)."""
    return images.detach().cpu().flatten(1).float().numpy()


def neighbours(rows: np.ndarray, pool: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return distances, ascending, and positions (N, k) of the k nearest in a pool (M, P)."""
    if not len(rows):  # scikit-learn refuses to look for nothing
        return np.empty((0, k)), np.empty((0, k), dtype=np.int64)
    return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(pool).kneighbors(rows)


def nearest_rms(images: Tensor, pool: Tensor) -> np.ndarray:
    """Return the root mean squared difference to the nearest of a pool: (N,) float64, 0: a copy."""
    _, nearest = neighbours(flat_rows(images), flat_rows(pool), 1)
    # of the pixels themselves: the search's own distances are rounded, those of copies too
    difference = (images - pool[nearest[:, 0]]).flatten(1)
    return difference.square().mean(1).sqrt().double().numpy()


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """Return the squared Frechet distance of two sets' Gaussians (Heusel et al. 2017).

    |m - m'|² + tr(C + C' - 2 (C C')^(1/2)) of the means and covariances of two rows or more. Finite
    sets raise it, small ones more: compare only distances from sets of the same sizes.
    """
    shift = real.mean(0) - generated.mean(0)
    ours, theirs = torch.cov(real.T), torch.cov(generated.T)
    root_trace = torch.linalg.eigvals(ours @ theirs).sqrt().real.sum()
    return (shift.square().sum() + ours.trace() + theirs.trace() - 2 * root_trace).item()


def frechet_interval(
    real: Tensor, draws: Tensor, less: Tensor | None = None, *, resamples: int = 200
) -> Interval:
    """Return the mean Frechet distance of one draw of every image, with a 95 % interval.

    Draws are (K, M, F); of ``less``, (M, F) of the same images, the distance is subtracted. Both
    sets' images are resampled, and one of the K draws of each. A resample holds images twice, which
    adds to its distance about what finite sets add anyway; so only the resamples' percentiles less
    their mean are used, around the estimate.
    """

    def distance(truth: Tensor, generated: Tensor, images: Any = ...) -> float:
        other = 0.0 if less is None else frechet_distance(truth, less[images])
        return frechet_distance(truth, generated) - other

    estimate = float(np.mean([distance(real, generated) for generated in draws]))
    random, (count, size), found = np.random.default_rng(0), draws.shape[:2], []
    for _ in range(resamples):
        images = random.integers(size, size=size)
        one_each = draws[random.integers(count, size=size), images]
        found.append(distance(real[random.integers(len(real), size=len(real))], one_each, images))
    low, high = estimate + (np.percentile(found, [2.5, 97.5]) - np.mean(found))
    least = 0.0 if less is None else -np.inf
    return Interval(mean=estimate, low=max(float(low), least), high=float(high), count=size)


def within(points: Tensor, support: Tensor) -> np.ndarray:
    """Tell which of N points lie in the estimated support of another set: (N,) bool.

    It is the union of balls around that set's points which reach to their third nearest other point
    (Kynkaanniemi et al. 2019). Their precision is the share of generated points within the real
    ones' support, their recall the share of real points within the generated ones'.
    """
    radius = torch.cdist(support, support).kthvalue(4).values  # the nearest is the point itself
    return (torch.cdist(points, support) <= radius).any(1).numpy()
