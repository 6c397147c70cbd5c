"""How real are completed images as a set, seen through the features of :mod:`classifier`?

Sets are (N, F) float64 features, a row an image.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from ..evaluation import Interval

NEIGHBOURS = 3  # k of improved precision and recall, as its authors use it


@cache
def _frechet_metric(features: int) -> nn.Module:
    """Return torchmetrics' distance for features that are computed already."""
    from ..torchvision_compat import import_torchvision

    import_torchvision()  # torchmetrics imports it
    from torchmetrics.image.fid import FrechetInceptionDistance

    given = nn.Identity()
    given.num_features = features
    return FrechetInceptionDistance(feature=given)


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """Return the squared Frechet distance of two sets' Gaussians (Heusel et al. 2017).

    |m - m'|² + tr(C + C' - 2 (C C')^(1/2)) of the sets' means and covariances. Finite sets raise
    it, small ones more: compare only distances from sets of the same sizes.

    Args:
        real, generated: (N, F) and (M, F) float64, two rows or more.
    """
    metric = _frechet_metric(real.shape[1])
    metric.reset()
    metric.update(real, real=True)
    metric.update(generated, real=False)
    return metric.compute().item()


def frechet_interval(
    real: Tensor, draws: Tensor, *, resamples: int = 200, seed: int = 0
) -> Interval:
    """Return the mean Frechet distance of one draw of every image, with a 95 % interval.

    Both sets' images are resampled with replacement, and one of the K draws of each. A resample
    holds images twice, which adds to its distance about what finite sets add anyway; so only the
    resamples' spread is used: their percentiles less their mean, around the estimate.

    Args:
        real: (N, F) features of true images.
        draws: (K, M, F) features of K completions of M images.
        resamples: to draw.
        seed: of the resamples.
    """
    estimate = float(np.mean([frechet_distance(real, generated) for generated in draws]))
    random, (count, size) = np.random.default_rng(seed), draws.shape[:2]
    distances = []
    for _ in range(resamples):
        images = torch.from_numpy(random.integers(size, size=size))
        one_each = draws[torch.from_numpy(random.integers(count, size=size)), images]
        truth = real[torch.from_numpy(random.integers(len(real), size=len(real)))]
        distances.append(frechet_distance(truth, one_each))
    low, high = np.percentile(distances, [2.5, 97.5]) - np.mean(distances)
    ends = {"low": max(estimate + float(low), 0.0), "high": estimate + float(high)}
    return Interval(mean=estimate, **ends, count=size)


def within(points: Tensor, support: Tensor) -> np.ndarray:
    """Tell which points lie in the estimated support of another set: (N,) bool.

    The support is the union of balls around its points that reach to their k-th nearest other
    point (Kynkaanniemi et al. 2019). Their precision is the share of generated points within the
    real ones' support, their recall the share of real points within the generated ones'.

    Args:
        points: (N, F).
        support: (M, F), more than k rows.
    """
    # the nearest point is the point itself
    radius = torch.cdist(support, support).kthvalue(NEIGHBOURS + 1).values
    return (torch.cdist(points, support) <= radius).any(1).numpy()
